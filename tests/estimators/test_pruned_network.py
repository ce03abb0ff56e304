"""What a fit leaves of the network: sizes, arrays, records, and the choice of the policy."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbandit.criteria import CRITERIA, Bandit, BudgetedGreedy, GreedyLeaveOneOut, LeaveOneOut, Magnitude
from skbandit.policies import POLICIES, UCB1, EpsilonGreedy

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RECORD = {
    *("round", "n_removed", "sizes", "n_pulls", "damage_predicted", "damage_measured", "loss_before"),
    *("loss_repaired", "loss_after", "fine_tuned", "seconds", "scope"),
}


def relu_network(X, coefs, intercepts, gates):
    for W, b, gate in zip(coefs[:-1], intercepts[:-1], gates, strict=True):
        X = np.maximum(X @ W + b, 0) * gate
    return X @ coefs[-1] + intercepts[-1]


def gates_of(model, sizes):
    return [np.isin(np.arange(size), kept).astype(float) for size, kept in zip(sizes, model.kept_units_, strict=True)]


# ---------------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    ("sizes", "ratio", "left"),
    [
        ((8,), 0, 8),
        ((8,), 0.5, 4),
        ((8,), 0.3, 6),  # 2.4 units: the fraction stays
        ((8,), 0.99, 1),
        ((8,), 0.01, 8),
        ((6, 4), 0.5, 5),
        ((6, 4), 0.99, 2),  # a layer is never emptied
    ],
)
def test_the_ratio_says_how_many_units_leave(sizes, ratio, left, make_data, regressor):
    data = make_data("regression")
    model = regressor(hidden_layer_sizes=sizes, pruning_ratio=ratio).fit(data.X, data.y)
    assert sum(model.hidden_layer_sizes_) == left
    assert min(model.hidden_layer_sizes_) >= 1
    assert tuple(len(kept) for kept in model.kept_units_) == model.hidden_layer_sizes_
    widths = (4, *model.hidden_layer_sizes_, 1)
    assert [W.shape for W in model.coefs_] == list(pairwise(widths))
    assert [b.shape for b in model.intercepts_] == [(n,) for n in widths[1:]]
    assert model.n_layers_ == len(sizes) + 2
    assert model.n_parameters_[1] == sum(a.size for a in (*model.coefs_, *model.intercepts_))
    assert model.n_macs_[1] == sum(W.size for W in model.coefs_)
    dense = list(pairwise((4, *sizes, 1)))
    assert model.n_parameters_[0] == sum(m * n + n for m, n in dense)
    assert model.n_macs_[0] == sum(m * n for m, n in dense)


def test_scope_layer_takes_the_same_share_of_each_layer(make_data, regressor):
    data = make_data("regression")
    model = regressor(hidden_layer_sizes=(6, 4), scope="layer").fit(data.X, data.y)
    assert model.hidden_layer_sizes_ == (3, 2)


def test_by_default_each_round_removes_the_better_of_two_sets(make_data, regressor):
    data = make_data("regression")
    taken = set()
    for seed in range(6):
        first = {}
        for params in ({}, {"scope": "global"}, {"scope": "layer"}):
            options = {"hidden_layer_sizes": (12, 8), "n_rounds": 1, "random_state": seed, "fine_tune_iter": 0}
            (record,) = regressor(**options, **params).fit(data.X, data.y).pruning_history_
            first[params.get("scope", "default")] = record
        better = min(("global", "layer"), key=lambda scope: first[scope]["loss_repaired"])
        assert first["default"]["loss_repaired"] == first[better]["loss_repaired"]
        assert first["default"]["sizes"] == first[better]["sizes"]
        taken.add(first["default"]["scope"])
    assert taken == {"global", "layer"}


@pytest.mark.parametrize("sizes", [8, (8,), [8], np.array([8])])
def test_sizes_may_be_a_number_or_a_sequence(sizes, make_data, regressor):
    data = make_data("regression")
    assert regressor(hidden_layer_sizes=sizes, pruning_ratio=0).fit(data.X, data.y).hidden_layer_sizes_ == (8,)


# ---------------------------------------------------------------------- arrays


@pytest.mark.parametrize("n_rounds", [1, 2])
@pytest.mark.parametrize("sizes", [(8,), (6, 4)])
def test_the_compact_network_is_the_gated_one(sizes, n_rounds, make_data, regressor):
    data = make_data("regression")
    params = {"hidden_layer_sizes": sizes, "ablation": "zero", "compensate": False, "fine_tune_iter": 0}
    dense = regressor(pruning_ratio=0, **params).fit(data.X, data.y)
    model = regressor(n_rounds=n_rounds, **params).fit(data.X, data.y)
    assert sum(model.hidden_layer_sizes_) == sum(sizes) // 2
    # Nothing is trained or repaired: what is left are the slices of the trained network that kept_units_ names.
    kept = [np.arange(4), *model.kept_units_, np.arange(1)]
    for W, W_dense, rows, columns in zip(model.coefs_, dense.coefs_, kept[:-1], kept[1:], strict=True):
        np.testing.assert_array_equal(W, W_dense[np.ix_(rows, columns)])
    gated = relu_network(data.X, dense.coefs_, dense.intercepts_, gates_of(model, sizes))
    np.testing.assert_allclose(model.predict(data.X), gated.ravel(), rtol=1e-5, atol=1e-5)


def test_a_unit_masked_by_its_mean_leaves_its_mean_in_the_bias(make_data, regressor):
    data = make_data("regression")
    params = {"ablation": "mean", "compensate": False, "fine_tune_iter": 0, "n_rounds": 1}
    dense = regressor(pruning_ratio=0, **params).fit(data.X, data.y)
    model = regressor(**params).fit(data.X, data.y)
    hidden = np.maximum(data.X @ dense.coefs_[0] + dense.intercepts_[0], 0)
    gone = np.setdiff1d(np.arange(8), model.kept_units_[0])
    expected = dense.intercepts_[1] + hidden.mean(axis=0)[gone] @ dense.coefs_[1][gone]
    np.testing.assert_allclose(model.intercepts_[1], expected, rtol=1e-5)
    assert model.predict(data.X).mean() == pytest.approx(dense.predict(data.X).mean(), rel=1e-5)


def test_compensation_is_the_least_squares_fit_of_what_left(make_data, regressor):
    data = make_data("regression")
    params = {"fine_tune_iter": 0, "n_rounds": 1}
    dense = regressor(pruning_ratio=0).fit(data.X, data.y).predict(data.X)
    repaired = regressor(compensate=True, **params).fit(data.X, data.y).predict(data.X)
    masked = regressor(compensate=False, **params).fit(data.X, data.y).predict(data.X)
    assert np.mean((repaired - dense) ** 2) < np.mean((masked - dense) ** 2)


def test_digits_lose_half_their_units_and_nearly_half_their_pickle(classifier):
    X, y = load_digits(return_X_y=True)
    X, y = X[:400] / 16, y[:400]
    params = {"hidden_layer_sizes": (128,), "max_iter": 20, "learning_rate_init": 0.01}
    dense = classifier(pruning_ratio=0, **params).fit(X, y)
    model = classifier(**params).fit(X, y)
    assert sum(model.hidden_layer_sizes_) == 64
    assert len(pickle.dumps(model)) <= 0.55 * len(pickle.dumps(dense))
    assert model.score(X, y) > dense.score(X, y) - 0.02


# ---------------------------------------------------------------------- records


def test_the_history_tells_of_every_round(make_data, regressor):
    data = make_data("regression")
    model = regressor(n_rounds=3, pruning_ratio=0.75).fit(data.X, data.y)
    history = model.pruning_history_
    assert [record["round"] for record in history] == [0, 1, 2]
    assert all(set(record) == RECORD for record in history)
    left = 8
    for record in history:
        left -= record["n_removed"]
        assert record["sizes"] == (left,)
    assert left == 2
    assert sum(record["n_pulls"] for record in history) == model.n_pulls_
    for before, after in pairwise(history):
        assert after["loss_before"] == before["loss_after"]
    residual = (model.predict(data.X) - data.y) / data.y.std()
    assert history[-1]["loss_after"] == pytest.approx(0.5 * np.mean(residual**2), rel=1e-4)
    assert model.pruning_status_ == "removed 6 of 8 units in 3 rounds"


def test_a_fit_that_prunes_nothing_says_so(make_data, regressor):
    data = make_data("regression")
    model = regressor(pruning_ratio=0).fit(data.X, data.y)
    assert (model.pruning_history_, model.n_pulls_) == ([], 0)
    assert model.pruning_status_.startswith("removed 0 of 8 units")


def test_the_damage_of_one_removal_is_what_the_pulls_predicted(make_data, regressor):
    data = make_data("regression")
    # One unit leaves, all rows are in one mini-batch: the estimate is exact.
    model = regressor(pruning_ratio=0.125, n_rounds=1, fine_tune_iter=0).fit(data.X, data.y)
    (record,) = model.pruning_history_
    assert record["n_removed"] == 1
    assert record["damage_predicted"] == pytest.approx(record["damage_measured"], rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("budget", [1, 2.5, 8])
def test_pulls_stay_within_the_budget(budget, make_data, regressor):
    data = make_data("regression")
    model = regressor(budget=budget, n_rounds=4).fit(data.X, data.y)
    assert 8 <= model.n_pulls_ <= budget * 8
    assert model.hidden_layer_sizes_ == (4,)


# ---------------------------------------------------------------------- policies


@pytest.mark.parametrize("name", [*POLICIES, *CRITERIA])
def test_every_policy_and_criterion_prunes_by_name(name, make_data, regressor):
    data = make_data("regression")
    model = regressor(policy=name).fit(data.X, data.y)
    assert model.hidden_layer_sizes_ == (4,)
    pulls = name in POLICIES or issubclass(CRITERIA[name], (Bandit, LeaveOneOut, GreedyLeaveOneOut, BudgetedGreedy))
    # Who measures damages keeps what matters; of the others none is worse than the mean, with repair and fine-tuning.
    assert model.score(data.X, data.y) > (0.6 if pulls else 0.0)
    assert model.policy == name
    assert (model.n_pulls_ > 0) == pulls


def test_magnitude_removes_the_units_of_small_weights(make_data, regressor):
    data = make_data("regression")
    dense = regressor(pruning_ratio=0).fit(data.X, data.y)
    norm = np.linalg.norm(np.vstack([dense.coefs_[0], dense.intercepts_[0]]), axis=0)
    model = regressor(policy="magnitude", n_rounds=1).fit(data.X, data.y)
    np.testing.assert_array_equal(model.kept_units_[0], np.sort(norm.argsort()[4:]))


@pytest.mark.parametrize("policy", [UCB1(exploration=0.5), Bandit(policy=UCB1(exploration=0.5)), Magnitude(of="out")])
def test_a_policy_or_criterion_object_prunes(policy, make_data, regressor):
    data = make_data("regression")
    model = regressor(policy=policy)
    assert clone(model).policy == policy
    assert model.fit(data.X, data.y).hidden_layer_sizes_ == (4,)
    assert model.policy is policy


def test_fields_of_the_policy_are_parameters(regressor):
    model = regressor(policy=UCB1(exploration=0.5))
    assert model.get_params()["policy__exploration"] == 0.5
    policy = model.policy
    model.set_params(policy__exploration=2.0)
    assert model.policy == UCB1(exploration=2.0)
    assert policy == UCB1(exploration=0.5)  # it may be shared with other estimators
    assert clone(model).policy == UCB1(exploration=2.0)


def test_fields_of_a_policy_given_by_name_are_parameters(regressor):
    model = regressor(policy="ucb1").set_params(policy__exploration=2)
    assert model.policy == UCB1(exploration=2)
    # In one call the policy comes first, whatever the order.
    model.set_params(policy__epsilon=0.3, policy="epsilon_greedy")
    assert model.policy == EpsilonGreedy(epsilon=0.3)
    with pytest.raises(
        ValueError, match=r"Invalid parameter 'epsylon' for EpsilonGreedy\. Valid parameters are:.*epsilon"
    ):
        model.set_params(policy__epsylon=0.3)


def test_grid_search_reaches_into_the_policy(make_data, regressor):
    data = make_data("regression")
    pipeline = make_pipeline(StandardScaler(), regressor(policy="ucb1", max_iter=5))
    prefix = "banditprunedmlpregressor__policy"
    grid = [{f"{prefix}__exploration": [0.1, 1.0]}, {prefix: ["thompson", Magnitude(of="out")]}]
    search = GridSearchCV(pipeline, grid, cv=2).fit(data.X, data.y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(search.cv_results_["params"]) == 4
    assert search.best_estimator_[-1].hidden_layer_sizes_ == (4,)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("ucb", "Did you mean 'ucb1'"), ("tompson", "Did you mean 'thompson'"), ("magnitud", "Did you mean 'magnitude'")],
)
def test_an_unknown_policy_is_answered_with_the_nearest(name, hint, make_data, regressor):
    data = make_data("regression")
    with pytest.raises(ValueError, match=rf"The 'policy' parameter .* one of the names \[.*Got '{name}'\. {hint}"):
        regressor(policy=name).fit(data.X, data.y)


@pytest.mark.parametrize("policy", [None, 3, UCB1, ["ucb1"]])
def test_what_is_no_policy_is_refused(policy, make_data, regressor):
    data = make_data("regression")
    with pytest.raises(ValueError, match="The 'policy' parameter must be a Policy, a Criterion, or one of the names"):
        regressor(policy=policy).fit(data.X, data.y)


# ---------------------------------------------------------------------- pruning_ratio="auto"


@pytest.mark.parametrize("tolerance", [0.0, 0.05, 0.5])
def test_auto_keeps_the_held_out_loss_within_the_tolerance(tolerance, make_data, classifier):
    data = make_data("multi-class")
    held_out = {"X_val": data.X_val, "y_val": data.y_val}
    dense = classifier(pruning_ratio=0).fit(data.X, data.y, **held_out)
    model = classifier(pruning_ratio="auto", tolerance=tolerance).fit(data.X, data.y, **held_out)
    before, after = (log_loss(data.y_val, m.predict_proba(data.X_val)) for m in (dense, model))
    assert after <= (1 + tolerance) * before * (1 + 1e-5)
    for record in model.pruning_history_:
        assert record["loss_after"] <= (1 + tolerance) * before * (1 + 1e-5)
    assert model.score(data.X_val, data.y_val) >= dense.score(data.X_val, data.y_val) - tolerance


def test_auto_removes_units_that_do_nothing_and_keeps_those_that_matter(make_data, regressor):
    data = make_data("regression")
    # |x_0| takes two units of the eight.
    y, y_val = np.abs(data.X[:, 0]), np.abs(data.X_val[:, 0])
    model = regressor(pruning_ratio="auto", tolerance=0.1, n_rounds=8, fine_tune_iter=20, max_iter=200)
    model.fit(data.X, y, X_val=data.X_val, y_val=y_val)
    assert 2 <= sum(model.hidden_layer_sizes_) <= 6
    assert model.score(data.X_val, y_val) > 0.8
    assert "units" in model.pruning_status_


def test_a_larger_tolerance_lets_more_units_go(make_data, regressor):
    data = make_data("regression")
    sizes = [
        regressor(pruning_ratio="auto", tolerance=tolerance)
        .fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)
        .hidden_layer_sizes_[0]
        for tolerance in (0.0, 1e6)
    ]
    assert sizes[1] == 1  # a layer is never emptied
    assert sizes[0] > sizes[1]


def test_auto_holds_out_rows_of_its_own(make_data, regressor):
    data = make_data("regression")
    model = regressor(pruning_ratio="auto", validation_fraction=0.2).fit(data.X, data.y)
    assert model.t_ == model.n_iter_ * 48
    assert model.validation_scores_ is None  # without early stopping, training does not look at them
