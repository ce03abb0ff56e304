"""One compilation serves many fits: hyper-parameters, budgets and row counts are data.

The widths of these networks appear in no other test: what the process compiled before would hide a compilation.
"""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbandit import BanditPrunedMLPRegressor
from skbandit.criteria import CRITERIA
from skbandit.policies import POLICIES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SIX = ("epsilon_greedy", "softmax", "ucb1", "thompson", "hedge", "exp3")


def test_a_grid_over_policy_and_budget_compiles_once_per_policy(compilations):
    X, y = load_diabetes(return_X_y=True)
    model = BanditPrunedMLPRegressor((17,), n_members=1, max_iter=3, n_rounds=2, fine_tune_iter=1, random_state=0)
    prefix = "banditprunedmlpregressor__"
    grid = {f"{prefix}policy": SIX, f"{prefix}budget": [2, 8, 32]}
    # Three folds leave 294 or 295 rows for training: one bucket. The refit on all 442 rows is another.
    search = GridSearchCV(make_pipeline(StandardScaler(), model), grid, cv=3, refit=False).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert compilations.count("jit(run_chunk)") == 1
    assert compilations.count("jit(_score)") == len(SIX)


def test_members_that_read_the_same_features_share_their_programs(make_data, compilations):
    data = make_data("regression")
    params = {"max_iter": 3, "fine_tune_iter": 1, "random_state": 0}
    BanditPrunedMLPRegressor((19,), n_members=4, **params).fit(data.X, data.y)
    assert compilations.count("jit(run_chunk)") == 2  # two of the four embed
    del compilations[:]
    BanditPrunedMLPRegressor((19,), n_members=8, **params).fit(data.X, data.y)
    assert compilations.count("jit(run_chunk)") == compilations.count("jit(_score)") == 0


@pytest.mark.parametrize("policy", sorted({**POLICIES, **CRITERIA}))
def test_every_policy_and_criterion_compiles_once(policy, short, make_data, regressor, compilations):
    """Budget, ratio, rounds, seed, scope, rows of the same bucket and hyper-parameters are data."""
    data = make_data("regression")
    base = {"hidden_layer_sizes": (11,), "policy": short(policy)}
    regressor(**base).fit(data.X, data.y)
    # What needs no state of its own from round to round compiles no `_init`.
    first = {name: compilations.count(f"jit({name})") for name in ("_score", "_init")}
    assert first["_score"] == 1
    assert first["_init"] <= 1
    fields = POLICIES[policy]().get_params() if policy in POLICIES else {}
    numbers = {f"policy__{name}": 0.7 for name, value in fields.items() if isinstance(value, float)}
    for params in (
        {"budget": 3, "pruning_ratio": 0.3, "n_rounds": 1, "scope": "layer", "random_state": 5},
        {"budget": 64.0, "pruning_ratio": "auto", "ablation": "zero", "alpha": 1, **numbers},
    ):
        regressor(**base).set_params(**params).fit(data.X[:-3], data.y[:-3])
    assert {name: compilations.count(f"jit({name})") for name in first} == first


def test_hyper_parameters_are_data(make_data, regressor, compilations):
    data = make_data("regression")
    base = {"hidden_layer_sizes": (9,)}
    regressor(**base).fit(data.X, data.y)
    counts = compilations.count("jit(run_chunk)"), compilations.count("jit(_score)")
    assert counts == (1, 1)
    for params in (
        {"alpha": 1, "learning_rate_init": 1, "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3},
        {"max_iter": 7, "tol": 0, "n_iter_no_change": np.inf, "shuffle": False, "learning_rate": "cosine"},
        {"budget": 3, "pruning_ratio": 0.3, "n_rounds": 1, "scope": "layer", "fine_tune_iter": 3, "random_state": 5},
        {"pruning_ratio": 0, "ablation": "zero", "compensate": False, "power_t": 1, "warm_start": True},
        {"policy__exploration": 2, "pruning_ratio": "auto", "tolerance": 1},
        {"parametrization": "ntk", "learning_rate": "coslog4", "regularization_schedule": "flat_cosine"},
        {"weight_init": "data_driven", "preprocessing": "auto", "clip_predictions": True, "max_iter": "auto"},
        {"validation_metric": "loss", "calibration": "all", "n_members": 2},
    ):
        regressor(**base).set_params(**params).fit(data.X, data.y)
    # Other rows of the same bucket, other types.
    regressor(**base).fit(data.X[:31].astype(np.float32), data.y[:31].astype(np.float32))
    regressor(**base).fit(data.X, data.y, sample_weight=np.arange(60))
    regressor(**base).fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)
    # The same network again, from what it was before it was pruned.
    dense = regressor(pruning_ratio=0, **base).fit(data.X, data.y)
    for ratio in (0.2, 0.5, 0.9):
        dense.prune(data.X, data.y, pruning_ratio=ratio)
    assert (compilations.count("jit(run_chunk)"), compilations.count("jit(_score)")) == counts


@pytest.mark.parametrize("params", [{}, {"early_stopping": True, "dropout": 0.2, "parametric_activation": True}])
def test_members_share_their_programs(params, make_data, classifier, compilations):
    data = make_data("multi-class")
    base = {"hidden_layer_sizes": (13,), **params}
    classifier(n_members=3, **base).fit(data.X, data.y)
    counts = compilations.count("jit(run_chunk)"), compilations.count("jit(_score)")
    assert counts == (1, 1)
    # And so do networks that are trained in another way.
    changes = {"label_smoothing": 0.1, "validation_metric": "loss", "regularization_schedule": "cosine"}
    if params:
        changes |= {"dropout": 0.5}
    classifier(**{**base, **changes}).fit(data.X, data.y)
    assert (compilations.count("jit(run_chunk)"), compilations.count("jit(_score)")) == counts


def test_prediction_compiles_nothing(make_data, regressor, compilations):
    data = make_data("regression")
    model = regressor().fit(data.X, data.y)
    del compilations[:]
    for n in (1, 7, 40):
        model.predict(data.X_val[:n])
    assert compilations == []
