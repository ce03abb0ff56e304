"""What is compared. All models are at the default parameters of their library, unless a line here says otherwise.

A model is given one of these:

``"matrix"``
    numbers without gaps: medians for missing values, scaled columns, one-hot categories (`datasets.preprocessing`);
``"frame"``
    the columns as they are, ``float64`` and ``category``, missing values left in;
``"filled"``
    the frame with medians for missing numbers and a category of their own for missing categories.

What that takes is fitted on the training rows alone and is a part of the model: of its times and of its bytes.

Our estimators are named ``preset-members @ratio``: ``default-4 @0.5`` is ``cls()`` with half of its hidden units
pruned, ``default-1`` is ``cls(n_members=1)``, and ``strong-8 @auto`` is ``cls.from_preset("strong")`` pruned as far as
the held-out loss allows.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn import ensemble, gaussian_process, linear_model, neighbors, neural_network, svm
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from benchmarks.common import datasets
from benchmarks.common.machine import n_cores
from benchmarks.tabular import earlier

TASKS = ("regression", "classification")


class Info(NamedTuple):
    """What a builder may want to know of the training rows."""

    n_rows: int
    n_features: int
    categorical: tuple[int, ...]
    """Positions of the columns that hold categories."""
    n_classes: int | None


class Model(NamedTuple):
    """How a model is built, and what it needs."""

    build: Callable[[str, int, Info], Any]
    """Takes task, seed and `Info`; returns an unfitted estimator."""
    inputs: str = "matrix"
    tasks: tuple[str, ...] = TASKS
    package: str = "sklearn"
    """What has to be installed."""
    max_rows: int | None = None
    """More training rows than this take too long."""
    optional: bool = False
    """Run only where it is asked for by name."""

    def obstacle(self, info: Info) -> str | None:
        """Say why the model cannot run; None if it can."""
        if importlib.util.find_spec(self.package) is None:
            return f"{self.package} is not installed"
        if self.max_rows is not None and info.n_rows > self.max_rows:
            return f"more than {self.max_rows} training rows"
        return None


# ---------------------------------------------------------------------- inputs


class Filled(TransformerMixin, BaseEstimator):
    """Medians for missing numbers, the category "missing" for missing categories; names that every library takes."""

    def fit(self, X: pd.DataFrame, y: Any = None) -> Filled:
        """Learn the medians."""
        self.medians_ = X.select_dtypes("number").median().fillna(0.0)
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return a frame without gaps."""
        filled = X.fillna(self.medians_)
        for name in X.select_dtypes("category"):
            filled[name] = filled[name].cat.add_categories("missing").fillna("missing")
        return plain_names(filled)


def plain_names(X: pd.DataFrame) -> pd.DataFrame:
    """Number the columns: some libraries refuse names with brackets."""
    return X.set_axis([f"x{i}" for i in range(X.shape[1])], axis=1)


def string_categories(X: pd.DataFrame) -> pd.DataFrame:
    """Make strings of categories, also of missing ones, as CatBoost wants them."""
    X = plain_names(X)
    return X.assign(**{c: X[c].astype("object").fillna("missing") for c in X.select_dtypes("category")})


def prepared(model: Any, inputs: str) -> Pipeline:
    """Put in front of a model what its kind of inputs takes."""
    first = {
        "matrix": datasets.preprocessing,
        "frame": lambda: FunctionTransformer(plain_names),
        "filled": Filled,
        "strings": lambda: FunctionTransformer(string_categories),
    }
    return make_pipeline(first[inputs](), model)


def scaled_target(model: Any) -> TransformedTargetRegressor:
    """Standardise the target, for models whose defaults are meant for such."""
    return TransformedTargetRegressor(model, transformer=StandardScaler())


# ---------------------------------------------------------------------- standard models


def _by_task(regressor: Callable[..., Any], classifier: Callable[..., Any], **params: Any):
    """Build one of two classes, which take ``random_state`` and the same parameters."""

    def build(task: str, seed: int, info: Info) -> Any:
        return (regressor if task == "regression" else classifier)(random_state=seed, **params)

    return build


def _xgboost(task: str, seed: int, info: Info) -> Any:
    import xgboost

    cls = xgboost.XGBRegressor if task == "regression" else xgboost.XGBClassifier
    return cls(enable_categorical=True, n_jobs=n_cores(), random_state=seed)


def _lightgbm(task: str, seed: int, info: Info) -> Any:
    import lightgbm

    cls = lightgbm.LGBMRegressor if task == "regression" else lightgbm.LGBMClassifier
    return cls(n_jobs=n_cores(), random_state=seed, verbose=-1)


def _catboost(task: str, seed: int, info: Info) -> Any:
    import catboost

    cls = catboost.CatBoostRegressor if task == "regression" else catboost.CatBoostClassifier
    quiet = {"verbose": False, "allow_writing_files": False}
    return cls(cat_features=list(info.categorical), thread_count=n_cores(), random_seed=seed, **quiet)


def _realmlp(n_cv: int):
    def build(task: str, seed: int, info: Info) -> Any:
        import logging

        from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

        for name in ("pytorch_lightning", "lightning"):
            logging.getLogger(name).setLevel(logging.ERROR)
        cls = RealMLP_TD_Regressor if task == "regression" else RealMLP_TD_Classifier
        return cls(device="cpu", n_threads=n_cores(), n_cv=n_cv, random_state=seed)

    return build


def _tabm(task: str, seed: int, info: Info) -> Any:
    from pytabkit import TabM_D_Classifier, TabM_D_Regressor

    cls = TabM_D_Regressor if task == "regression" else TabM_D_Classifier
    return cls(device="cpu", n_threads=n_cores(), random_state=seed)


def _mlp(task: str, seed: int, info: Info) -> Any:
    if task == "regression":
        return scaled_target(neural_network.MLPRegressor(random_state=seed))
    return neural_network.MLPClassifier(random_state=seed)


def _knn(task: str, seed: int, info: Info) -> Any:
    cls = neighbors.KNeighborsRegressor if task == "regression" else neighbors.KNeighborsClassifier
    return cls(n_jobs=-1)


def _svm(task: str, seed: int, info: Info) -> Any:
    return scaled_target(svm.SVR()) if task == "regression" else svm.SVC(random_state=seed)


def _gaussian_process(task: str, seed: int, info: Info) -> Any:
    kernel = RBF() + WhiteKernel()  # the default kernel has no noise, and interpolates
    return gaussian_process.GaussianProcessRegressor(kernel, normalize_y=True, random_state=seed)


class Bart(RegressorMixin, BaseEstimator):
    """Bayesian additive regression trees: the mean over the posterior.

    By its defaults stochtree draws 100 times after 5 sweeps that grow trees from the root, and burns nothing in; here
    the chain is longer. Categories are numbered.

    Parameters
    ----------
    n_warm_up, n_burn_in, n_draws : int
        Sweeps that grow trees from the root, draws that are thrown away, draws of the posterior.
    random_state : int
    """

    def __init__(self, n_warm_up: int = 10, n_burn_in: int = 100, n_draws: int = 200, random_state: int = 0) -> None:
        self.n_warm_up, self.n_burn_in, self.n_draws = n_warm_up, n_burn_in, n_draws
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: np.ndarray) -> Bart:
        """Draw from the posterior."""
        from stochtree import BARTModel

        self.model_ = BARTModel()
        self.model_.sample(
            X_train=category_codes(X),
            y_train=np.asarray(y, float),
            num_gfr=self.n_warm_up,
            num_burnin=self.n_burn_in,
            num_mcmc=self.n_draws,
            general_params={"random_seed": self.random_state},
        )
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return the posterior mean."""
        return np.asarray(self.model_.predict(X=category_codes(X), type="mean", terms="y_hat"))

    def __getstate__(self) -> dict[str, Any]:
        """Write the trees as text: their objects cannot be pickled."""
        state = dict(super().__getstate__())
        if "model_" in state:
            state["model_"] = state["model_"].to_json()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Read the trees."""
        super().__setstate__(state)
        if "model_" in state:
            from stochtree import BARTModel

            self.model_ = BARTModel()
            self.model_.from_json(state["model_"])


def category_codes(X: pd.DataFrame) -> np.ndarray:
    """Number the categories of each column."""
    return X.assign(**{c: X[c].cat.codes for c in X.select_dtypes("category")}).to_numpy(float)


MODELS = {
    "ridge": Model(lambda task, seed, info: linear_model.Ridge(), tasks=("regression",)),
    # Lasso's default penalty, 1, is absurd on any scale: on a standardised target it is above the largest penalty that
    # leaves a coefficient (the largest correlation), elsewhere it depends on the unit. LassoCV finds one itself.
    "lasso": Model(lambda task, seed, info: linear_model.LassoCV(n_jobs=-1, random_state=seed), tasks=("regression",)),
    "logistic": Model(
        lambda task, seed, info: linear_model.LogisticRegression(random_state=seed), tasks=("classification",)
    ),
    "knn": Model(_knn),
    "svm": Model(_svm),  # SVC gives no probabilities by default: no log loss
    "gaussian process": Model(_gaussian_process, tasks=("regression",), max_rows=1500),
    "random forest": Model(_by_task(ensemble.RandomForestRegressor, ensemble.RandomForestClassifier, n_jobs=-1)),
    "extra trees": Model(_by_task(ensemble.ExtraTreesRegressor, ensemble.ExtraTreesClassifier, n_jobs=-1)),
    "gradient boosting": Model(_by_task(ensemble.GradientBoostingRegressor, ensemble.GradientBoostingClassifier)),
    "hist. gradient boosting": Model(
        _by_task(ensemble.HistGradientBoostingRegressor, ensemble.HistGradientBoostingClassifier), "frame"
    ),
    "XGBoost": Model(_xgboost, "frame", package="xgboost"),
    "LightGBM": Model(_lightgbm, "frame", package="lightgbm"),
    "CatBoost": Model(_catboost, "strings", package="catboost"),
    "BART": Model(
        lambda task, seed, info: Bart(random_state=seed), "filled", tasks=("regression",), package="stochtree"
    ),
    "sklearn MLP": Model(_mlp),
    "RealMLP": Model(_realmlp(1), "filled", package="pytabkit"),
    "RealMLP-4": Model(_realmlp(4), "filled", package="pytabkit", optional=True),
    # 32 networks that share most of their weights (arXiv 2410.24210).
    "TabM": Model(_tabm, "filled", package="pytabkit", optional=True),
}

# ---------------------------------------------------------------------- our estimators

OURS = (
    *("default-4 @0", "default-4 @0.5", "default-4 @auto"),
    *("strong-8 @0", "strong-8 @0.5", "strong-8 @auto"),
    "default-1 @0.5",
)
#: Like `OURS`, run only where they are asked for by name, as is any other name of the same form.
OURS_OPTIONAL = ("plain-1 @0", "plain-1 @0.5", "earlier_fast-1 @0", "earlier_fast-1 @0.5", "earlier_strong-4 @0.5")

_OURS_NAME = re.compile(r"(?P<family>(?P<preset>[a-z_]+)-(?P<members>\d+)) @(?P<ratio>auto|0|0?\.\d+)$")


class Ours(NamedTuple):
    """A name of ours, taken apart. What shares ``family`` is pruned from one dense model."""

    family: str
    preset: str
    n_members: int
    ratio: float | str

    @classmethod
    def of(cls, name: str) -> Ours | None:
        """Take a name apart; None if it is not of our form."""
        found = _OURS_NAME.match(name)
        if found is None:
            return None
        ratio = found["ratio"] if found["ratio"] == "auto" else float(found["ratio"])
        return cls(found["family"], found["preset"], int(found["members"]), ratio)

    def build(self, task: str, seed: int, **params: Any) -> Any:
        """Return the unfitted estimator, not pruned."""
        return our_estimator(task, self.preset, self.n_members, seed, **{"pruning_ratio": 0} | params)


def our_estimator(task: str, preset: str, n_members: int, seed: int, **params: Any) -> Any:
    """Return an unfitted estimator of ours.

    The preset "default" is the constructor's, and "earlier_fast" and "earlier_strong" are those of `earlier`.
    """
    from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor

    cls = BanditPrunedMLPRegressor if task == "regression" else BanditPrunedMLPClassifier
    if preset == "default":
        return cls(random_state=seed, n_members=n_members, **params)
    if preset.startswith("earlier_"):
        own = {"n_members": n_members, "random_state": seed} | params
        return earlier.estimator(preset.removeprefix("earlier_"), task, **own)
    return cls.from_preset(preset, n_members=n_members, random_state=seed, **params)


def takes_frames(model: Any) -> bool:
    """Whether an estimator says that it takes categories and missing values as they are."""
    return model.categorical_features is not None and model.__sklearn_tags__().input_tags.allow_nan


# ---------------------------------------------------------------------- choice


def default_names() -> list[str]:
    """Names of all models that run without being asked for."""
    return [name for name, model in MODELS.items() if not model.optional] + list(OURS)


def check_names(names: Sequence[str]) -> None:
    """Raise ValueError for a name that stands for no model."""
    unknown = [name for name in names if name not in MODELS and Ours.of(name) is None]
    if unknown:
        known = ", ".join([*MODELS, *OURS, *OURS_OPTIONAL])
        raise ValueError(f"No model {', '.join(unknown)}. There are: {known}, and others of the form of the last.")


def families(names: Sequence[str], task: str) -> dict[str, list[str]]:
    """Group the names that run on a task by what is fitted together."""
    groups: dict[str, list[str]] = {}
    for name in names:
        ours = Ours.of(name)
        if ours is not None:
            groups.setdefault(ours.family, []).append(name)
        elif task in MODELS[name].tasks:
            groups[name] = [name]
    return groups


def last_step(model: Any) -> Any:
    """Return what does the predicting inside pipelines and target transformers."""
    while isinstance(model, (Pipeline, TransformedTargetRegressor)):
        model = model[-1] if isinstance(model, Pipeline) else model.regressor_
    return model


def n_parameters(model: Any) -> tuple[int, int] | None:
    """Numbers of weights that were trained, before and after pruning; None where it means nothing."""
    model = last_step(model)
    if hasattr(model, "n_parameters_"):
        before, after = model.n_parameters_
        return int(before), int(after)
    if isinstance(model, (neural_network.MLPRegressor, neural_network.MLPClassifier)):
        size = sum(array.size for array in [*model.coefs_, *model.intercepts_])
    elif hasattr(model, "coef_") and hasattr(model, "intercept_") and isinstance(model.coef_, np.ndarray):
        size = model.coef_.size + np.size(model.intercept_)
    else:
        return None
    return size, size


def hidden_layer_sizes(model: Any) -> list[Any] | None:
    """Widths of the hidden layers that are left, for ours; of every member where there are several."""
    model = last_step(model)
    return list(model.hidden_layer_sizes_) if hasattr(model, "hidden_layer_sizes_") else None
