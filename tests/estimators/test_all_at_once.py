"""A fit replaces the model before in one step; until then, and where the fit fails, that model stays."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.callback import ScoringMonitor

from skbandit import BanditPrunedMLPRegressor
from skbandit.estimators._state import is_fitted_attribute, snapshot

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ("regression", "multi-class", "multi-label")


class During:
    """Calls ``look`` at the end of every task of a fit."""

    def __init__(self, look):
        self.look, self.seen = look, []

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context):
        self.seen.append(self.look())


def outputs(model, X):
    methods = ("predict", "predict_proba", "predict_log_proba")
    return [getattr(model, method)(X) for method in methods if hasattr(model, method)]


def state(model):
    return {name: value for name, value in vars(model).items() if "callback" not in name}


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_model_before_answers_until_the_new_one_is_whole(kind, n_members, make_data, make_estimator):
    data = make_data(kind)
    model = make_estimator(kind, max_iter=3, n_members=n_members).fit(data.X, data.y)
    before = outputs(model, data.X_val)
    during = During(
        lambda: (outputs(model, data.X_val), hasattr(model, "loss_"), pickle.loads(pickle.dumps(state(model))))
    )
    model.set_callbacks(during).fit(data.X_val[::-1], data.y_val)
    assert len(during.seen) > 5
    for seen, is_fitted, pickled in during.seen:
        assert is_fitted
        assert pickled["hidden_layer_sizes_"] == model.hidden_layer_sizes_
        for now, expected in zip(seen, before, strict=True):
            np.testing.assert_array_equal(now, expected)
    assert not np.array_equal(outputs(model, data.X_val)[-1], before[-1])


def test_members_of_an_ensemble_answer_until_one_network_has_come(make_data, regressor):
    data = make_data("regression")
    model = regressor(n_members=2, max_iter=3).fit(data.X, data.y)
    before = model.predict(data.X)
    during = During(lambda: model.predict(data.X))
    model.set_params(n_members=1).set_callbacks(during).fit(data.X, -data.y)
    assert during.seen
    assert all(np.array_equal(seen, before) for seen in during.seen)
    assert not hasattr(model, "estimators_")


def test_columns_and_names_change_with_the_network(make_data, regressor):
    data = make_data("regression")
    frame = pd.DataFrame(data.X, columns=list("abcd"))
    model = regressor(max_iter=3).fit(frame, data.y)
    before = model.predict(frame)
    during = During(lambda: (model.predict(frame), model.n_features_in_, list(model.feature_names_in_)))
    model.set_callbacks(during).fit(frame[["b", "a"]].rename(columns=str.upper), data.y)
    for predicted, n_features, names in during.seen:
        np.testing.assert_array_equal(predicted, before)
        assert (n_features, names) == (4, list("abcd"))
    assert list(model.feature_names_in_) == ["B", "A"]


def test_a_pruning_reads_one_model(make_data, regressor, monkeypatch):
    data = make_data("regression")
    model, other = regressor().fit(data.X, data.y), regressor(random_state=1).fit(data.X, -data.y)
    dense, expected = model.predict(data.X), model.prune(data.X, data.y, pruning_ratio=0.75)
    from skbandit.estimators import _base

    original = _base.prune_member

    def replaced(*args):
        vars(model).update(state(other))  # what a fit in another thread comes to
        return original(*args)

    monkeypatch.setattr(_base, "prune_member", replaced)
    path = model.prune_path(data.X, data.y, pruning_ratio=0.75)
    np.testing.assert_array_equal(path.estimators[-1].predict(data.X), expected.predict(data.X))
    np.testing.assert_array_equal(path.estimators[0].predict(data.X), dense)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_an_error_leaves_the_model_before(method, make_data, regressor):
    data = make_data("regression")
    model = regressor(max_iter=3, batch_size=20).fit(data.X, data.y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="non-finite"):
        getattr(model.set_params(learning_rate_init=1e30, warm_start=True), method)(data.X, data.y)
    after = dict(vars(model))
    assert after.keys() == before.keys()
    changed = {name for name in before if before[name] is not after[name]}
    assert changed == {"learning_rate_init", "warm_start"}


def test_parameters_that_are_set_during_a_fit_are_kept(make_data, regressor):
    data = make_data("regression")
    model = regressor(max_iter=3)
    model.set_callbacks(During(lambda: model.set_params(budget=5.0, verbose=False))).fit(data.X, data.y)
    assert model.budget == 5.0
    assert model.n_iter_ == 3


class Strict(During):
    """Keeps something for each estimator that it is set up for, and must find it at the end."""

    def __init__(self):
        self.kept, self.n_torn_down = {}, 0

    def setup(self, estimator, context):
        self.kept[estimator] = "seen"

    def on_fit_task_end(self, estimator, context):
        estimator.mark = estimator._noted = self.kept[estimator]

    def teardown(self, estimator, context):
        del self.kept[estimator]
        self.n_torn_down += 1


@pytest.mark.parametrize("n_members", [1, 2])
def test_a_callback_is_told_of_one_estimator_and_what_it_puts_there_stays(n_members, make_data, regressor):
    data = make_data("regression")
    callback = Strict()
    model = regressor(max_iter=3, n_members=n_members).set_callbacks(callback)
    model.fit(data.X, data.y).fit(data.X, data.y)
    assert (model.mark, model._noted) == ("seen", "seen")
    assert callback.n_torn_down == 2
    assert {name for name in vars(model) if "callback" in name} == {"_skl_callbacks"}


def test_a_monitor_keeps_no_model_of_an_earlier_fit(make_data, regressor):
    data = make_data("regression")
    model = regressor(max_iter=3).set_callbacks(ScoringMonitor(scoring="r2"))
    sizes = [len(pickle.dumps(vars(model.fit(data.X, data.y))["_skl_callbacks"])) for _ in range(3)]
    assert sizes[2] - sizes[1] < 3000  # what was written down of one fit, and no network


def test_an_error_in_a_teardown_keeps_the_model(make_data, regressor):
    data = make_data("regression")

    class Fails(During):
        def teardown(self, estimator, context):
            raise RuntimeError("of the user's")

    model = regressor(max_iter=3).set_callbacks(Fails(lambda: None))
    with pytest.raises(RuntimeError, match="of the user's"):
        model.fit(data.X, data.y)
    assert model.n_iter_ == 3
    assert {name for name in vars(model) if "callback" in name} == {"_skl_callbacks"}


def test_an_error_undoes_nothing_that_was_set_meanwhile(make_data, regressor):
    data = make_data("regression")
    after = During(lambda: None)

    def set_and_fail():
        model.set_callbacks(after).set_params(budget=3.0)
        raise RuntimeError("of the user's")

    model = regressor(max_iter=3).set_callbacks(During(set_and_fail))
    with pytest.raises(RuntimeError, match="of the user's"):
        model.fit(data.X, data.y)
    assert model._skl_callbacks == [after]
    assert model.budget == 3.0


class Shifted(BanditPrunedMLPRegressor):
    """Has a fitted attribute and a parameter of its own."""

    def __init__(self, callback_scale=1.0, n_members=1):
        super().__init__((8,), max_iter=2, fine_tune_iter=0, n_members=n_members, random_state=0)
        self.callback_scale = callback_scale

    def fit(self, X, y):
        self.shift_ = float(np.mean(y))
        return super().fit(X, self.callback_scale * (y - self.shift_))

    def predict(self, X):
        return super().predict(X) / self.callback_scale + self.shift_


@pytest.mark.parametrize("n_members", [1, 2])
def test_attributes_of_a_subclass_stay(n_members, make_data):
    data = make_data("regression")
    model = Shifted(2.0, n_members).fit(data.X, data.y)
    assert model.predict(data.X).shape == data.y.shape
    model.note_ = "mine"
    model.set_callbacks(During(lambda: setattr(model, "threshold_", 0.3))).fit(data.X, data.y)
    assert (model.note_, model.threshold_, model.callback_scale) == ("mine", 0.3, 2.0)


@pytest.mark.parametrize("params", [{}, {"n_members": 2}, {"warm_start": True}, {"early_stopping": True}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_all_that_a_fit_leaves_is_replaced_with_it(kind, params, make_data, make_estimator):
    data = make_data(kind)
    model = make_estimator(kind, max_iter=3, **params)
    parameters = set(vars(model))
    fitted = set(vars(model.fit(data.X, data.y))) - parameters
    assert all(map(is_fitted_attribute, fitted)), fitted
    assert not any(map(is_fitted_attribute, parameters))


def test_a_snapshot_keeps_the_attributes_of_its_moment(regressor):
    model = regressor(budget=8.0)
    then = snapshot(model)
    model.set_params(budget=2)
    assert type(then) is type(model)
    assert (then.budget, model.budget) == (8.0, 2)
