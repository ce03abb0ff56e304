"""scikit-learn's callbacks: what they hear, what they are shown, and what they may stop."""

import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Listener:
    """Writes down the tasks; asks to stop after those that ``stop_after`` names."""

    def __init__(self, *stop_after):
        self.stop_after = stop_after
        self.calls = []
        self.begun, self.ended = [], []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(path(context))

    def on_fit_task_end(self, estimator, context):
        self.ended.append(path(context))
        return path(context) in self.stop_after


class Snapshots(Listener):
    """Also keeps the estimators that it is shown."""

    def __init__(self):
        super().__init__()
        self.estimators = {}

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        super().on_fit_task_end(estimator, context)
        self.estimators[path(context)] = fitted_estimator


def path(context):
    """Spell a task as in ``"train 0/epoch 3"``, from below the root."""
    names = []
    while context.parent is not None:
        names.append(f"{context.task_name} {context.task_id}")
        context = context.parent
    return "/".join(reversed(names))


def networks(model):
    return [*model.coefs_, *model.intercepts_]


def test_the_tree_of_tasks(make_data, regressor):
    data = make_data("regression")
    listener = Listener()
    regressor(max_iter=3).set_callbacks(listener).fit(data.X, data.y)
    rounds = [f"prune 1/round {r}" for r in range(2)]
    assert listener.begun == [
        "",
        "train 0",
        *(f"train 0/epoch {e}" for e in range(3)),
        "prune 1",
        *(r + task for r in rounds for task in ("", "/fine-tune 0", *(f"/fine-tune 0/epoch {e}" for e in range(2)))),
    ]
    assert listener.ended == [
        *(f"train 0/epoch {e}" for e in range(3)),
        "train 0",
        *(r + task for r in rounds for task in (*(f"/fine-tune 0/epoch {e}" for e in range(2)), "/fine-tune 0", "")),
        "prune 1",
        "",
    ]
    assert listener.calls == ["setup", "teardown"]


@pytest.mark.parametrize(
    "params",
    [
        {"pruning_ratio": 0},
        {"fine_tune_iter": 0},
        {"early_stopping": True},
        {"pruning_ratio": "auto", "tolerance": 0.1},
    ],
    ids=str,
)
def test_every_task_that_begins_ends(params, make_data, regressor):
    data = make_data("regression")
    listener = Listener()
    model = regressor(max_iter=5, **params).set_callbacks(listener).fit(data.X, data.y)
    assert Counter(listener.begun) == Counter(listener.ended)
    assert sum(re.fullmatch("train 0/epoch .*", task) is not None for task in listener.ended) == model.n_iter_


@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=str)
def test_a_passive_callback_changes_nothing(params, make_data, regressor):
    data = make_data("regression")
    params = {"batch_size": 16, "max_iter": 40, "tol": 0.0, **params}
    alone = regressor(**params).fit(data.X, data.y)
    heard = regressor(**params).set_callbacks(Snapshots()).fit(data.X, data.y)
    for a, b in zip(networks(heard), networks(alone), strict=True):
        np.testing.assert_array_equal(a, b)
    assert heard.loss_curve_ == alone.loss_curve_
    assert heard.n_iter_ == alone.n_iter_


@pytest.mark.parametrize("kind", ["regression", "multi-class", "multi-label"])
def test_callbacks_are_shown_estimators_that_predict(kind, make_data, make_estimator):
    data = make_data(kind)
    snapshots = Snapshots()
    model = make_estimator(kind, max_iter=3).set_callbacks(snapshots).fit(data.X, data.y)
    shown = snapshots.estimators
    scores = [shown[f"train 0/epoch {e}"].score(data.X, data.y) for e in range(3)]
    assert np.isfinite(scores).all()
    for task, size in (("train 0/epoch 2", 8), ("prune 1/round 0", 6), ("prune 1/round 1", 4), ("", 4)):
        assert shown[task].hidden_layer_sizes_ == (size,)
        assert shown[task].coefs_[0].shape == (4, size)
    for task in ("prune 1/round 1", ""):
        np.testing.assert_array_equal(shown[task].predict(data.X), model.predict(data.X))
    # As if the fit had stopped there.
    two = make_estimator(kind, max_iter=2, pruning_ratio=0).fit(data.X, data.y)
    np.testing.assert_array_equal(shown["train 0/epoch 1"].predict(data.X), two.predict(data.X))


def test_a_callback_stops_training(make_data, regressor):
    data = make_data("regression")
    model = regressor().set_callbacks(Listener("train 0/epoch 6")).fit(data.X, data.y)
    assert (model.n_iter_, len(model.loss_curve_)) == (7, 7)
    assert model.training_status_ == "stopped"
    assert model.hidden_layer_sizes_ == (4,)
    shorter = regressor(max_iter=7).fit(data.X, data.y)
    np.testing.assert_array_equal(model.coefs_[0], shorter.coefs_[0])


def test_a_callback_stops_lbfgs(make_data, regressor):
    data = make_data("regression")
    params = {"solver": "lbfgs", "pruning_ratio": 0}
    model = regressor(**params).set_callbacks(Listener("train 0/epoch 4")).fit(data.X, data.y)
    assert model.n_iter_ == 5
    assert model.training_status_ == "stopped"
    whole = regressor(**params).fit(data.X, data.y)
    assert model.loss_curve_ == whole.loss_curve_[:5]
    assert model.score(data.X, data.y) < whole.score(data.X, data.y)


def test_a_callback_stops_pruning(make_data, regressor):
    data = make_data("regression")
    model = regressor().set_callbacks(Listener("prune 1/round 0")).fit(data.X, data.y)
    assert model.hidden_layer_sizes_ == (6,)
    assert len(model.pruning_history_) == 1
    assert "callback" in model.pruning_status_


def test_a_callback_stops_a_fine_tuning(make_data, regressor):
    data = make_data("regression")
    listener = Listener("prune 1/round 0/fine-tune 0/epoch 2")
    model = regressor(fine_tune_iter=10).set_callbacks(listener).fit(data.X, data.y)
    assert sum(task.startswith("prune 1/round 0/fine-tune 0/epoch") for task in listener.ended) == 3
    assert sum(task.startswith("prune 1/round 1/fine-tune 0/epoch") for task in listener.ended) == 10
    assert model.hidden_layer_sizes_ == (4,)


def test_tasks_end_where_the_user_interrupts(make_data, regressor):
    class Interrupting(Listener):
        def on_fit_task_end(self, estimator, context):
            super().on_fit_task_end(estimator, context)
            if path(context) == "prune 1/round 1/fine-tune 0/epoch 0":
                raise KeyboardInterrupt

    data = make_data("regression")
    listener = Interrupting()
    with pytest.warns(UserWarning, match="Pruning interrupted by user after 1 rounds"):
        model = regressor().set_callbacks(listener).fit(data.X, data.y)
    assert model.hidden_layer_sizes_ == (6,)
    assert Counter(listener.begun) == Counter(listener.ended)
    assert listener.calls == ["setup", "teardown"]


def test_methods_that_are_no_fit_leave_callbacks_alone(make_data, regressor):
    data = make_data("regression")
    listener = Listener()
    model = regressor(pruning_ratio=0).set_callbacks(listener).fit(data.X, data.y)
    heard = len(listener.begun)
    assert model.prune(data.X, data.y, pruning_ratio=0.5).hidden_layer_sizes_ == (4,)
    model.partial_fit(data.X, data.y)
    assert len(listener.begun) == heard


# ---------------------------------------------------------------------- scikit-learn's own


def test_the_scoring_monitor_follows_training_and_pruning(make_data, classifier):
    data = make_data("multi-class")
    monitor = ScoringMonitor(scoring="accuracy")
    model = classifier(max_iter=3).set_callbacks(monitor).fit(data.X, data.y)
    log = monitor.get_logs().data
    assert Counter(row["task_name"] for row in log) == {"epoch": 3 + 2 * 2, "round": 2, "fit": 1}
    accuracy = accuracy_score(data.y, model.predict(data.X))
    assert [row["accuracy"] for row in log if row["task_name"] == "fit"] == [accuracy]
    assert next(row["accuracy"] for row in reversed(log) if row["task_name"] == "round") == accuracy


def test_the_scoring_monitor_sees_the_users_frame(make_data, regressor):
    # A bare array would be warned about: the estimator was fitted with names.
    data = make_data("regression")
    table = pd.DataFrame(data.X, columns=list("abcd"))
    monitor = ScoringMonitor(scoring="r2")
    model = regressor(max_iter=3).set_callbacks(monitor).fit(table, data.y)
    scores = [row["r2"] for row in monitor.get_logs().data if row["task_name"] == "fit"]
    assert scores == [pytest.approx(model.score(table, data.y))]


def test_the_scoring_monitor_within_a_grid_search(make_data, regressor):
    data = make_data("regression")
    monitor = ScoringMonitor(scoring="r2")
    pipeline = make_pipeline(StandardScaler(), regressor(max_iter=3).set_callbacks(monitor))
    search = GridSearchCV(pipeline, {"banditprunedmlpregressor__budget": [2, 8]}, cv=2)
    search.fit(data.X, data.y)
    log = monitor.get_logs().data
    # Two candidates on two folds, and the refit: three epochs, two rounds of two epochs of fine-tuning.
    assert Counter(row["task_name"] for row in log) == {"epoch": 5 * 7, "round": 5 * 2, "fit": 5}
    assert all(np.isfinite(row["r2"]) for row in log)


def test_the_progress_bar_shows_every_phase(make_data, regressor, capsys):
    data = make_data("regression")
    regressor(max_iter=3).set_callbacks(ProgressBar()).fit(data.X, data.y)
    shown = capsys.readouterr().out
    for task in ("fit", "train", "prune", "round", "fine-tune"):
        assert re.search(rf"BanditPrunedMLPRegressor - {task}\b", shown)
    # Every bar is at its end.
    assert "100%" in shown
    assert not re.search(r"\b\d{1,2}%", shown)


def test_the_progress_bar_of_a_grid_search_reaches_into_the_fits(make_data, regressor, capsys):
    data = make_data("regression")
    pipeline = make_pipeline(StandardScaler(), regressor(max_iter=3))
    search = GridSearchCV(pipeline, {"banditprunedmlpregressor__budget": [2, 8]}, cv=2)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(data.X, data.y)
    shown = capsys.readouterr().out
    assert "GridSearchCV - fit" in shown
    for task in ("fit", "train", "prune", "fine-tune"):
        assert re.search(rf"BanditPrunedMLPRegressor - {task}\b", shown)
    assert not re.search(r"\b\d{1,2}%", shown)
