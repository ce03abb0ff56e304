"""`partial_fit` and `warm_start`: going on from what was learned."""

import numpy as np
import pytest
from sklearn.base import clone

from skbandit._tabular.training.plan import Planner

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ("regression", "multi-class", "multi-label")


def assert_same_network(a, b):
    # One batch holds all rows, so only the order of a sum differs: float32 rounding, grown over 20 steps of Adam.
    for u, v in zip([*a.coefs_, *a.intercepts_], [*b.coefs_, *b.intercepts_], strict=True):
        np.testing.assert_allclose(u, v, rtol=1e-3, atol=1e-4)


def feed(model, data, n_calls, kind=None, X=None):
    first = {"classes": [0, 1, 2]} if kind == "multi-class" else {}
    for _ in range(n_calls):
        model.partial_fit(data.X, data.y, **first)
    return model


# ---------------------------------------------------------------------- partial_fit


@pytest.mark.parametrize("kind", KINDS)
def test_calls_of_partial_fit_add_up_to_a_fit(kind, make_data, make_estimator):
    # With a fresh optimizer in each call, Adam would lose its moments and every step would be a first step.
    data = make_data(kind)
    whole = make_estimator(kind, pruning_ratio=0, max_iter=20, tol=0.0).fit(data.X, data.y)
    parts = feed(make_estimator(kind), data, 20, kind)
    assert_same_network(parts, whole)
    np.testing.assert_allclose(parts.loss_curve_, whole.loss_curve_, rtol=1e-3)
    assert parts.loss_curve_[-1] < 0.7 * parts.loss_curve_[0]


def test_partial_fit_learns_from_batches(make_data, classifier):
    data = make_data("binary")
    model = classifier()
    for _ in range(20):
        for rows in np.array_split(np.arange(60), 3):
            model.partial_fit(data.X[rows], data.y[rows], classes=[0, 1])
    assert model.score(data.X_val, data.y_val) > 0.85
    assert len(model.loss_curve_) == 60
    assert model.t_ == 20 * 60


def test_partial_fit_prunes_nothing(make_data, regressor):
    data = make_data("regression")
    model = feed(regressor(pruning_ratio=0.5), data, 2)
    assert model.hidden_layer_sizes_ == (8,)
    assert model.pruning_history_ == []
    assert model.n_parameters_[0] == model.n_parameters_[1]


def test_partial_fit_goes_on_with_the_pruned_network(make_data, regressor):
    data = make_data("regression")
    model = regressor().fit(data.X, data.y)
    kept, history, n_pulls = model.kept_units_, model.pruning_history_, model.n_pulls_
    feed(model, data, 15)
    assert model.hidden_layer_sizes_ == (4,)
    np.testing.assert_array_equal(model.kept_units_[0], kept[0])
    assert model.loss_curve_[-1] < model.loss_curve_[-15]
    # How the network came to its size is still on record.
    assert (model.pruning_history_, model.n_pulls_) == (history, n_pulls)
    assert model.pruning_status_ != "not pruned"
    assert model.n_parameters_[1] < model.n_parameters_[0]


def test_a_network_fed_by_partial_fit_can_be_pruned(make_data, classifier):
    data = make_data("multi-class")
    model = feed(classifier(), data, 20, "multi-class")
    pruned = model.prune(data.X, data.y, pruning_ratio=0.5)
    assert pruned.hidden_layer_sizes_ == (4,)
    assert pruned.score(data.X, data.y) > 0.7


def test_the_first_batch_need_not_have_every_class(make_data, classifier):
    data = make_data("multi-class")
    ones = data.y == 1
    model = classifier().partial_fit(data.X[ones], data.y[ones], classes=[0, 1, 2])
    assert model.predict_proba(data.X).shape == (60, 3)
    feed(model, data, 40)
    assert model.score(data.X, data.y) > 0.8


def test_the_first_call_needs_the_classes(make_data, classifier):
    data = make_data("multi-class")
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        classifier().partial_fit(data.X, data.y)


def test_later_calls_must_agree_on_the_classes(make_data, classifier):
    data = make_data("multi-class")
    model = feed(classifier(), data, 1, "multi-class")
    with pytest.raises(ValueError, match=r"classes=\[0, 1\] is not the same as on the last call"):
        model.partial_fit(data.X, data.y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"classes that the earlier fit did not see: \[3\]"):
        model.partial_fit(data.X, data.y + 1)


def test_the_first_batch_has_no_other_classes_than_those_declared(make_data, classifier):
    data = make_data("multi-class")
    with pytest.raises(ValueError, match=r"classes that the earlier fit did not see: \[2\]"):
        classifier().partial_fit(data.X, data.y, classes=[0, 1])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"solver": "lbfgs"}, "partial_fit needs a mini-batch solver. Got solver='lbfgs'"),
        ({"class_weight": "balanced"}, "class_weight='balanced' needs all the data at once"),
    ],
)
def test_partial_fit_refuses_what_needs_all_the_data(params, message, make_data, classifier):
    data = make_data("binary")
    with pytest.raises(ValueError, match=message):
        classifier(**params).partial_fit(data.X, data.y, classes=[0, 1])


def test_partial_fit_weighs_rows(make_data, regressor):
    data = make_data("regression")
    weight = np.where(np.arange(60) < 30, 1.0, 0.0)
    a = regressor(dtype="float64").partial_fit(data.X, data.y, sample_weight=weight)
    b = regressor(dtype="float64").partial_fit(data.X[:30], data.y[:30])
    np.testing.assert_allclose(a.coefs_[0], b.coefs_[0], rtol=1e-9)


def test_partial_fit_weighs_rows_where_units_drop_out(make_data, regressor):
    data = make_data("regression")
    params = {"dropout": 0.3, "dtype": "float64"}
    counts = np.arange(60) % 3
    repeated = np.repeat(np.arange(60), counts)
    weighted, copies = (regressor(**params) for _ in range(2))
    for _ in range(5):
        weighted.partial_fit(data.X, data.y, sample_weight=counts)
        copies.partial_fit(data.X[repeated], data.y[repeated])
    np.testing.assert_allclose(weighted.predict(data.X), copies.predict(data.X), rtol=1e-6)


STRICT = {"solver": "adamw", "dropout": 0.5, "alpha": 10.0}


def test_a_network_that_has_lost_units_is_trained_without_dropout_and_decay(make_data, regressor):
    data = make_data("regression")

    def trained_on(loose, how):
        model = regressor(warm_start=True, **STRICT).fit(data.X, data.y)
        if loose:
            model.set_params(dropout=0.0, alpha=0.0)
        return getattr(model, how)(data.X, data.y).predict(data.X)

    for how in ("partial_fit", "fit"):
        np.testing.assert_array_equal(trained_on(True, how), trained_on(False, how))


@pytest.mark.parametrize("how", ["partial_fit", "fit"])
def test_a_network_that_has_all_its_units_is_trained_with_dropout_and_decay(how, make_data, regressor):
    data = make_data("regression")
    predictions = []
    for change in ({}, {"dropout": 0.0}, {"alpha": 0.0}):
        model = regressor(warm_start=True, pruning_ratio=0, **STRICT).fit(data.X, data.y).set_params(**change)
        predictions.append(getattr(model, how)(data.X, data.y).predict(data.X))
    assert np.abs(predictions[0] - predictions[1]).max() > 1e-3
    assert np.abs(predictions[0] - predictions[2]).max() > 1e-3


def test_rows_of_another_scale_shift_no_prediction(make_data, regressor):
    # The network was trained in units of the first batch: it is written anew for those of both.
    data = make_data("regression")
    model = feed(regressor(learning_rate_init=1e-6), data, 1)
    before = model.predict(data.X)
    model.partial_fit(data.X[:10], 100 + data.y[:10])
    np.testing.assert_allclose(model.predict(data.X), before, atol=1e-3 * data.y.std())


def test_each_call_shuffles_anew(make_data, regressor, monkeypatch):
    # An int as random_state must not mean the same order of the rows in each call.
    data = make_data("regression")
    orders = []
    plan = Planner.next

    def note(planner, n_epochs):
        orders.append(plan(planner, n_epochs).order[0, :60])
        return plan(planner, n_epochs)

    monkeypatch.setattr(Planner, "next", note)
    feed(regressor(random_state=0), data, 3)
    assert len({tuple(order) for order in orders}) == 3


def test_another_solver_starts_with_an_optimizer_of_its_own(make_data, regressor):
    data = make_data("regression")
    model = feed(regressor(), data, 2)
    model.set_params(solver="sgd")
    feed(model, data, 2)
    assert len(model.loss_curve_) == 4


# ---------------------------------------------------------------------- warm_start


@pytest.mark.parametrize("kind", KINDS)
def test_two_warm_fits_equal_one_long_fit(kind, make_data, make_estimator):
    data = make_data(kind)
    params = {"pruning_ratio": 0, "tol": 0.0}
    whole = make_estimator(kind, max_iter=20, **params).fit(data.X, data.y)
    parts = make_estimator(kind, max_iter=10, warm_start=True, **params).fit(data.X, data.y).fit(data.X, data.y)
    assert_same_network(parts, whole)
    assert parts.n_iter_ == 10
    assert len(parts.loss_curve_) == 20


def test_without_warm_start_a_fit_begins_anew(make_data, regressor):
    data = make_data("regression")
    model = regressor().fit(data.X, data.y)
    coefs = model.coefs_
    model.fit(data.X, data.y)
    np.testing.assert_array_equal(model.coefs_[0], coefs[0])
    assert len(model.loss_curve_) == model.n_iter_


def test_a_warm_fit_goes_on_with_the_pruned_network(make_data, regressor):
    data = make_data("regression")
    model = regressor(warm_start=True).fit(data.X, data.y)
    kept, loss = model.kept_units_, model.loss_
    model.fit(data.X, data.y)
    # The ratio counts from the trained network and is reached: nothing more is removed.
    assert model.hidden_layer_sizes_ == (4,)
    np.testing.assert_array_equal(model.kept_units_[0], kept[0])
    assert model.loss_ < loss


def test_a_warm_fit_prunes_on_at_a_higher_ratio(make_data, regressor):
    data = make_data("regression")
    model = regressor(warm_start=True).fit(data.X, data.y)
    kept = model.kept_units_[0]
    model.set_params(pruning_ratio=0.75).fit(data.X, data.y)
    assert model.hidden_layer_sizes_ == (2,)
    assert set(model.kept_units_[0]) < set(kept)
    assert model.coefs_[0].shape == (4, 2)


def test_a_warm_fit_may_change_the_solver(make_data, regressor):
    data = make_data("regression")
    model = regressor(warm_start=True, pruning_ratio=0).fit(data.X, data.y)
    loss = model.loss_
    model.set_params(solver="sgd", learning_rate_init=0.01).fit(data.X, data.y)
    assert model.loss_ <= loss


def test_a_warm_fit_may_change_the_precision(make_data, regressor):
    data = make_data("regression")
    model = regressor(warm_start=True, pruning_ratio=0).fit(data.X, data.y)
    loss = model.loss_
    model.set_params(dtype="float64").fit(data.X, data.y)
    assert model.loss_ <= loss
    assert model.coefs_[0].dtype == np.float64


@pytest.mark.parametrize("kind", ["binary", "multi-class"])
def test_a_warm_fit_knows_its_classes(kind, make_data, classifier):
    data = make_data(kind)
    model = classifier(warm_start=True).fit(data.X, data.y)
    with pytest.raises(ValueError, match="classes that the earlier fit did not see"):
        model.fit(data.X, data.y + 5)


def test_a_warm_fit_knows_the_kind_and_width_of_its_target(make_data, classifier, regressor):
    data = make_data("multi-class")
    model = classifier(warm_start=True).fit(data.X, data.y)
    with pytest.raises(ValueError, match="y is a multi-label indicator, but the earlier fit had one class per row"):
        model.fit(data.X, make_data("multi-label").y)
    data = make_data("regression")
    model = regressor(warm_start=True).fit(data.X, data.y)
    with pytest.raises(ValueError, match="y has 2 outputs, but the network was fitted to 1"):
        model.fit(data.X, make_data("multi-output").y)


def test_a_warm_fit_knows_its_features(make_data, regressor):
    data = make_data("regression")
    model = regressor(warm_start=True).fit(data.X, data.y)
    with pytest.raises(ValueError, match="3 features, but BanditPrunedMLPRegressor is expecting 4"):
        model.fit(data.X[:, :3], data.y)


def test_a_clone_begins_anew(make_data, regressor):
    data = make_data("regression")
    model = regressor(warm_start=True).fit(data.X, data.y)
    assert not hasattr(clone(model), "coefs_")


@pytest.mark.parametrize("kind", ["datetime64[D]", "timedelta64[ns]"])
def test_numbers_are_no_classes_of_times(kind, make_data, classifier):
    data = make_data("binary")
    times = np.arange(120).astype(kind)
    for classes, y in ((times, data.y), ([0, 1], times[data.y])):
        with pytest.raises(ValueError, match=r"y has classes of dtype .* of the earlier fit or of 'classes'") as raised:
            classifier().partial_fit(data.X, y, classes=classes)
        assert "\n" not in str(raised.value)
