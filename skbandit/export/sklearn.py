"""A fitted network as scikit-learn's own MLP, made through its public interface only."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skbandit._tabular.model import Model

#: Activations that scikit-learn's MLP has.
ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
#: Its solvers and learning rates.
SOLVERS, LEARNING_RATES = ("adam", "sgd", "lbfgs"), ("constant", "invscaling", "adaptive")


def to_sklearn(
    models: Sequence[Model],
    params: Mapping[str, Any],
    attributes: Mapping[str, Any],
    *,
    classes: np.ndarray | None = None,
    multilabel: bool = False,
    clipped: bool = False,
) -> MLPClassifier | MLPRegressor:
    """Return a fitted scikit-learn MLP that predicts the same.

    Parameters
    ----------
    models : sequence of Model
        The networks whose predictions are averaged: only one can be handed over. Its arrays are copied.
    params : mapping
        Constructor parameters; those that scikit-learn's MLP has, and values that it takes, are carried over.
    attributes : mapping
        Fitted attributes to set: curves, names of features, and ``"n_iter_"``.
    classes : ndarray of shape (n_classes,), optional
        Of a classifier; None for a regressor.
    multilabel : bool
        Whether the classes are labels, of which a row may have several.
    clipped : bool
        Whether predictions are clipped, which scikit-learn's MLP does not do.

    Returns
    -------
    mlp : MLPClassifier or MLPRegressor

    Raises
    ------
    ValueError
        If scikit-learn's MLP cannot do what the network does.
    """
    kind = MLPRegressor if classes is None else MLPClassifier
    obstacles = _obstacles(models, clipped)
    if obstacles:
        raise ValueError(
            f"scikit-learn's {kind.__name__} cannot do what this network does: {'; '.join(obstacles)}. An estimator "
            "that can be handed over is made by from_preset('plain')."
        )
    (model,) = models
    mlp = kind(**_parameters(model, params, kind().get_params(), attributes["n_iter_"]))
    _set_up(mlp, model, classes, multilabel)
    mlp.coefs_ = [W.copy() for W in model.coefs]
    mlp.intercepts_ = [b.copy() for b in model.intercepts]
    for name, value in attributes.items():
        setattr(mlp, name, list(value) if isinstance(value, list) else value)
    return mlp


def _obstacles(models: Sequence[Model], clipped: bool) -> list[str]:
    """Say what of the fitted networks has no counterpart in scikit-learn's MLP."""
    if len(models) > 1:
        return [f"it averages {len(models)} networks (hand over one of estimators_)"]
    architecture, found = models[0].architecture, []
    if architecture.activation not in ACTIVATIONS:
        found.append(
            f"its activation is {architecture.activation!r} (there are 'identity', 'logistic', 'tanh' and 'relu')"
        )
    if architecture.parametric:
        found.append("its activations have slopes ('parametric_activation')")
    if architecture.encoder is not None:
        found.append("it scales, clips or encodes its inputs ('preprocessing', 'categorical_features')")
    if not architecture.inputs.is_identity:
        found.append("it embeds its inputs ('numeric_embedding', 'categorical_features')")
    if clipped:
        found.append("it clips its predictions ('clip_predictions')")
    return found


def _parameters(model: Model, params: Mapping[str, Any], known: Mapping[str, Any], n_iter: int) -> dict[str, Any]:
    """Return the parameters of the MLP; what only trained this network is of no use to it."""
    carried = {name: value for name, value in params.items() if name in known}
    carried["hidden_layer_sizes"] = model.hidden_layer_sizes
    carried["activation"] = model.architecture.activation
    if "loss" in known:
        carried["loss"] = model.architecture.loss
    if not isinstance(carried["max_iter"], Integral):
        carried["max_iter"] = max(int(n_iter), 1)
    if carried["solver"] == "adamw":
        carried["alpha"] = known["alpha"]  # decoupled weight decay is another quantity
    if carried["solver"] not in SOLVERS:
        carried["solver"] = "adam"
    if carried["learning_rate"] not in LEARNING_RATES:
        carried["learning_rate"] = "constant"
    return carried


def _set_up(mlp: Any, model: Model, classes: np.ndarray | None, multilabel: bool) -> None:
    """Fit it to one row per class, which sets up everything that prediction needs."""
    n_outputs = model.architecture.n_outputs
    if classes is None:
        y = np.zeros((2, n_outputs)) if n_outputs > 1 else np.zeros(2)
    elif multilabel:
        y = np.vstack([np.eye(n_outputs, dtype=int), np.zeros((1, n_outputs), dtype=int)])
    else:
        y = classes
    X = np.zeros((len(y), model.coefs[0].shape[0]), model.coefs[0].dtype)
    setup = mlp.get_params()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mlp.set_params(
            max_iter=1, early_stopping=False, warm_start=False, verbose=False, batch_size="auto", random_state=0
        )
        mlp.fit(X, y)
        mlp.set_params(**setup)
