"""A fit replaces the model before in one step; until then, and where the fit fails, that model stays."""

import pickle

import numpy as np
import pandas as pd
import pytest

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


def test_what_a_callback_puts_on_the_estimator_stays_on_it(make_data, regressor):
    data = make_data("regression")

    class Marks(During):
        def on_fit_task_end(self, estimator, context):
            estimator.mark = estimator._noted = "seen"

        def teardown(self, estimator, context):
            self.torn_down = estimator

    callback = Marks(None)
    model = regressor(max_iter=3).set_callbacks(callback).fit(data.X, data.y)
    assert (model.mark, model._noted) == ("seen", "seen")
    assert callback.torn_down is model
    assert set(vars(model)) & {"_callback_fit_ctx", "_skl_callbacks_to_teardown"} == set()


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
    model = regressor()
    then = snapshot(model)
    model.set_params(budget=2)
    assert type(then) is type(model)
    assert (then.budget, model.budget) == (8.0, 2)
