"""What a fitted network keeps over later calls, and what it refuses to change."""

import numpy as np
import pytest
from scipy.sparse import csr_array, issparse
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPRegressor

from skbandit import BanditPrunedMLPRegressor, policies, prune
from skbandit._tabular.features import splitting
from skbandit._tabular.features.hashing import row_ranks
from skbandit.criteria import Bandit
from skbandit.networks.gated import GatedNetwork
from skbandit.networks.groups import Group, Groups, Slice

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_partial_fit_recovers_from_a_first_call_without_spread(make_data, regressor):
    data = make_data("regression")
    model = regressor().partial_fit(data.X[:1], data.y[:1])
    for _ in range(60):
        model.partial_fit(data.X, data.y)
    assert model.score(data.X, data.y) > 0.5


@pytest.mark.parametrize("again", ["warm_start", "prune"])
def test_later_calls_hold_out_the_rows_that_the_fit_held_out(make_data, regressor, monkeypatch, again):
    cuts = []
    held_out_rows = splitting.held_out_rows

    def spy(X, weight, fraction, seed, strata, dtype, start, *target):
        cuts.append((seed, start))
        return held_out_rows(X, weight, fraction, seed, strata, dtype, start, *target)

    monkeypatch.setattr(splitting, "held_out_rows", spy)
    data = make_data("regression")
    model = regressor(pruning_ratio="auto", warm_start=True).fit(data.X, data.y)
    if again == "prune":
        model.prune(data.X, data.y, random_state=7)
    else:
        model.fit(data.X, data.y)
    assert cuts == [cuts[0]] * 2


@pytest.mark.parametrize(("name", "value"), [("activation", "tanh"), ("hidden_layer_sizes", (9,)), ("loss", "poisson")])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_network_that_is_trained_on_cannot_become_another(make_data, regressor, name, value, method):
    data = make_data("counts")
    model = regressor(warm_start=True).fit(data.X, data.y)
    with pytest.raises(ValueError, match=f"'{name}' parameter was .* Got"):
        getattr(model.set_params(**{name: value}), method)(data.X, data.y)


def test_prune_keeps_the_loss_of_the_fit(make_data, regressor):
    data = make_data("counts")
    model = regressor(pruning_ratio=0).fit(data.X, data.y)
    model.set_params(loss="poisson", activation="tanh")
    assert model.prune(data.X, data.y, pruning_ratio=0.5).out_activation_ == "identity"


def test_from_sklearn_refuses_to_change_the_function(make_data):
    data = make_data("regression")
    mlp = MLPRegressor(hidden_layer_sizes=(8,), max_iter=5).fit(data.X, data.y)
    with pytest.raises(ValueError, match="'activation' describes the network that is taken over: it is 'relu'"):
        BanditPrunedMLPRegressor.from_sklearn(mlp, activation="tanh")
    assert BanditPrunedMLPRegressor.from_sklearn(mlp, activation="relu", budget=2).budget == 2


def test_to_sklearn_leaves_a_random_state_alone(make_data, regressor):
    data = make_data("regression")
    random_state = np.random.RandomState(0)
    model = regressor(random_state=random_state).fit(data.X, data.y)
    before = random_state.get_state()[1].copy()
    model.to_sklearn()
    np.testing.assert_array_equal(random_state.get_state()[1], before)


def test_curves_and_best_values_go_on_over_warm_starts(make_data, regressor):
    data = make_data("regression")
    model = regressor(warm_start=True, early_stopping=True, max_iter=4, pruning_ratio=0)
    model.fit(data.X, data.y).fit(data.X, data.y)
    assert len(model.validation_scores_) == len(model.loss_curve_) == 8
    assert model.best_validation_score_ == max(model.validation_scores_)
    model = regressor().partial_fit(data.X, data.y).partial_fit(data.X, data.y)
    assert model.best_loss_ == min(model.loss_curve_)


def test_balanced_labels_weigh_as_repeated_rows(make_data, classifier):
    data = make_data("multi-label")
    weight = np.arange(60) % 3
    repeated = np.repeat(np.arange(60), weight)
    settings = {"class_weight": "balanced", "dtype": "float64", "pruning_ratio": 0}
    weighted = classifier(**settings).fit(data.X, data.y, sample_weight=weight)
    by_rows = classifier(**settings).fit(data.X[repeated], data.y[repeated])
    # float64 rounding, amplified over 30 epochs of Adam.
    np.testing.assert_allclose(weighted.predict_proba(data.X), by_rows.predict_proba(data.X), atol=1e-8)


def test_numpy_strings_are_strings(make_data, regressor):
    data = make_data("regression")
    assert regressor(activation=np.array(["tanh"])[0], solver=np.str_("sgd")).fit(data.X, data.y).n_iter_ > 0


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (policies.Softmax(temperature=0), "'temperature' parameter of Softmax"),
        (policies.EpsilonGreedy(epsilon=-1), "'epsilon' parameter of EpsilonGreedy"),
        (policies.UCB1(exploration=float("nan")), "'exploration' parameter of UCB1"),
        (policies.EXP3(gamma=-1.0), "'gamma' parameter of EXP3"),
        (policies.EXP3(variant="two"), "'variant' parameter of EXP3"),
        (policies.Thompson(alpha=0), "'alpha' parameter of Thompson"),
        (Bandit(rank_by="damge"), "'rank_by' parameter of Bandit"),
        (Bandit(policy=policies.UCB1(exploration=-1)), "'exploration' parameter of UCB1"),
    ],
    ids=str,
)
def test_fields_of_a_policy_are_checked(make_data, regressor, policy, message):
    data = make_data("regression")
    with pytest.raises(ValueError, match=message):
        regressor(policy=policy).fit(data.X, data.y)


@pytest.mark.parametrize(
    ("name", "value"), [("n_rounds", 0), ("scope", "glob"), ("pruning_ratio", 1.5), ("budget", -3), ("policy", "ucb")]
)
def test_prune_of_any_network_checks_its_parameters(name, value):
    def loss(params, gates, X, y, weight):
        return (weight * ((X * gates[0]) @ params - y) ** 2).sum() / weight.sum()

    network = GatedNetwork(loss, Groups([Group("features", 3, [Slice((), 0)])]))
    with pytest.raises(ValueError, match=f"'{name}' parameter"):
        prune(network, np.ones(3), np.ones((4, 3)), np.ones(4), **{name: value})


def test_a_fit_that_fails_leaves_the_fitted_network_as_it_was(make_data, regressor):
    data = make_data("regression")
    model = regressor().fit(data.X, data.y)
    before, predicted = set(vars(model)), model.predict(data.X)
    model.set_params(solver="sgd", learning_rate_init=1e10, hidden_layer_sizes=(6,))
    with pytest.raises(ValueError, match="non-finite"):
        model.fit(data.X[:, :3], data.y)
    assert set(vars(model)) == before
    np.testing.assert_array_equal(model.predict(data.X), predicted)
    unfitted = regressor(solver="sgd", learning_rate_init=1e10)
    with pytest.raises(ValueError, match="non-finite"):
        unfitted.fit(data.X, data.y)
    with pytest.raises(NotFittedError):
        unfitted.predict(data.X)


HUGE = -3.4028235e38  # what rasters write for "no data" in float32


def test_no_network_with_weights_that_are_not_finite_comes_back(make_data, classifier, regressor):
    data = make_data("binary")
    X = data.X.copy()
    X[3, 2] = HUGE
    # One such row in 60: training can live with it, and what comes back is finite.
    assert np.isfinite(classifier().fit(X, data.y).predict_proba(data.X)).all()
    data = make_data("regression")
    with pytest.raises(ValueError, match=r"loss of the network to prune is (inf|nan)"):
        regressor(pruning_ratio=0).fit(data.X, data.y).prune(data.X * 1e30, data.y, pruning_ratio=0.5)


@pytest.mark.parametrize("params", [{"early_stopping": True}, {"pruning_ratio": "auto"}], ids=str)
def test_held_out_rows_that_cannot_be_judged_are_refused(make_data, regressor, params):
    data = make_data("regression")
    X_val = data.X_val.copy()
    X_val[0, 2] = HUGE
    with pytest.raises(ValueError, match=r"finite|loss of the network to prune is"):
        regressor(**params).fit(data.X, data.y, X_val=X_val, y_val=data.y_val)


def test_float32_rows_keep_the_digits_of_a_target_far_from_zero(make_data, regressor):
    data = make_data("regression")
    X = data.X.astype(np.float32)
    near, far = (regressor().fit(X, data.y + offset).score(X, data.y + offset) for offset in (0, 1.7e9))
    assert far == pytest.approx(near, abs=1e-3)


def test_the_held_out_split_does_not_depend_on_how_x_is_stored(make_data, regressor):
    data = make_data("regression")
    y, fits = data.y, []
    for X in (data.X, data.X.astype(np.float32), csr_array(data.X)):
        fits.append(regressor(pruning_ratio="auto").fit(X, y).t_)
        ranks = row_ranks(np.asarray(X.todense() if issparse(X) else X), 0, "float32")
        np.testing.assert_array_equal(ranks, row_ranks(data.X, 0, "float32"))
    assert len(set(fits)) == 1


@pytest.mark.parametrize(
    ("kind", "class_weight"),
    [
        ("multi-label", [{0: -1, 1: 2}] * 3),
        ("multi-label", [{"0": 5}] * 3),
        ("multi-label", [1, 2, 3]),
        ("multi-label", [{0: float("nan")}] * 3),
        ("binary", [{0: 1}]),
        ("binary", {0: -1.0}),
    ],
    ids=str,
)
def test_class_weights_are_checked(make_data, classifier, kind, class_weight):
    data = make_data(kind)
    with pytest.raises(ValueError, match="class_weight"):
        classifier(class_weight=class_weight).fit(data.X, data.y)


def test_labels_cannot_change_in_number(make_data, classifier):
    data = make_data("multi-label")
    model = classifier().fit(data.X, data.y)
    for labels in (data.y[:, :2], np.hstack([data.y, data.y])):
        with pytest.raises(ValueError, match=rf"y has {labels.shape[1]} labels, but the earlier fit had 3"):
            model.partial_fit(data.X, labels)


def test_weights_that_weigh_nothing_are_refused(make_data, classifier):
    data = make_data("binary")
    with pytest.raises(ValueError, match="weights of the held-out rows"):
        classifier().fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val, sample_weight_val=np.full(40, 1e-300))
    with pytest.raises(ValueError, match="weights of the training rows"):
        classifier(class_weight={0: 1, 1: 0}).fit(data.X, data.y, sample_weight=data.y)


def test_a_path_of_one_network_has_its_loss(make_data, regressor):
    data = make_data("regression")
    path = regressor(pruning_ratio=0).fit(data.X, data.y).prune_path(data.X, data.y, pruning_ratio=0)
    assert path.n_units.tolist() == [8]
    assert np.isfinite(path.losses).all()


@pytest.mark.parametrize(
    ("X", "y", "weight", "message"),
    [
        (np.ones((4, 3)), np.ones(5), None, "the same number of rows"),
        (np.ones((0, 3)), np.ones(0), None, "the same number of rows"),
        (np.ones((4, 3)), np.ones(4), -np.ones(4), "non-negative"),
        (np.ones((4, 3)), np.ones(4), np.zeros(4), "non-negative"),
        (np.full((4, 3), np.nan), np.ones(4), None, "loss of the network to prune is nan"),
        (np.ones((4, 3)), np.ones(4), "size", "a group of 3 units has a slice of size 4"),
    ],
)
def test_prune_of_any_network_checks_its_rows(X, y, weight, message):
    def loss(params, gates, X, y, weight):
        return (weight * ((X * gates[0]) @ params - y) ** 2).sum() / weight.sum()

    network = GatedNetwork(loss, Groups([Group("features", 3, [Slice((), 0)])]))
    params = np.ones(4 if isinstance(weight, str) else 3)
    with pytest.raises(ValueError, match=message):
        prune(network, params, X, y, None if isinstance(weight, str) else weight)
