"""Presets: named sets of constructor parameters.

* ``"plain"``: the defaults of scikit-learn's `MLPClassifier` and `MLPRegressor`;
* ``"fast"``: an ensemble of four small networks, by the recipe RealMLP-TD (Holzmüller et al., 2024, arXiv 2407.04491);
  two of them embed numbers, and two do not. These are the defaults of the constructors;
* ``"strong"``: the same with eight networks.

The values of the recipe are those of the authors, who tuned them on other data. Exceptions are layers of 64 units
instead of 256, mini-batches of 200 rows instead of 256, the number of epochs, the embeddings, and the number of members
(docs/decisions/0007 and 0023).
"""

from __future__ import annotations

from typing import Any

from skbandit._core.constraints import shown

_PLAIN: dict[str, Any] = {
    "hidden_layer_sizes": (100,),
    "activation": "relu",
    "parametric_activation": False,
    "preprocessing": None,
    "categorical_features": None,
    "numeric_embedding": None,
    "input_scaling": False,
    "parametrization": "standard",
    "weight_init": "glorot_uniform",
    "solver": "adam",
    "alpha": 1e-4,
    "batch_size": "auto",
    "balanced_batches": False,
    "learning_rate": "constant",
    "learning_rate_init": 1e-3,
    "dropout": 0.0,
    "regularization_schedule": "constant",
    "max_iter": 200,
    "tol": 1e-4,
    "early_stopping": False,
    "validation_fraction": 0.1,
    "validation_metric": "score",
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-8,
    "n_iter_no_change": 10,
    "n_members": 1,
    "member_weights": "uniform",
}

_FAST = _PLAIN | {
    "hidden_layer_sizes": (64, 64, 64),
    "parametric_activation": True,
    "preprocessing": "auto",
    "categorical_features": "from_dtype",
    "numeric_embedding": (None, "piecewise_linear"),
    "input_scaling": True,
    "parametrization": "ntk",
    "weight_init": "data_driven",
    "solver": "adamw",
    "alpha": 0.02,
    "balanced_batches": True,
    "learning_rate": "coslog4",
    "dropout": 0.15,
    "regularization_schedule": "flat_cosine",
    "max_iter": "auto",
    "early_stopping": True,
    "validation_fraction": 0.2,
    "beta_2": 0.95,
    "n_iter_no_change": float("inf"),
    "n_members": 4,
    "member_weights": "held_out",
}

_STRONG = _FAST | {"n_members": 8}

_OF_REGRESSION: dict[str, Any] = {"activation": "mish", "learning_rate_init": 0.2, "clip_predictions": True}
_OF_CLASSIFICATION: dict[str, Any] = {
    "activation": "selu",
    "learning_rate_init": 0.04,
    "label_smoothing": 0.1,
    "validation_metric": "loss",
}

#: Parameters by preset and by task.
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "plain": {
        "regression": _PLAIN | {"clip_predictions": False},
        "classification": _PLAIN | {"label_smoothing": 0.0},
    },
    "fast": {
        "regression": _FAST | _OF_REGRESSION,
        "classification": _FAST | _OF_CLASSIFICATION,
    },
    "strong": {
        "regression": _STRONG | _OF_REGRESSION,
        "classification": _STRONG | _OF_CLASSIFICATION,
    },
}


def preset_params(name: str, task: str) -> dict[str, Any]:
    """Return the constructor parameters of a preset, for the constructor or `set_params`.

    Parameters
    ----------
    name : {"plain", "fast", "strong"}
        Name of the preset.
    task : {"regression", "classification"}
        Task of the estimator.

    Returns
    -------
    params : dict
        A new dict. All presets of a task have the same keys.

    Raises
    ------
    ValueError
        If ``name`` or ``task`` is unknown.

    Examples
    --------
    >>> from skbandit.presets import preset_params
    >>> preset_params("strong", "regression")["dropout"]
    0.15
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"The preset must be one of {sorted(PRESETS)}. Got {shown(name)} instead.")
    if not isinstance(task, str) or task not in PRESETS[name]:
        raise ValueError(f"The task must be one of {sorted(PRESETS[name])}. Got {shown(task)} instead.")
    return dict(PRESETS[name][task])


def param_distributions(task: str, prefix: str = "") -> dict[str, Any]:
    """Return a small search space for `sklearn.model_selection.RandomizedSearchCV` and similar searches.

    Parameters
    ----------
    task : {"regression", "classification"}
        Task of the estimator.
    prefix : str, default=""
        Prefix of the parameter names, for an estimator in a pipeline; for example ``"banditprunedmlpregressor__"``.

    Returns
    -------
    distributions : dict of str to list or scipy.stats distribution
        Distribution of each parameter: a SciPy distribution for a number, and a list for values that need other
        compiled programs (each combination is compiled once).

    Raises
    ------
    ValueError
        If ``task`` is unknown.

    Notes
    -----
    The space follows that of RealMLP (Holzmüller et al., 2024, arXiv 2407.04491), with fewer choices and smaller
    layers. In Optuna, a list corresponds to a categorical distribution, and the learning rate to a float distribution
    with ``log=True`` between the bounds of its ``support()``.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import RandomizedSearchCV
    >>> from skbandit import BanditPrunedMLPRegressor
    >>> from skbandit.presets import param_distributions
    >>> X, y = load_diabetes(return_X_y=True)
    >>> space = param_distributions("regression") | {"hidden_layer_sizes": [(16,)], "max_iter": [30]}
    >>> model = BanditPrunedMLPRegressor(random_state=0)
    >>> search = RandomizedSearchCV(model, space, n_iter=2, cv=3, random_state=0).fit(X, y)
    >>> sorted(search.best_params_)[:3]
    ['dropout', 'hidden_layer_sizes', 'learning_rate_init']
    """
    from scipy.stats import loguniform

    preset_params("fast", task)  # raises for an unknown task
    if not isinstance(prefix, str):
        raise ValueError(
            f"The 'prefix' parameter of param_distributions must be a string. Got a {type(prefix).__name__}."
        )
    space: dict[str, Any] = {
        "hidden_layer_sizes": [(64, 64, 64), (128, 128, 128), (256, 256, 256)],
        "numeric_embedding": [None, "periodic", "piecewise_linear", (None, "piecewise_linear")],
        "learning_rate_init": loguniform(0.05, 0.5) if task == "regression" else loguniform(0.01, 0.15),
        "dropout": [0.0, 0.15, 0.3],
        "pruning_ratio": [0.25, 0.5, 0.75],
    }
    if task == "classification":
        space["label_smoothing"] = [0.0, 0.1]
    return {prefix + name: values for name, values in space.items()}
