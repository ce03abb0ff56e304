"""`partial_fit` of ensembles: each member learns an epoch of the same rows."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone

from skbandit._tabular.training import epochs
from skbandit.estimators import _ensemble

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

#: Members of three kinds, which read the same columns.
MIXED = {"n_members": 3, "numeric_embedding": (None, "piecewise_linear", "periodic"), "preprocessing": "auto"}
SEVERAL = pytest.mark.parametrize(
    "params", [{"n_members": 3}, {**MIXED, "input_scaling": True}], ids=["plain", "mixed"]
)


def weights(model):
    members = getattr(model, "estimators_", [model])
    return [array for member in members for array in (*member.coefs_, *member.intercepts_)]


def assert_same(a, b):
    for u, v in zip(weights(a), weights(b), strict=True):
        np.testing.assert_array_equal(u, v)


def fed(model, data, n_calls=3, **first):
    """Return it after calls with a third of the rows each."""
    for k in range(n_calls):
        rows = slice(20 * (k % 3), 20 * (k % 3) + 20)
        model.partial_fit(data.X[rows], data.y[rows], **first)
    return model


@SEVERAL
def test_members_are_trained_as_they_would_be_alone(params, make_data, regressor):
    data = make_data("regression")
    model = fed(regressor(**params), data, 5)
    assert len({member.random_state for member in model.estimators_}) == 3
    for member in model.estimators_:
        assert_same(fed(clone(member), data, 5), member)
    assert (model.n_members_, model.n_iter_, model.t_) == (3, 1, 3 * 5 * 20)
    assert len(model.loss_curve_) == 5


@SEVERAL
def test_predictions_are_means_over_the_members(params, make_data, classifier):
    data = make_data("multi-class")
    model = fed(classifier(**params), data, 30, classes=[0, 1, 2])
    each = [member.predict_proba(data.X_val) for member in model.estimators_]
    assert (each[0] != each[1]).any()
    # An ensemble in which a member embeds computes in the precision of the weights.
    np.testing.assert_allclose(model.predict_proba(data.X_val), np.mean(each, axis=0), rtol=1e-4, atol=1e-6)
    assert model.score(data.X_val, data.y_val) > 0.7


def test_an_ensemble_learns_from_batches(make_data, regressor):
    data = make_data("regression")
    model = fed(regressor(**MIXED), data, 90)
    assert model.score(data.X_val, data.y_val) > 0.8
    assert model.loss_curve_[-1] < 0.5 * model.loss_curve_[0]
    assert model.hidden_layer_sizes_ == [(8,)] * 3
    assert model.pruning_history_ == [[]] * 3


@SEVERAL
def test_networks_of_few_rows_are_made_anew_of_all_rows_so_far(params, make_data, regressor):
    data = make_data("regression")
    model = regressor(**params).partial_fit(data.X[:1], data.y[:1])
    assert np.isfinite(model.predict(data.X)).all()
    model.partial_fit(data.X[1:9], data.y[1:9]).partial_fit(data.X[9:], data.y[9:])
    whole = regressor(**params).partial_fit(data.X, data.y)
    for u, v in zip(weights(model), weights(whole), strict=True):
        np.testing.assert_allclose(u, v, rtol=1e-12)
    assert (model.t_, len(model.loss_curve_)) == (3 * 60, 3)
    assert all(member._seen is model._seen for member in model.estimators_)


@SEVERAL
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_calls_give_the_same_members(params, dtype, make_data, regressor, monkeypatch):
    data = make_data("regression")
    models = []
    for n_threads in (1, 3):
        monkeypatch.setattr(_ensemble, "cpu_count", lambda n=n_threads: n)
        models.append(fed(regressor(**params, dropout=0.2, dtype=dtype), data))
    assert_same(*models)
    np.testing.assert_array_equal(models[0].predict(data.X), models[1].predict(data.X))
    other = fed(regressor(**params, dropout=0.2, dtype=dtype, random_state=1), data)
    assert (other.predict(data.X) != models[0].predict(data.X)).any()


@SEVERAL
def test_a_stream_goes_on_after_pickling(params, make_data, regressor):
    data = make_data("regression")
    model = fed(regressor(**params), data)
    assert_same(fed(pickle.loads(pickle.dumps(model)), data), fed(model, data))


@pytest.mark.parametrize("kind", ["regression", "multi-class"])
def test_calls_after_a_fit_train_the_pruned_members_on(kind, make_data, make_estimator):
    data = make_data(kind)
    params = {"n_members": 3, "early_stopping": True, "validation_fraction": 1 / 3}
    model = make_estimator(kind, **params).fit(data.X, data.y)
    name = "oof_decision_function_" if kind == "multi-class" else "oof_prediction_"
    before, kept = copy.copy(model), model.kept_units_
    assert hasattr(model, name)
    fed(model, data, 6)
    assert not hasattr(model, name)  # those were of the networks before
    assert hasattr(before, name)
    assert model.hidden_layer_sizes_ == [(4,)] * 3
    for now, then in zip(model.kept_units_, kept, strict=True):
        np.testing.assert_array_equal(now[0], then[0])
    for member, then in zip(model.estimators_, before.estimators_, strict=True):
        assert len(member.loss_curve_) == len(then.loss_curve_) + 6
        assert member.random_state == then.random_state
        assert (member.coefs_[0] != then.coefs_[0]).any()


def test_an_ensemble_fed_in_calls_can_be_pruned_and_fed_again(make_data, regressor):
    data = make_data("regression")
    model = fed(regressor(**MIXED), data, 6)
    pruned = model.prune(data.X, data.y, pruning_ratio=0.5)
    assert pruned.hidden_layer_sizes_ == [(4,)] * 3
    assert fed(pruned, data).hidden_layer_sizes_ == [(4,)] * 3
    # Those of few rows stay pruned, too: they are not made anew.
    few = regressor(**MIXED).partial_fit(data.X[:5], data.y[:5]).prune(data.X[:5], data.y[:5], pruning_ratio=0.5)
    assert few.partial_fit(data.X, data.y).hidden_layer_sizes_ == [(4,)] * 3


@SEVERAL
def test_the_first_call_declares_the_classes(params, make_data, classifier):
    data = make_data("multi-class")
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        classifier(**params).partial_fit(data.X, data.y)
    ones = data.y == 1
    model = classifier(**params).partial_fit(data.X[ones], data.y[ones], classes=[0, 1, 2])
    assert model.predict_proba(data.X).shape == (60, 3)
    for member in model.estimators_:
        np.testing.assert_array_equal(member.classes_, [0, 1, 2])
    with pytest.raises(ValueError, match=r"classes=\[0, 1\] is not the same as on the last call"):
        model.partial_fit(data.X, data.y, classes=[0, 1])
    assert model.partial_fit(data.X, data.y).n_members_ == 3


@pytest.mark.parametrize(
    ("params", "message"),
    [({"solver": "lbfgs"}, "partial_fit needs a mini-batch solver"), ({"n_members": 2}, "'n_members' parameter was 3")],
)
def test_what_calls_cannot_do_or_change_is_refused(params, message, make_data, regressor):
    data = make_data("regression")
    model = fed(regressor(**MIXED), data)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.set_params(**params).partial_fit(data.X, data.y)
    assert model.estimators_ is before["estimators_"]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_error_in_a_member_changes_nothing(n_threads, make_data, regressor, monkeypatch):
    monkeypatch.setattr(_ensemble, "cpu_count", lambda: n_threads)
    data = make_data("regression")
    model = fed(regressor(**MIXED), data)
    before = dict(vars(model))
    model.set_params(learning_rate_init=1e30, batch_size=10)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        model.partial_fit(data.X, data.y)
    model.set_params(learning_rate_init=before["learning_rate_init"], batch_size=before["batch_size"])
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_after_an_interrupt_the_ensemble_is_whole(at, n_threads, make_data, regressor, monkeypatch):
    """Each member has learned the epoch, or is as it was."""
    data = make_data("regression")
    model = fed(regressor(**MIXED), data)
    before, then = copy.copy(model), weights(model)
    expected = fed(copy.copy(model), data, 1)
    original, calls = epochs.run_chunk, []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(_ensemble, "cpu_count", lambda: n_threads)
    monkeypatch.setattr(epochs, "run_chunk", interrupted)
    with pytest.warns(UserWarning, match="nterrupted by user"):
        fed(model, data, 1)
    monkeypatch.undo()
    assert model.n_members_ == len(model.estimators_) == 3
    assert np.isfinite(model.predict(data.X)).all()
    learned = 0
    for member, old, new in zip(model.estimators_, before.estimators_, expected.estimators_, strict=True):
        trained = len(member.loss_curve_) > len(old.loss_curve_)
        learned += trained
        for u, v in zip(weights(member), weights(new if trained else old), strict=True):
            np.testing.assert_allclose(u, v, rtol=1e-6, atol=1e-7)
    assert learned == 2
    # The ensemble that was copied is as it was, and this one goes on.
    for u, v in zip(weights(before), then, strict=True):
        np.testing.assert_array_equal(u, v)
    assert np.isfinite(fed(model, data).loss_)
