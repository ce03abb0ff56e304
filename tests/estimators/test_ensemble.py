"""Several networks for one target: each with other held-out rows, their predictions averaged."""

import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.metrics import accuracy_score, r2_score
from sklearn.neural_network import MLPRegressor

from skbandit import BanditPrunedMLPRegressor
from skbandit._tabular.features.splitting import held_out_rows
from skbandit._tabular.training import epochs
from skbandit._tabular.training import fit as _fit
from skbandit.estimators import _ensemble
from skbandit.pruning import engine as pruning

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ("regression", "multi-output", "counts", "binary", "multi-class", "multi-label")
CLASSIFICATION = KINDS[3:]
#: Three members that hold out a third of the rows each, and so together every row once.
THIRDS = {"n_members": 3, "early_stopping": True, "validation_fraction": 1 / 3, "max_iter": 10}


def out_of_fold(model):
    return getattr(model, "oof_prediction_", getattr(model, "oof_decision_function_", None))


def outputs(model, X):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def windows(model, data):
    """Return bool[n_members, n]: the rows that each member holds out."""
    strata = np.searchsorted(model.classes_, data.y) if hasattr(model, "classes_") and data.y.ndim == 1 else None
    n, seeds = len(model.estimators_), {member._member.split_seed for member in model.estimators_}
    (seed,) = seeds
    fraction = model.validation_fraction
    rows, weight = data.X, np.ones(len(data.X))
    y = np.searchsorted(model.classes_, data.y) if strata is not None else data.y
    options = {"y": y.reshape(len(rows), -1), "classes": hasattr(model, "classes_")}
    shares = [held_out_rows(rows, weight, fraction, seed, strata, "float32", k / n, **options) for k in range(n)]
    assert {*np.unique(shares)} == {0, 1}  # no row is cut
    return np.array(shares) == 1


def assert_same(a, b):
    assert len(a.estimators_) == len(b.estimators_)
    for u, v in zip(a.estimators_, b.estimators_, strict=True):
        for x, y in zip([*u.coefs_, *u.intercepts_], [*v.coefs_, *v.intercepts_], strict=True):
            np.testing.assert_array_equal(x, y)


# ---------------------------------------------------------------------- predictions


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_means_over_the_members(kind, make_data, make_estimator):
    data = make_data(kind)
    model = make_estimator(kind, **THIRDS).fit(data.X, data.y)
    each = [outputs(member, data.X_val) for member in model.estimators_]
    assert len(each) == model.n_members_ == 3
    assert (each[0] != each[1]).any()
    np.testing.assert_allclose(outputs(model, data.X_val), np.mean(each, axis=0), rtol=1e-12)
    assert model.predict(data.X_val).shape == data.y_val.shape
    if kind in CLASSIFICATION:
        p = model.predict_proba(data.X_val)
        np.testing.assert_allclose(np.exp(model.predict_log_proba(data.X_val)), p, rtol=1e-9)
        expected = p > 0.5 if kind == "multi-label" else model.classes_[p.argmax(axis=1)]
        np.testing.assert_array_equal(model.predict(data.X_val), expected)


def test_many_rows_are_predicted_as_few(make_data, regressor):
    # More than one chunk of rows.
    data = make_data("regression")
    model = regressor(preprocessing="auto", **THIRDS).fit(data.X, data.y)
    many = np.tile(data.X, (50, 1))
    np.testing.assert_allclose(model.predict(many), np.tile(model.predict(data.X), 50), rtol=1e-12)


@pytest.mark.parametrize("params", [{}, {"preprocessing": "auto", "numeric_embedding": "periodic"}], ids=str)
def test_sparse_rows_are_dense_rows(params, make_data, regressor):
    data = make_data("regression")
    X = np.where(np.abs(data.X) < 0.7, 0, data.X)
    model = regressor(**params, **THIRDS).fit(sparse.csr_array(X), data.y)
    np.testing.assert_allclose(model.predict(sparse.csr_array(X)), model.predict(X), rtol=1e-9)
    assert_same(model, regressor(**params, **THIRDS).fit(X, data.y))


def test_log_probabilities_are_finite_where_probabilities_are_not_representable(make_data, classifier):
    data = make_data("binary")
    model = classifier(n_members=2).fit(data.X, data.y)
    far = 1e4 * data.X_val
    assert (model.predict_proba(far) == 0).any()
    assert np.isfinite(model.predict_log_proba(far)).all()


@pytest.mark.parametrize("kind", ["regression", "multi-class"])
@pytest.mark.parametrize("params", [{}, {"dropout": 0.2, "input_scaling": True, "numeric_embedding": "periodic"}])
def test_the_result_does_not_depend_on_the_number_of_threads(kind, params, make_data, make_estimator, monkeypatch):
    data = make_data(kind)
    models = []
    for n_threads in (1, 2, 3):
        monkeypatch.setattr(_ensemble, "cpu_count", lambda n=n_threads: n)
        models.append(make_estimator(kind, **THIRDS, **params).fit(data.X, data.y))
    for model in models[1:]:
        assert_same(model, models[0])
        np.testing.assert_array_equal(out_of_fold(model), out_of_fold(models[0]))
        np.testing.assert_array_equal(model.predict(data.X_val), models[0].predict(data.X_val))


def test_the_seed_decides(make_data, regressor):
    data = make_data("regression")
    model = regressor(**THIRDS).fit(data.X, data.y)
    other = regressor(**THIRDS).set_params(random_state=1).fit(data.X, data.y)
    assert (model.predict(data.X_val) != other.predict(data.X_val)).any()
    assert_same(clone(model).fit(data.X, data.y), model)


# ---------------------------------------------------------------------- held-out rows


@pytest.mark.parametrize("kind", KINDS)
def test_out_of_fold_predictions_are_those_of_the_members_that_held_the_rows_out(kind, make_data, make_estimator):
    data = make_data(kind)
    model = make_estimator(kind, **THIRDS).fit(data.X, data.y)
    held = windows(model, data)
    assert np.mean(held.sum(axis=0) == 1) > 0.95  # a class of 20 rows has no thirds
    for row in range(60):
        each = [outputs(model.estimators_[k], data.X[[row]])[0] for k in np.flatnonzero(held[:, row])]
        expected = np.mean(each, axis=0) if each else np.full_like(out_of_fold(model)[row], np.nan)
        np.testing.assert_allclose(out_of_fold(model)[row], expected, rtol=1e-6)
    assert hasattr(model, "oof_decision_function_") == (kind in CLASSIFICATION)
    assert hasattr(model, "oof_prediction_") == (kind not in CLASSIFICATION)


def test_rows_that_nobody_holds_out_are_nan_and_those_that_several_do_are_averaged(make_data, regressor):
    data = make_data("regression")
    few = regressor(**{**THIRDS, "validation_fraction": 0.2}).fit(data.X, data.y)
    np.testing.assert_array_equal(np.isnan(few.oof_prediction_), windows(few, data).sum(axis=0) == 0)
    assert np.isnan(few.oof_prediction_).sum() == 60 - 36
    many = regressor(**{**THIRDS, "validation_fraction": 0.5}).fit(data.X, data.y)
    held = windows(many, data)
    assert set(held.sum(axis=0)) == {1, 2}
    each = np.array([member.predict(data.X) for member in many.estimators_])
    np.testing.assert_allclose(many.oof_prediction_, (each * held).sum(axis=0) / held.sum(axis=0), rtol=1e-6)


@pytest.mark.parametrize("kind", ["regression", "multi-class"])
def test_each_member_is_judged_by_its_own_window(kind, make_data, make_estimator):
    data = make_data(kind)
    model = make_estimator(kind, pruning_ratio=0, **THIRDS).fit(data.X, data.y)
    for member, held in zip(model.estimators_, windows(model, data), strict=True):
        assert member.t_ == member.n_iter_ * (~held).sum()
        score = r2_score if kind == "regression" else accuracy_score
        in_window = score(data.y[held], member.predict(data.X[held]))
        assert member.best_validation_score_ == pytest.approx(in_window, abs=1e-5)


def test_rows_without_weight_have_no_out_of_fold_prediction(make_data, regressor):
    X, y = np.tile(make_data("regression").X, (2, 1)), np.tile(make_data("regression").y, 2)
    X[60:] += 10
    weight = np.where(np.arange(120) % 4 == 0, 0.0, 1.0)
    params = {**THIRDS, "max_iter": 3}
    model = regressor(**params).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(np.isnan(model.oof_prediction_), weight == 0)
    there = weight > 0
    alone = regressor(**params).fit(X[there], y[there])
    np.testing.assert_array_equal(model.oof_prediction_[there], alone.oof_prediction_)


def test_out_of_fold_predictions_are_clipped_as_predictions_are(make_data, regressor):
    data = make_data("regression")
    model = regressor(clip_predictions=True, learning_rate_init=0.5, **THIRDS).fit(data.X, data.y)
    free = regressor(learning_rate_init=0.5, **THIRDS).fit(data.X, data.y)
    low, high = data.y.min(), data.y.max()
    assert not ((free.oof_prediction_ >= low) & (free.oof_prediction_ <= high)).all()
    # Of the member that held a row out: that member's prediction, clipped.
    np.testing.assert_allclose(model.oof_prediction_, np.clip(free.oof_prediction_, low, high), rtol=1e-6)
    each = [np.clip(member.predict(5 * data.X), low, high) for member in free.estimators_]
    np.testing.assert_allclose(model.predict(5 * data.X), np.mean(each, axis=0), rtol=1e-6)


def test_the_users_held_out_rows_are_everyones(make_data, regressor):
    data = make_data("regression")
    model = regressor(pruning_ratio=0, **THIRDS).fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)
    assert out_of_fold(model) is None
    for member in model.estimators_:
        assert member.t_ == member.n_iter_ * 60
        assert member.best_validation_score_ == pytest.approx(member.score(data.X_val, data.y_val), abs=1e-5)


def test_members_differ_where_no_rows_are_held_out(make_data, regressor):
    data = make_data("regression")
    model = regressor(n_members=2, max_iter=5).fit(data.X, data.y)
    assert out_of_fold(model) is None
    assert (model.estimators_[0].predict(data.X) != model.estimators_[1].predict(data.X)).any()


def test_out_of_fold_predictions_need_a_holder_and_not_early_stopping(make_data, regressor):
    data = make_data("regression")
    params = {**THIRDS, "early_stopping": False, "pruning_ratio": "auto", "tolerance": 0.5}
    assert np.isfinite(regressor(**params).fit(data.X, data.y).oof_prediction_).all()


# ---------------------------------------------------------------------- attributes


def test_attributes_are_sums_means_and_maxima_over_the_members(make_data, regressor):
    data = make_data("regression")
    params = {**THIRDS, "max_iter": 40, "n_iter_no_change": 3, "tol": 0.01}
    model = regressor(**params).fit(data.X, data.y)
    members = model.estimators_
    assert {member.hidden_layer_sizes_ for member in members} == {(4,)}
    n_before, n_after = 4 * 8 + 8 + 8 + 1, 4 * 4 + 4 + 4 + 1
    assert model.hidden_layer_sizes_ == [(4,)] * 3
    assert model.n_units_ == (3 * 8, 3 * 4)
    assert model.n_parameters_ == (3 * n_before, 3 * n_after)
    assert model.n_macs_ == (3 * (4 * 8 + 8), 3 * (4 * 4 + 4))
    assert model.n_pulls_ == sum(member.n_pulls_ for member in members) > 0
    assert model.t_ == sum(member.n_iter_ * 40 for member in members)
    assert len({member.n_iter_ for member in members}) > 1
    assert model.n_iter_ == max(member.n_iter_ for member in members)
    assert model.loss_ == pytest.approx(np.mean([member.loss_curve_[-1] for member in members]))
    assert (model.n_layers_, model.n_outputs_, model.out_activation_) == (3, 1, "identity")
    assert model.training_status_ == "converged"
    assert all(member.n_members == member.n_members_ == 1 for member in members)


def test_members_are_estimators(make_data, regressor):
    data = make_data("regression")
    model = regressor(**THIRDS).fit(data.X, data.y)
    for member in model.estimators_:
        assert type(member) is BanditPrunedMLPRegressor
        assert member.score(data.X_val, data.y_val) > 0
        assert member.prune(data.X, data.y, pruning_ratio=0.75).hidden_layer_sizes_ == (2,)
        again = clone(member).fit(data.X, data.y)
        assert again.n_members_ == 1
    assert model.estimators_[0].random_state != model.estimators_[1].random_state


@pytest.mark.parametrize("kind", ["regression", "multi-class"])
def test_another_number_of_members_leaves_nothing_behind(kind, make_data, make_estimator):
    data = make_data(kind)
    fresh = {n: vars(make_estimator(kind, **{**THIRDS, "n_members": n}).fit(data.X, data.y)).keys() for n in (1, 3)}
    model = make_estimator(kind, **THIRDS)
    for n in (1, 3, 3, 1):
        model.set_params(n_members=n).fit(data.X, data.y)
        assert vars(model).keys() == fresh[n]
        assert all(vars(member).keys() <= fresh[1] for member in getattr(model, "estimators_", ()))
    # Nor does another source of held-out rows.
    model.set_params(n_members=3).fit(data.X, data.y)
    model.fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)
    assert out_of_fold(model) is None


# ---------------------------------------------------------------------- after the fit


def test_prune_prunes_every_member_of_a_copy(make_data, regressor):
    data = make_data("regression")
    dense = regressor(pruning_ratio=0, **THIRDS).fit(data.X, data.y)
    before, oof = dense.predict(data.X_val), dense.oof_prediction_
    pruned = dense.prune(data.X, data.y, pruning_ratio=0.5)
    assert [member.hidden_layer_sizes_ for member in pruned.estimators_] == [(4,)] * 3
    assert pruned.n_parameters_ == (147, 75)
    each = [member.predict(data.X_val) for member in pruned.estimators_]
    np.testing.assert_allclose(pruned.predict(data.X_val), np.mean(each, axis=0), rtol=1e-12)
    # The predictions of before are no longer its own ...
    assert out_of_fold(pruned) is None
    # ... and the ensemble that it came from stays as it was.
    assert dense.oof_prediction_ is oof
    assert [member.hidden_layer_sizes_ for member in dense.estimators_] == [(8,)] * 3
    np.testing.assert_array_equal(dense.predict(data.X_val), before)


def test_prune_path_of_an_ensemble(make_data, regressor):
    data = make_data("regression")
    dense = regressor(pruning_ratio=0, **THIRDS).fit(data.X, data.y)
    path = dense.prune_path(data.X, data.y, pruning_ratio=0.75, n_rounds=2)
    assert path.hidden_layer_sizes == [[(size,)] * 3 for size in (8, 4, 2)]
    np.testing.assert_array_equal(path.n_units, [24, 12, 6])
    np.testing.assert_allclose(path.pruning_ratios, [0, 0.5, 0.75])
    np.testing.assert_array_equal(path.estimators[0].predict(data.X_val), dense.predict(data.X_val))
    pruned = dense.prune(data.X, data.y, pruning_ratio=0.75, n_rounds=2)
    np.testing.assert_array_equal(path.estimators[-1].predict(data.X_val), pruned.predict(data.X_val))
    # Held-out losses, as the rows that the members were judged by tell them.
    held, scale = windows(dense, data), data.y.std()
    for model, loss in zip(path.estimators, path.losses, strict=True):
        residuals = [(m.predict(data.X) - data.y)[h] / scale for m, h in zip(model.estimators_, held, strict=True)]
        assert loss == pytest.approx(np.mean([0.5 * np.mean(r**2) for r in residuals]), rel=1e-4)


def test_members_of_auto_may_end_at_different_sizes(make_data, regressor):
    data = make_data("regression")
    dense = regressor(pruning_ratio=0, hidden_layer_sizes=(16,), **{**THIRDS, "max_iter": 60}).fit(data.X, data.y)
    path = dense.prune_path(data.X, data.y, pruning_ratio="auto", tolerance=0.05)
    pruned = dense.prune(data.X, data.y, pruning_ratio=0).estimators_
    rounds = [len(member.pruning_history_) for member in path.estimators[-1].estimators_]
    assert len(set(rounds)) > 1
    assert min(rounds) == 0  # a member may stay as it is
    assert len(path.estimators) == max(rounds) + 1
    assert path.losses[0] == pytest.approx(np.mean([m._member.pruning.guard_loss for m in pruned]), rel=1e-5)
    assert (np.diff(path.n_units) < 0).all()
    for model in path.estimators:
        assert np.isfinite(model.predict(data.X_val)).all()


def test_a_warm_start_trains_every_member_on(make_data, regressor):
    data = make_data("regression")
    params = {**THIRDS, "pruning_ratio": 0, "warm_start": True, "shuffle": False}
    model = regressor(**params).fit(data.X, data.y)
    first = model.estimators_
    curves = [list(member.loss_curve_) for member in first]
    model.fit(data.X, data.y)
    for member, before, curve in zip(model.estimators_, first, curves, strict=True):
        assert member.loss_curve_[:10] == before.loss_curve_ == curve
        assert len(member.loss_curve_) == 20
        assert member.loss_curve_[10] < curve[0]
        assert member._member.split_seed == before._member.split_seed
    with pytest.raises(ValueError, match="The 'n_members' parameter was 3 when the network was made"):
        model.set_params(n_members=2).fit(data.X, data.y)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_error_in_a_member_changes_nothing(n_threads, make_data, regressor, monkeypatch):
    monkeypatch.setattr(_ensemble, "cpu_count", lambda: n_threads)
    data = make_data("regression")
    model = regressor(**THIRDS).fit(data.X, data.y)
    before = dict(vars(model))
    model.set_params(learning_rate_init=1e30)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        model.fit(data.X, data.y)
    model.set_params(learning_rate_init=before["learning_rate_init"])
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is before[name] for name in before)


def test_what_one_network_is_needed_for_is_refused(make_data, regressor):
    data = make_data("regression")
    mlp = MLPRegressor(hidden_layer_sizes=(8,), max_iter=2).fit(data.X, data.y)
    with pytest.raises(ValueError, match="'n_members' describes the network that is taken over: it is 1"):
        BanditPrunedMLPRegressor.from_sklearn(mlp, n_members=2)
    assert BanditPrunedMLPRegressor.from_sklearn(mlp, n_members=1).n_members_ == 1


# ---------------------------------------------------------------------- around the fit


def test_memory_keeps_every_member(tmp_path, make_data, regressor, monkeypatch):
    data = make_data("regression")
    begun = []
    original = _fit.init_state
    monkeypatch.setattr(_fit, "init_state", lambda *args: begun.append(1) or original(*args))
    params = {"memory": str(tmp_path), "fine_tune_iter": 0, **THIRDS}
    for policy in ("ucb1", "magnitude"):
        model = regressor(policy=policy, **params).fit(data.X, data.y)
    assert len(begun) == 3
    assert_same(model, regressor(**{**params, "memory": None}, policy="magnitude").fit(data.X, data.y))


class Listener:
    """Writes down the tasks."""

    def __init__(self):
        self.begun, self.ended, self.sizes = [], [], []

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(path(context))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.ended.append(path(context))
        if context.task_name in ("epoch", "round"):
            assert np.isfinite(fitted_estimator.predict(X)).all()
            self.sizes.append(fitted_estimator.hidden_layer_sizes_)


def path(context):
    names = []
    while context.parent is not None:
        names.append(f"{context.task_name} {context.task_id}")
        context = context.parent
    return "/".join(reversed(names))


def test_callbacks_hear_of_every_member_and_change_nothing(make_data, regressor):
    data = make_data("regression")
    params = {**THIRDS, "max_iter": 3}
    listener = Listener()
    model = regressor(**params).set_callbacks(listener).fit(data.X, data.y)
    assert Counter(listener.begun) == Counter(listener.ended)
    assert [task for task in listener.begun if "/" not in task] == ["", "member 0", "member 1", "member 2"]
    for k in range(3):
        of_member = [task for task in listener.begun if task.startswith(f"member {k}/")]
        assert of_member[:4] == [f"member {k}/train 0{epoch}" for epoch in ("", "/epoch 0", "/epoch 1", "/epoch 2")]
        assert sum(re.fullmatch(rf"member {k}/prune 1/round \d", task) is not None for task in of_member) == 2
    assert listener.sizes[:3] == [(8,)] * 3
    assert (4,) in listener.sizes
    assert_same(model, regressor(**params).fit(data.X, data.y))


def test_the_scoring_monitor_scores_the_ensemble_at_the_end(make_data, classifier):
    data = make_data("multi-class")
    monitor = ScoringMonitor(scoring="accuracy")
    model = classifier(**{**THIRDS, "max_iter": 3}).set_callbacks(monitor).fit(data.X, data.y)
    log = monitor.get_logs().data
    assert Counter(row["task_name"] for row in log)["epoch"] == 3 * (3 + 2 * 2)
    assert [row["accuracy"] for row in log if row["task_name"] == "fit"] == [model.score(data.X, data.y)]


def test_the_progress_bar_shows_every_member(make_data, regressor, capsys):
    data = make_data("regression")
    regressor(**{**THIRDS, "max_iter": 3}).set_callbacks(ProgressBar()).fit(data.X, data.y)
    shown = capsys.readouterr().out
    for task in ("fit", "member", "train", "prune"):
        assert re.search(rf"BanditPrunedMLPRegressor - {task}\b", shown)
    assert "100%" in shown
    assert not re.search(r"\b\d{1,2}%", shown)


def test_verbose_members_speak_one_after_the_other(make_data, regressor, capsys):
    data = make_data("regression")
    regressor(verbose=True, **{**THIRDS, "max_iter": 2}).fit(data.X, data.y)
    shown = capsys.readouterr().out
    words = [line.split(",")[0].split(":")[0] for line in shown.splitlines()]
    said = ["Iteration 1", "Iteration 2", "Pruning", "Round 0", "Round 1"]
    assert words == [word for k in (1, 2, 3) for word in (f"Member {k} of 3", *said)]


#: Ninety-six epochs in three calls.
LONG = {"n_members": 2, "max_iter": 96, "tol": 0.0, "n_iter_no_change": 1000}


def test_ctrl_c_ends_the_training_of_every_member(make_data, regressor, monkeypatch):
    data = make_data("regression")
    monkeypatch.setattr(_ensemble, "cpu_count", lambda: 2)
    expected = regressor(**{**LONG, "max_iter": 32}, pruning_ratio=0).fit(data.X, data.y)
    original, trained, heard = epochs.run_chunk, threading.Event(), threading.Event()

    def run_chunk(*args, **kwargs):
        result = original(*args, **kwargs)
        trained.set()
        assert heard.wait(60)  # goes on when the fit has heard of it
        return result

    class Pool(ThreadPoolExecutor):
        """The user presses Ctrl-C while the fit waits for its members. (A signal might reach the test runner.)"""

        def submit(self, *args):
            future = super().submit(*args)
            result = future.result

            def wait():
                if not heard.is_set():
                    assert trained.wait(60)
                    raise KeyboardInterrupt
                return result()

            future.result = wait
            return future

    monkeypatch.setattr(epochs, "run_chunk", run_chunk)
    monkeypatch.setattr(_ensemble, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(_ensemble, "threading", SimpleNamespace(Event=lambda: heard))
    with pytest.warns(UserWarning, match="nterrupted by user"):
        model = regressor(**LONG).fit(data.X, data.y)
    monkeypatch.undo()
    # What was learned is kept, and nothing is pruned: the user wants to go on.
    assert {member.n_iter_ for member in model.estimators_} == {32}
    assert {member.hidden_layer_sizes_ for member in model.estimators_} == {(8,)}
    assert_same(model, expected)
    assert np.isfinite(model.predict(data.X)).all()
    assert model.prune(data.X, data.y, pruning_ratio=0.5).estimators_[0].hidden_layer_sizes_ == (4,)


def test_an_interrupt_where_members_come_one_after_the_other(make_data, regressor, monkeypatch):
    data = make_data("regression")
    monkeypatch.setattr(_ensemble, "cpu_count", lambda: 1)
    original, calls = epochs.run_chunk, []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(epochs, "run_chunk", interrupted)
    with pytest.warns(UserWarning, match="nterrupted by user"):
        model = regressor(**LONG).fit(data.X, data.y)
    assert (model.training_status_, model.n_members_) == ("interrupted", 2)
    first, second = model.estimators_
    assert (first.n_iter_, first.training_status_, first.hidden_layer_sizes_) == (32, "interrupted", (8,))
    assert (second.n_iter_, second.training_status_, second.hidden_layer_sizes_) == (32, "interrupted", (8,))
    assert np.isfinite(model.predict(data.X)).all()


@pytest.fixture
def interrupted_scoring(monkeypatch):
    """Press Ctrl-C in the second round of the first member; members come one after the other."""
    monkeypatch.setattr(_ensemble, "cpu_count", lambda: 1)
    original, calls = pruning.Pruner.score, []

    def score(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, *args, **kwargs)

    return lambda: monkeypatch.setattr(pruning.Pruner, "score", score)


def test_after_an_interrupt_no_member_is_pruned_also_if_it_comes_from_memory(
    make_data, regressor, interrupted_scoring, tmp_path
):
    data = make_data("regression")
    params = {"n_members": 3, "memory": str(tmp_path)}
    whole = regressor(**params).fit(data.X, data.y)
    interrupted_scoring()
    with pytest.warns(UserWarning, match="Pruning interrupted by user after 1 rounds"):
        model = regressor(**params).fit(data.X, data.y)
    assert [m.hidden_layer_sizes_ for m in whole.estimators_] == [(4,)] * 3
    assert [m.hidden_layer_sizes_ for m in model.estimators_] == [(6,), (8,), (8,)]
    assert model.estimators_[0].pruning_status_ == "interrupted by the user"


@pytest.mark.parametrize("ratio", [0.5, "auto"])
def test_an_interrupt_ends_the_pruning_of_all_members(ratio, make_data, regressor, interrupted_scoring):
    data = make_data("regression")
    dense = regressor(n_members=3, pruning_ratio=0).fit(data.X, data.y)
    interrupted_scoring()
    with pytest.warns(UserWarning, match="Pruning interrupted by user after 1 rounds"):
        model = dense.prune(data.X, data.y, pruning_ratio=ratio, tolerance=1e6)
    assert [m.hidden_layer_sizes_ for m in model.estimators_] == [(6,) if ratio == 0.5 else (4,)] * 3
    assert model.pruning_status_ == "interrupted by the user"


@pytest.mark.parametrize("change", ["scale", "category"])
def test_a_member_that_is_trained_on_by_itself_reads_x_in_its_own_way(make_data, regressor, change):
    data = make_data("regression")
    X = pd.DataFrame(data.X, columns=list("pqrs")).assign(k=pd.Categorical(np.where(data.X[:, 0] > 0, "a", "b")))
    params = {"preprocessing": "auto", "categorical_features": "from_dtype", "n_members": 2, "max_iter": 5}
    model = regressor(**params, warm_start=True).fit(X, data.y)
    later = X.assign(p=3 * X["p"] + 5) if change == "scale" else X.assign(k=pd.Categorical(["c"] * len(X)))
    model.estimators_[0].partial_fit(later, data.y)
    known = later if change == "scale" else X  # the ensemble itself has not seen "c"
    each = [member.predict(known) for member in model.estimators_]
    np.testing.assert_allclose(model.predict(known), np.mean(each, axis=0), rtol=1e-6)
    for call in (model.fit, lambda X, y: model.prune(X, y, pruning_ratio=0.75)):
        with pytest.raises(ValueError, match=r"Some members of this ensemble .* were trained further"):
            call(X, data.y)


def test_one_unlucky_member_does_not_speak_for_all(classifier):
    # Windows of ten rows: of four members, some has ten rows that speak against its network.
    rng = np.random.default_rng(1)
    X = rng.normal(size=(100, 3))
    y = (X[:, 0] + 0.7 * rng.normal(size=100) > 0).astype(int)
    params = {"n_members": 4, "early_stopping": True, "validation_metric": "loss", "max_iter": 30, "pruning_ratio": 0}
    classifier(**params).fit(X, y)
    with pytest.warns(UserWarning, match="No epoch predicts the held-out rows") as caught:
        classifier(**params).fit(X, rng.permutation(y))
    assert len(caught) == 1
