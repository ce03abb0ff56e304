"""The class docstrings of the estimators: their parameters, in the order of the signature, and their attributes."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar

from skbandit.estimators._parameters import OF_CLASSIFIER, OF_REGRESSOR, Parameter

T = TypeVar("T")
Kind = Literal["regressor", "classifier"]

#: The parameters of each estimator.
PARAMETERS: dict[Kind, dict[str, Parameter]] = {"regressor": OF_REGRESSOR, "classifier": OF_CLASSIFIER}


class Attribute(NamedTuple):
    """What is said of a fitted attribute."""

    type: str
    text: str
    of: Literal["both", "ensemble"] = "both"
    """Which estimators have it: all, or those of several networks."""
    of_members: Literal["own", "list", "mean"] = "own"
    """What it is of several networks: something that the text says, a list with an item for each, or their mean."""


def _out_of_fold(type: str, what: str) -> Attribute:
    return Attribute(
        type,
        f"""
        Out-of-fold predictions: for each training row, the mean {what} of those members that did not train on it, by
        ``member_weights_``. Each member holds out ``validation_fraction`` of the rows. With
        ``member_weights="held_out"``, members that embed numbers in different ways hold out the same rows: with four
        members by default, two times a fifth of the rows have a value, and others are NaN. In a table of fewer than 50
        different rows all are NaN, because no row is left out of training (``validation_fraction``).
        A member was not trained on its held-out rows, but it chose its best epoch on them, and whether to keep a
        fine-tuned network; and the weights of the members were chosen on them.
        Set only for an ensemble whose members hold out rows, with ``calibration="train"``.
        """,
        of="ensemble",
    )


_SHARED = {
    "n_members_": Attribute("int", "Number of members."),
    "estimators_": Attribute(
        "list of estimators",
        """
        The members, each a fitted estimator of one network, if ``n_members`` is larger than 1. Of several members,
        ``hidden_layer_sizes_``, ``coefs_``, ``intercepts_``, ``activation_slopes_``, ``kept_units_`` and
        ``pruning_history_`` are lists with an item for each member; ``n_units_``, ``n_pulls_``, ``n_parameters_``,
        ``n_macs_`` and ``t_`` are sums over the members; ``loss_``, ``best_loss_``, ``loss_curve_``,
        ``validation_scores_`` and ``best_validation_score_`` are their means (curves: at each epoch, of the members
        that were trained for so long); and ``n_iter_`` is their maximum.
        """,
        of="ensemble",
    ),
    "member_weights_": Attribute(
        "ndarray of shape (n_members_,)",
        """
        Weights of the members in the mean of their predictions; they sum to 1. Set only for an ensemble. `prune`
        chooses them anew if it is given the rows of the fit, or ``X_val``; `partial_fit` keeps them.
        """,
        of="ensemble",
    ),
    "coefs_": Attribute(
        "list of ndarray of shape (fan_in, fan_out)",
        "Weights of each layer of the pruned network. The first layer reads the features after preprocessing.",
        of_members="list",
    ),
    "intercepts_": Attribute("list of ndarray of shape (fan_out,)", "Biases of each layer.", of_members="list"),
    "activation_slopes_": Attribute(
        "list of ndarray of shape (n_units,), or None",
        "Slopes of the hidden units of each layer; None without ``parametric_activation``.",
        of_members="list",
    ),
    "hidden_layer_sizes_": Attribute(
        "tuple of int, or list of tuples",
        "Number of units in each hidden layer after pruning; of several members, a tuple for each.",
    ),
    "n_units_": Attribute("tuple of int", "Number of hidden units before and after pruning."),
    "kept_units_": Attribute(
        "list of ndarray of int",
        "For each hidden layer, the indices of the remaining units in the network before pruning.",
        of_members="list",
    ),
    "pruning_history_": Attribute(
        "list of dict",
        """
        One record for each round, with the keys ``round``, ``n_removed``, ``sizes``, ``n_pulls``,
        ``damage_predicted``, ``damage_measured``, ``loss_before``, ``loss_repaired``, ``loss_after``, ``fine_tuned``,
        ``seconds`` and ``scope`` (see `skbandit.pruning.PruningRound`).
        """,
        of_members="list",
    ),
    "pruning_status_": Attribute("str", "How pruning ended, as a sentence."),
    "training_status_": Attribute(
        "str",
        """
        How training ended: ``"converged"``, ``"completed"`` (all epochs, with ``n_iter_no_change=inf``),
        ``"max_iter"`` (all epochs, without convergence), ``"stopped"`` (by a callback), ``"interrupted"``,
        ``"line search failed"``, or ``"taken over from ..."`` after `from_sklearn`.
        """,
    ),
    "n_pulls_": Attribute("int", "Number of pulls spent."),
    "n_parameters_": Attribute("tuple of int", "Number of parameters before and after pruning."),
    "n_macs_": Attribute(
        "tuple of int", "Multiply-accumulates of the layers for one predicted row, before and after pruning."
    ),
    "loss_": Attribute(
        "float", "Training loss of the last epoch, with its dropout, penalty and label smoothing, before pruning."
    ),
    "best_loss_": Attribute(
        "float or None", "Smallest training loss of an epoch; None with early stopping.", of_members="mean"
    ),
    "loss_curve_": Attribute("list of float", "Training loss of each epoch, before pruning.", of_members="mean"),
    "validation_scores_": Attribute(
        "list of float or None",
        "Score on the held-out rows after each epoch; None without early stopping.",
        of_members="mean",
    ),
    "best_validation_score_": Attribute(
        "float or None",
        """
        Highest of the ``validation_scores_``; of several members, the mean of their highest. With
        ``validation_metric="loss"`` another epoch may have been kept.
        """,
        of_members="mean",
    ),
    "n_iter_": Attribute("int", "Number of epochs of training."),
    "t_": Attribute("int", "Number of training rows seen, counted in each epoch."),
    "n_layers_": Attribute("int", "Number of layers, including input and output."),
    "n_outputs_": Attribute("int", "Number of outputs."),
    "out_activation_": Attribute("str", "Activation function of the output layer."),
    "n_features_in_": Attribute("int", "Number of features."),
    "feature_names_in_": Attribute(
        "ndarray of shape (n_features_in_,)", "Names of the features. Set only if X has string column names."
    ),
}

#: The fitted attributes of each estimator.
ATTRIBUTES: dict[Kind, dict[str, Attribute]] = {
    "regressor": {
        **_SHARED,
        "oof_prediction_": _out_of_fold("ndarray of shape (n_samples,) or (n_samples, n_outputs)", "prediction"),
    },
    "classifier": {
        "classes_": Attribute("ndarray of shape (n_classes,)", "Class labels."),
        **_SHARED,
        "oof_decision_function_": _out_of_fold("ndarray of shape (n_samples, n_classes)", "probabilities"),
    },
}


#: Attributes that an ensemble reads from its members, and how.
OF_EACH_NETWORK: dict[str, str] = {
    name: attribute.of_members for name, attribute in _SHARED.items() if attribute.of_members != "own"
}


def documented(kind: Kind) -> Callable[[type[T]], type[T]]:
    """Return the class decorator that fills ``{parameters}`` and ``{attributes}`` of a docstring.

    The parameters stand in the order of the signature, with its defaults.
    """

    def fill(cls: type[T]) -> type[T]:
        if cls.__doc__ is not None:  # as under python -OO
            sections = {"parameters": _parameters(cls, kind), "attributes": _attributes(kind)}
            cls.__doc__ = inspect.cleandoc(cls.__doc__).format(**sections)
        return cls

    return fill


def _parameters(cls: type[Any], kind: Kind) -> str:
    table, signature = PARAMETERS[kind], inspect.signature(cls)
    return "\n".join(
        _entry(name, f"{table[name].type}, default={_literal(parameter.default)}", table[name].text)
        for name, parameter in signature.parameters.items()
    )


def _attributes(kind: Kind) -> str:
    return "\n".join(_entry(name, attribute.type, attribute.text) for name, attribute in ATTRIBUTES[kind].items())


def _entry(name: str, type: str, text: str) -> str:
    return f"{name} : {type}\n{textwrap.indent(inspect.cleandoc(text), '    ')}"


def _literal(value: Any) -> str:
    """Return a default as a reader would write it: ``"auto"``, ``1e-8``."""
    return f'"{value}"' if isinstance(value, str) else re.sub(r"e-0(\d)", r"e-\1", repr(value))
