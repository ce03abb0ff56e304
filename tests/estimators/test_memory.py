"""`memory=`: the dense network is trained once for all ways of pruning it."""

import joblib
import numpy as np
import optax
import pytest
from sklearn.model_selection import GridSearchCV

from skbandit._tabular.training import epochs
from skbandit._tabular.training import fit as _fit

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "store")


@pytest.fixture
def trainings(monkeypatch):
    """Solver and shapes of the trainings that are begun (not of the fine-tunings)."""
    begun = []
    original = _fit.init_state

    def note(params, solver, opt_leaves=None):
        _, layers = params
        begun.append((solver, [W.shape for W, *_ in layers]))
        return original(params, solver, opt_leaves)

    monkeypatch.setattr(_fit, "init_state", note)
    return begun


def same_network(a, b):
    return all(np.array_equal(u, v) for u, v in zip(a.coefs_, b.coefs_, strict=True))


def test_the_second_policy_does_not_train_again(store, trainings, make_data, regressor):
    data = make_data("regression")
    params = {"memory": store, "fine_tune_iter": 0}
    models = [
        regressor(policy=policy, budget=budget, pruning_ratio=ratio, **params).fit(data.X, data.y)
        for policy, budget, ratio in (("ucb1", 8, 0.5), ("magnitude", 8, 0.5), ("ucb1", 2, 0.75))
    ]
    assert len(trainings) == 1
    assert [model.hidden_layer_sizes_ for model in models] == [(4,), (4,), (2,)]
    assert models[0].loss_curve_ == models[2].loss_curve_
    assert models[0].n_iter_ == models[2].n_iter_


@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"solver": "lbfgs"}, {"dtype": "float64"}])
def test_the_result_is_that_of_a_fit_without(params, store, make_data, regressor):
    data = make_data("regression")
    without = regressor(**params).fit(data.X, data.y)
    for _ in range(2):
        assert same_network(regressor(memory=store, **params).fit(data.X, data.y), without)


def test_lbfgs_trains_once_for_all_dropouts(store, make_data, regressor, monkeypatch):
    data = make_data("regression")
    params = {"memory": store, "solver": "lbfgs"}
    expected = regressor(dropout=0.1, **params).fit(data.X, data.y)
    monkeypatch.setattr(_fit, "train_lbfgs", None)
    assert same_network(regressor(dropout=0.5, **params).fit(data.X, data.y), expected)


@pytest.mark.parametrize(
    "change", [{"alpha": 0.5}, {"max_iter": 10}, {"learning_rate_init": 0.01}, {"random_state": 1}, {"tol": 1.0}]
)
def test_another_training_is_another_entry(change, store, trainings, make_data, regressor):
    data = make_data("regression")
    regressor(memory=store, fine_tune_iter=0).fit(data.X, data.y)
    regressor(memory=store, fine_tune_iter=0, **change).fit(data.X, data.y)
    assert len(trainings) == 2


def test_other_rows_are_another_entry(store, trainings, make_data, regressor):
    data = make_data("regression")
    model = regressor(memory=store, fine_tune_iter=0)
    for X, y, weight in ((data.X, data.y, None), (data.X[1:], data.y[1:], None), (data.X, data.y, np.arange(60))):
        model.fit(X, y, sample_weight=weight)
    assert len(trainings) == 3


def test_a_grid_trains_once_per_fold(store, trainings, make_data, regressor):
    data = make_data("regression")
    grid = {"policy": ["ucb1", "magnitude", "random"], "budget": [2, 8]}
    GridSearchCV(regressor(memory=store, fine_tune_iter=0), grid, cv=3, refit=False).fit(data.X, data.y)
    assert len(trainings) == 3


def test_a_memory_object_is_taken_too(store, trainings, make_data, regressor):
    data = make_data("regression")
    memory = joblib.Memory(store, verbose=0)
    for _ in range(2):
        regressor(memory=memory, fine_tune_iter=0).fit(data.X, data.y)
    assert len(trainings) == 1
    memory.clear(warn=False)
    regressor(memory=memory, fine_tune_iter=0).fit(data.X, data.y)
    assert len(trainings) == 2


def test_what_has_no_name_cannot_be_kept(store, make_data, regressor):
    data = make_data("regression")
    with pytest.raises(ValueError, match="needs 'solver' and 'learning_rate' given by name"):
        regressor(memory=store, learning_rate=lambda t: 0.01).fit(data.X, data.y)
    with pytest.raises(ValueError, match="needs 'solver' and 'learning_rate' given by name"):
        regressor(memory=store, solver=optax.sgd(0.1)).fit(data.X, data.y)


@pytest.mark.parametrize("wrong", ["a file", "below a file", "a\0b", "", "a" * 5000, 3, joblib.Memory, object()])
def test_what_is_no_memory_is_refused_before_anything_is_trained(wrong, tmp_path, trainings, make_data, regressor):
    data = make_data("regression")
    (tmp_path / "file").write_text("")
    wrong = {"a file": tmp_path / "file", "below a file": str(tmp_path / "file" / "store")}.get(str(wrong), wrong)
    with pytest.raises(ValueError, match=r"The 'memory' parameter of .* the path of a folder or an object with"):
        regressor(memory=wrong).fit(data.X, data.y)
    assert trainings == []


def test_a_damaged_entry_is_trained_anew_with_a_warning(tmp_path, trainings, make_data, regressor):
    data = make_data("regression")
    params = {"memory": tmp_path / "store", "fine_tune_iter": 0}  # a path is as good as its text
    expected = regressor(**params).fit(data.X, data.y)
    (entry,) = (tmp_path / "store").rglob("output.pkl")
    whole = entry.read_bytes()
    entry.write_bytes(whole[:-80] + bytes([whole[-80] ^ 1]) + whole[-79:])  # a bit of a weight
    with pytest.warns(UserWarning, match="'memory' holds an entry that is damaged"):
        model = regressor(**params).fit(data.X, data.y)
    assert same_network(model, expected)
    assert len(trainings) == 2
    regressor(**params).fit(data.X, data.y)
    assert len(trainings) == 2


def test_a_cache_that_cannot_be_written_to_costs_no_fit(tmp_path, trainings, make_data, regressor):
    data = make_data("regression")
    (tmp_path / "joblib").write_text("")  # where joblib makes its folder
    with pytest.warns(UserWarning, match="'memory' cannot keep this network, and the fit goes on without it"):
        model = regressor(memory=tmp_path).fit(data.X, data.y)
    assert same_network(model, regressor().fit(data.X, data.y))


def test_an_interrupted_training_is_not_kept(store, make_data, regressor, monkeypatch, interrupted_in_its_second_chunk):
    data = make_data("regression")
    params = {"max_iter": 100, "tol": 0.0, "pruning_ratio": 0}
    monkeypatch.setattr(epochs, "run_chunk", interrupted_in_its_second_chunk)
    with pytest.warns(UserWarning, match="Training interrupted"):
        model = regressor(memory=store, **params).fit(data.X, data.y)
    assert model.n_iter_ < 100
    assert regressor(memory=store, **params).fit(data.X, data.y).n_iter_ == 100


def test_a_training_that_a_callback_stopped_is_not_kept(store, make_data, regressor):
    class Stop:
        def setup(self, estimator, context): ...
        def teardown(self, estimator, context): ...
        def on_fit_task_begin(self, estimator, context): ...
        def on_fit_task_end(self, estimator, context):
            return context.task_name == "epoch" and context.task_id == 4

    data = make_data("regression")
    model = regressor(memory=store, tol=0.0)
    assert model.set_callbacks(Stop()).fit(data.X, data.y).n_iter_ == 5
    assert model.set_callbacks().fit(data.X, data.y).n_iter_ == 30


def test_a_path_below_the_home_is_expanded(tmp_path, monkeypatch, trainings, make_data, regressor):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    data = make_data("regression")
    for _ in range(2):
        regressor(memory="~/store", max_iter=2).fit(data.X, data.y)
    assert len(trainings) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
