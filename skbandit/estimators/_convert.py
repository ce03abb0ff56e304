"""From scikit-learn's own MLP, through its public interface only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.validation import check_is_fitted

from skbandit._core.constraints import check_values, shown
from skbandit._tabular.features.embeddings import Inputs
from skbandit._tabular.model import Architecture, Model
from skbandit.estimators._fitted import Member, Pruning, Training
from skbandit.estimators._parameters import CONSTRAINTS
from skbandit.estimators._targets import Target
from skbandit.presets import preset_params

#: Fitted attributes that both have; ``"feature_names_in_"`` is of a table only.
CARRIED = ("loss_", "best_loss_", "loss_curve_", "validation_scores_", "best_validation_score_", "n_iter_", "t_")


def params_of_sklearn(
    mlp: MLPClassifier | MLPRegressor,
    params: Mapping[str, Any],
    known: Mapping[str, Any],
    described: tuple[str, ...],
    owner: str,
    *,
    classifies: bool,
) -> dict[str, Any]:
    """Return the parameters of the estimator that takes over the network of a fitted MLP.

    Parameters
    ----------
    mlp : MLPClassifier or MLPRegressor
    params : mapping
        What the user wants to be different.
    known : mapping
        The estimator's parameters, at their defaults.
    described : tuple of str
        Those that describe the network, and cannot differ.
    owner : str
        Name of the estimator, for messages.
    classifies : bool
        Whether it is a classifier.

    Raises
    ------
    ValueError
        If ``mlp`` is no such MLP, or ``params`` ask for another network.
    """
    wanted = MLPClassifier if classifies else MLPRegressor
    if not isinstance(mlp, wanted):
        raise ValueError(f"{owner}.from_sklearn(model) takes a fitted {wanted.__name__}. Got {shown(mlp)}.")
    check_is_fitted(mlp)
    check_values(owner, params, CONSTRAINTS)
    if len(mlp.coefs_) < 2:
        raise ValueError("The MLP has no hidden layer: there is nothing to prune.")
    if classifies and len(classes := getattr(mlp, "classes_", ())) < 2:
        raise ValueError(f"The MLP was fitted to one class only: {classes}.")
    carried = {name: value for name, value in mlp.get_params().items() if name in known}
    given = preset_params("plain", "classification" if classifies else "regression") | carried
    for name in described:
        if name in params and _differ(params[name], given.get(name)):
            raise ValueError(f"{name!r} describes the network that is taken over: it is {given.get(name)!r}.")
    return {**given, **params}


def _differ(value: Any, other: Any) -> bool:
    """Say whether values that were checked differ; arrays as lists of their entries."""
    plain = [list(v) if np.iterable(v) and not isinstance(v, (str, Mapping)) else v for v in (value, other)]
    return bool(plain[0] != plain[1])


def member_of_sklearn(mlp: Any, target: Target, activation: str) -> Member:
    """Return the network of a fitted MLP, as it would be after a fit without pruning; its arrays are copied."""
    coefs, intercepts = [np.array(W) for W in mlp.coefs_], [np.array(b) for b in mlp.intercepts_]
    sizes = tuple(W.shape[1] for W in coefs[:-1])
    inputs = Inputs(n_dense=coefs[0].shape[0])
    architecture = Architecture(None, inputs, sizes, target.n_outputs, activation, False, target.loss)
    scores = getattr(mlp, "validation_scores_", None)
    training = Training(
        loss_curve=[*getattr(mlp, "loss_curve_", ())],  # scikit-learn's lbfgs keeps none
        validation_scores=None if scores is None else [*scores],
        best_loss=getattr(mlp, "best_loss_", None),
        loss=getattr(mlp, "loss_", np.inf),
        n_iter=getattr(mlp, "n_iter_", 0),
        n_rows=getattr(mlp, "t_", 0),
        status=f"taken over from {type(mlp).__name__}",
    )
    pruning = Pruning([np.arange(size) for size in sizes])
    return Member(Model(architecture, {}, coefs, intercepts), training, pruning)
