"""To and from scikit-learn's own MLP, through its public interface only."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.validation import check_is_fitted

from skbandit.estimators._fitted import NETWORK_PARAMETERS
from skbandit.presets import preset_params

#: Fitted attributes that carry over by name.
_CARRIED = ("loss_", "best_loss_", "loss_curve_", "validation_scores_", "best_validation_score_", "n_iter_", "t_")


def to_sklearn(estimator: Any) -> MLPClassifier | MLPRegressor:
    """Return a fitted scikit-learn MLP with the network of ``estimator``."""
    check_is_fitted(estimator)
    target = MLPClassifier if is_classifier(estimator) else MLPRegressor
    known = target().get_params()
    obstacles = _obstacles(estimator)
    if obstacles:
        raise ValueError(
            f"scikit-learn's {target.__name__} cannot do what this network does: {'; '.join(obstacles)}. An estimator "
            "that can be handed over is made by from_preset('plain')."
        )
    params = {name: value for name, value in estimator.get_params(deep=False).items() if name in known}
    params["hidden_layer_sizes"] = tuple(estimator.hidden_layer_sizes_)
    params["activation"] = estimator._activation
    if "loss" in known:
        params["loss"] = estimator._loss
    if not isinstance(params["max_iter"], int):
        params["max_iter"] = max(int(estimator.n_iter_), 1)
    # Parameters of the training that scikit-learn does not have are of no use to a network that is trained.
    if params["solver"] == "adamw":
        params["alpha"] = known["alpha"]  # decoupled weight decay is another quantity
    if params["solver"] not in ("adam", "sgd", "lbfgs"):
        params["solver"] = "adam"
    if params["learning_rate"] not in ("constant", "invscaling", "adaptive"):
        params["learning_rate"] = "constant"
    model = target(**params)

    # A fit on one row per class sets up everything that prediction needs; then the network is put in its place.
    n_features, n_outputs = estimator.coefs_[0].shape[0], estimator.coefs_[-1].shape[1]
    if is_classifier(estimator):
        y = np.eye(n_outputs, dtype=int) if estimator._multilabel else estimator.classes_
        if estimator._multilabel:
            y = np.vstack([y, np.zeros_like(y[:1])])
    else:
        y = np.zeros((2, n_outputs)) if n_outputs > 1 else np.zeros(2)
    dtype = estimator.coefs_[0].dtype
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        setup = model.get_params()
        model.set_params(
            max_iter=1, early_stopping=False, warm_start=False, verbose=False, batch_size="auto", random_state=0
        )
        model.fit(np.zeros((len(y), n_features), dtype), y)
        model.set_params(**setup)
    model.coefs_ = [W.copy() for W in estimator.coefs_]
    model.intercepts_ = [b.copy() for b in estimator.intercepts_]
    for name in _CARRIED:
        if hasattr(estimator, name):
            setattr(model, name, getattr(estimator, name))
    if hasattr(estimator, "feature_names_in_"):
        model.feature_names_in_ = estimator.feature_names_in_
    return model


def _obstacles(estimator: Any) -> list[str]:
    """Say what of a fitted estimator has no counterpart in scikit-learn's MLP."""
    if estimator.n_members_ > 1:
        return [f"it averages {estimator.n_members_} networks (hand over one of estimators_)"]
    found = []
    if estimator._activation not in ("identity", "logistic", "tanh", "relu"):
        found.append(
            f"its activation is {estimator._activation!r} (there are 'identity', 'logistic', 'tanh' and 'relu')"
        )
    if estimator._parametric:
        found.append("its activations have slopes ('parametric_activation')")
    if estimator._encoder is not None:
        found.append("it scales, clips or encodes its inputs ('preprocessing', 'categorical_features')")
    if not estimator._inputs.is_identity:
        found.append("it embeds its inputs ('numeric_embedding', 'categorical_features')")
    if getattr(estimator, "_y_range", None) is not None:
        found.append("it clips its predictions ('clip_predictions')")
    return found


def from_sklearn(cls: type, model: MLPClassifier | MLPRegressor, **params: Any) -> Any:
    """Return a fitted ``cls`` with the network of a fitted scikit-learn MLP."""
    wanted = MLPClassifier if is_classifier(cls()) else MLPRegressor
    if not isinstance(model, wanted):
        raise ValueError(f"{cls.__name__}.from_sklearn takes a fitted {wanted.__name__}. Got {model!r}.")
    check_is_fitted(model)
    if len(model.coefs_) < 2:
        raise ValueError("The MLP has no hidden layer: there is nothing to prune.")
    if is_classifier(model) and len(model.classes_) < 2:
        raise ValueError(f"The MLP was fitted to one class only: {model.classes_}.")
    task = "classification" if is_classifier(model) else "regression"
    known = cls().get_params(deep=False)
    plain = preset_params("plain", task)
    carried = {name: value for name, value in model.get_params().items() if name in known}
    given = plain | carried
    for name in ("hidden_layer_sizes", "loss", *NETWORK_PARAMETERS):
        if name in params and params[name] != given.get(name):
            raise ValueError(f"{name!r} describes the network that is taken over: it is {given.get(name)!r}.")
    estimator = cls(**{**given, **params})
    estimator.n_features_in_ = model.n_features_in_
    if hasattr(model, "feature_names_in_"):
        estimator.feature_names_in_ = model.feature_names_in_
    estimator.loss_curve_, estimator.t_ = [], 0  # scikit-learn's lbfgs keeps no curve
    for name in _CARRIED:
        setattr(estimator, name, getattr(model, name, [] if name == "loss_curve_" else None))
    estimator._adopt([np.array(W) for W in model.coefs_], [np.array(b) for b in model.intercepts_], model)
    return estimator
