"""Trained networks of the process: a search over pruning parameters trains once per fold, and scores the same."""

import copy
import gc
import pickle
import warnings
import weakref

import jax
import joblib
import numpy as np
import optax
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import sparse
from sklearn.model_selection import GridSearchCV

from skbandit import BanditPrunedMLPRegressor
from skbandit._core.scope import blas_threads
from skbandit._tabular.training import epochs
from skbandit._tabular.training import fit as _fit
from skbandit._tabular.types import Ending, Network, Rows, Trained
from skbandit.estimators import _trained
from skbandit.estimators._trained import STORE, Store, _size, digest, is_worth_hashing

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def switched_on(monkeypatch):
    """The rest of the suite trains at each fit (tests/conftest.py)."""
    STORE.clear()
    monkeypatch.setenv("SKBANDIT_SHARE_TRAINING", "1")
    yield
    STORE.clear()


@pytest.fixture
def trainings(monkeypatch):
    """Status of each training that is run (not of the fine-tunings)."""
    ended = []
    original = _fit.train

    def note(*args, **kwargs):
        trained = original(*args, **kwargs)
        ended.append(trained.status)
        return trained

    monkeypatch.setattr(_fit, "train", note)
    return ended


def assert_same_model(a, b):
    """All fitted attributes are the same, but for the seconds that rounds took."""
    one, other = ({k: v for k, v in vars(m).items() if k.endswith("_") and k[0] != "_"} for m in (a, b))
    assert one.keys() == other.keys()
    for name in one:
        if name == "estimators_":
            for u, v in zip(one[name], other[name], strict=True):
                assert_same_model(u, v)
        elif name == "pruning_history_":
            for u, v in zip(one[name], other[name], strict=True):
                assert {**u, "seconds": 0} == {**v, "seconds": 0}
        else:
            assert_same(one[name], other[name])


def assert_same(a, b):
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert a.tobytes() == b.tobytes()
        assert (a.dtype, a.shape, a.flags.writeable) == (b.dtype, b.shape, b.flags.writeable)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for u, v in zip(a, b, strict=True):
            assert_same(u, v)
    else:
        assert a == b


def test_a_grid_trains_once_per_fold(trainings, make_data, regressor):
    data = make_data("regression")
    grid = {"policy": ["ucb1", "magnitude"], "budget": [2, 8], "pruning_ratio": [0.25, 0.5]}
    GridSearchCV(regressor(), grid, cv=3, refit=False).fit(data.X, data.y)
    assert len(trainings) == 3


def test_a_grid_scores_the_same(make_data, regressor, monkeypatch):
    data = make_data("regression")
    search = GridSearchCV(regressor(), {"policy": ["ucb1", "thompson"], "pruning_ratio": [0.25, 0.5]}, cv=3)
    shared = search.fit(data.X, data.y)
    scores, best = shared.cv_results_["mean_test_score"], shared.best_estimator_
    monkeypatch.setenv("SKBANDIT_SHARE_TRAINING", "0")
    search.fit(data.X, data.y)
    assert scores.tobytes() == search.cv_results_["mean_test_score"].tobytes()
    assert_same_model(best, search.best_estimator_)


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("regression", {}),
        ("regression", {"early_stopping": True, "batch_size": 16, "dropout": 0.2}),
        ("regression", {"solver": "lbfgs", "dropout": 0.1}),
        ("regression", {"dtype": "float64", "parametric_activation": True}),
        ("regression", {"pruning_ratio": 0}),
        ("regression", {"pruning_ratio": "auto", "preprocessing": "auto", "numeric_embedding": "piecewise_linear"}),
        ("multi-class", {"early_stopping": True, "label_smoothing": 0.1, "validation_metric": "loss"}),
        ("multi-output", {"n_members": 2, "early_stopping": True, "input_scaling": True}),
    ],
)
def test_a_network_that_is_found_is_the_one_that_was_trained(kind, params, trainings, make_data, make_estimator):
    data = make_data(kind)
    model = make_estimator(kind, **params)
    trained = copy.deepcopy(model.fit(data.X, data.y))
    n, n_bytes = len(trainings), len(pickle.dumps(model))
    found = model.fit(data.X, data.y)
    assert len(trainings) == n == params.get("n_members", 1)
    assert_same_model(found, trained)
    assert len(pickle.dumps(found)) == n_bytes


def test_what_training_has_to_say_is_said_each_time(make_data, regressor):
    data = make_data("regression")
    model = regressor(tol=0.0, early_stopping=True, n_iter_no_change=100, validation_fraction=0.5)
    heard = []
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(data.X, np.random.default_rng(0).standard_normal(60))
        heard.append(sorted(str(warning.message) for warning in caught))
    assert heard[0] == heard[1]
    assert len(heard[0]) == 2
    assert "Maximum iterations" in heard[0][1]


@pytest.mark.parametrize("params", [{"pruning_ratio": 0}, {"pruning_ratio": 0, "solver": "lbfgs"}])
def test_who_writes_into_a_model_changes_no_other(params, make_data, regressor):
    data = make_data("regression")
    models = [regressor(**params).fit(data.X, data.y) for _ in range(2)]
    expected = [a.copy() for a in models[0].coefs_]
    for model in models:
        for array in (*model.coefs_, *model.intercepts_):
            array[:] = np.nan
        model.loss_curve_.clear()
    again = regressor(**params).fit(data.X, data.y)
    for a, b in zip(again.coefs_, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(again.loss_curve_) == again.n_iter_


@pytest.mark.parametrize(
    "change",
    [
        *({"alpha": 0.5}, {"max_iter": 10}, {"learning_rate_init": 0.01}, {"random_state": 1}, {"tol": 1.0}),
        *({"hidden_layer_sizes": (9,)}, {"activation": "tanh"}, {"dtype": "float64"}, {"batch_size": 10}),
        *({"dropout": 0.1}, {"solver": "sgd"}, {"shuffle": False}, {"early_stopping": True}, {"beta_1": 0.8}),
    ],
)
def test_another_training_is_another_entry(change, trainings, make_data, regressor):
    data = make_data("regression")
    regressor().fit(data.X, data.y)
    regressor(**change).fit(data.X, data.y)
    assert len(trainings) == 2


def test_other_rows_are_another_entry(trainings, make_data, regressor):
    data = make_data("regression")
    model = regressor(early_stopping=True)
    held_out = {"X_val": data.X_val, "y_val": data.y_val}
    bit = data.X.copy()
    bit[59, 3] = np.nextafter(np.float32(bit[59, 3]), np.float32(9))  # in the precision of training
    lines = data.y.copy()
    lines[0] += 1e-9
    tables = (
        (data.X, data.y, {}),
        (data.X[1:], data.y[1:], {}),
        (data.X[::-1], data.y[::-1], {}),
        (bit, data.y, {}),
        (data.X, lines, {}),
        (data.X, data.y, {"sample_weight": np.arange(60)}),
        (data.X, data.y, held_out),
        (data.X, data.y, {**held_out, "sample_weight_val": np.arange(40)}),
    )
    for n, (X, y, more) in enumerate(tables, start=1):
        for _ in range(2):
            model.fit(X, y, **more)
        assert len(trainings) == n


def test_the_layout_of_the_rows_does_not_matter(trainings, make_data, regressor):
    data = make_data("regression")
    models = [regressor().fit(X, data.y) for X in (data.X, np.asfortranarray(data.X), data.X.tolist())]
    assert len(trainings) == 1
    assert_same_model(models[0], models[1])


def test_sparse_rows_are_found_again(trainings, make_data, regressor):
    data = make_data("regression")
    X = sparse.csr_array(np.where(data.X > 0, data.X, 0))
    models = [regressor().fit(X, data.y) for _ in range(2)]
    assert len(trainings) == 1
    assert_same_model(*models)
    other = X.copy()
    other.indices[0] = 3 - other.indices[0]
    regressor().fit(other, data.y)
    assert len(trainings) == 2


def test_what_the_criterion_wants_of_the_rows_does_not_matter(trainings, make_data, regressor, short):
    data = make_data("regression")
    for policy in ("ucb1", short("bmrs_n")):  # which draws by row
        regressor(policy=policy).fit(data.X, data.y)
    assert len(trainings) == 1


@pytest.mark.parametrize("params", [{"warm_start": True}, {"verbose": True}])
def test_who_watches_or_goes_on_trains(params, trainings, make_data, regressor, capsys):
    data = make_data("regression")
    model = regressor(**params).fit(data.X, data.y)
    printed = capsys.readouterr().out.count("Iteration")
    assert printed == (30 if "verbose" in params else 0)
    model.fit(data.X, data.y)
    regressor(**params).fit(data.X, data.y)
    assert len(trainings) == 3
    assert len(STORE) == 0


def test_callbacks_hear_every_epoch(make_data, regressor):
    class Listener:
        epochs = 0

        def setup(self, estimator, context): ...
        def teardown(self, estimator, context): ...
        def on_fit_task_begin(self, estimator, context): ...
        def on_fit_task_end(self, estimator, context):
            self.epochs += context.task_name == "epoch" and context.parent.task_name == "train"

    data, listener = make_data("regression"), Listener()
    plain = regressor().fit(data.X, data.y)
    model = regressor().set_callbacks(listener).fit(data.X, data.y)
    assert listener.epochs == model.n_iter_ == 30
    assert_same_model(model, plain)


@pytest.mark.parametrize(
    "params", [{"solver": optax.adam(0.05)}, {"learning_rate": lambda step: 0.05}, {"memory": "store"}]
)
def test_what_has_no_digest_or_a_place_of_its_own_is_not_kept(params, make_data, regressor, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = make_data("regression")
    regressor(**params).fit(data.X, data.y)
    assert len(STORE) == 0


def test_several_devices_share_nothing(make_data, regressor, monkeypatch):
    data = make_data("regression")
    monkeypatch.setattr("skbandit._core.scope.n_devices", lambda: 2)
    start = Network({}, ((np.ones((4, 8), np.float32), np.ones(8, np.float32)),))
    assert digest(start, Rows(data.X, data.y, np.ones(60)), None, settings_of(regressor()), 0) is None


def test_partial_fit_is_not_kept(make_data, regressor):
    data = make_data("regression")
    regressor().partial_fit(data.X, data.y).partial_fit(data.X, data.y)
    assert len(STORE) == 0


def test_a_training_that_was_interrupted_is_not_kept(
    trainings, make_data, regressor, monkeypatch, interrupted_in_its_second_chunk
):
    data = make_data("regression")
    model = regressor(max_iter=100, tol=0.0, pruning_ratio=0)
    with monkeypatch.context() as patch:
        patch.setattr(epochs, "run_chunk", interrupted_in_its_second_chunk)
        with pytest.warns(UserWarning, match="Training interrupted"):
            assert model.fit(data.X, data.y).n_iter_ < 100
    assert model.fit(data.X, data.y).n_iter_ == 100
    assert trainings == [Ending.INTERRUPTED, Ending.MAX_ITER]


def test_a_training_that_diverged_fails_each_time(make_data, regressor):
    data = make_data("regression")
    for _ in range(2):
        with pytest.raises(ValueError, match="non-finite"):
            regressor(learning_rate_init=1e30, solver="sgd").fit(data.X, data.y)
    assert len(STORE) == 0


def test_the_switch_is_read_at_each_fit_and_empties_the_store(trainings, make_data, regressor, monkeypatch):
    data = make_data("regression")
    for value, n_kept in (("1", 1), ("0", 0), ("", 1)):
        monkeypatch.setenv("SKBANDIT_SHARE_TRAINING", value)
        regressor().fit(data.X, data.y)
        assert len(STORE) == n_kept
    assert len(trainings) == 3
    monkeypatch.delenv("SKBANDIT_SHARE_TRAINING")
    regressor().fit(data.X, data.y)
    assert len(trainings) == 3


def test_the_solver_of_scipy_trains_on_one_thread_of_blas(make_data, regressor, monkeypatch):
    # Its sums depend on their number, which is the process's: another fit may change it at any time.
    seen = []

    def minimize(*args, **kwargs):
        seen.append(blas_threads())
        return scipy_minimize(*args, **kwargs)

    scipy_minimize = scipy.optimize.minimize
    monkeypatch.setattr(scipy.optimize, "minimize", minimize)
    before = blas_threads()
    data = make_data("regression")
    regressor(solver="lbfgs").fit(data.X, data.y)
    assert [set(numbers) for numbers in seen] == [{1}]
    assert blas_threads() == before


def test_settings_of_jax_count(make_data, regressor, trainings):
    data = make_data("regression")
    for _ in range(2):
        regressor().fit(data.X, data.y)
    name = "jax_exec_time_optimization_effort"  # how a program is compiled may change how it rounds
    before = getattr(jax.config, name)
    jax.config.update(name, 0.5)
    try:
        regressor().fit(data.X, data.y)
    finally:
        jax.config.update(name, before)
    assert len(trainings) == 2


def test_threads_share_the_store(make_data, regressor, trainings):
    data = make_data("regression")
    grid = {"policy": ["ucb1", "magnitude", "random"], "budget": [2, 8]}
    alone = GridSearchCV(regressor(), grid, cv=2, refit=False).fit(data.X, data.y).cv_results_["mean_test_score"]
    STORE.clear()
    del trainings[:]
    with joblib.parallel_config("threading", n_jobs=2):
        search = GridSearchCV(regressor(), grid, cv=2, refit=False).fit(data.X, data.y)
    assert search.cv_results_["mean_test_score"].tobytes() == alone.tobytes()
    assert len(trainings) in (2, 3)  # two threads may begin the same one


def test_no_rows_are_kept(make_data, regressor):
    data = make_data("regression")
    X = data.X.copy()
    gone = weakref.ref(X)
    regressor().fit(X, data.y)
    assert len(STORE) == 1
    del X
    gc.collect()
    assert gone() is None
    (entry,) = STORE._kept.values()
    assert sum(a.size for layer in entry.network.layers for a in layer) == 4 * 8 + 8 + 8 + 1
    assert entry.opt_leaves is None


# ---------------------------------------------------------------------- the store


def trained(size=4, status=Ending.MAX_ITER):
    layers = ((np.zeros((1, size)), np.zeros(0)),)
    return Trained(Network({}, layers), [np.zeros(9)], [1.0], None, 1.0, 1, status)


def test_the_network_that_was_asked_for_the_longest_time_ago_goes_first():
    store = Store(most_bytes=2 * _size(trained()))
    for name in (b"a", b"b"):
        store.keep(name, trained())
    assert store.find(b"a") is not None
    store.keep(b"c", trained())
    assert [store.find(name) is None for name in (b"a", b"b", b"c")] == [False, True, False]


def test_the_bytes_are_bounded():
    of_six = _size(trained(6))
    store = Store(most_bytes=2 * of_six)
    store.keep(b"too large", trained(6 + of_six))
    assert len(store) == 0
    for name in (b"a", b"b", b"c"):
        store.keep(name, trained(6))
    assert [store.find(name) is None for name in (b"a", b"b", b"c")] == [True, False, False]
    store.keep(b"all of it", trained(6 + of_six // 8))
    assert len(store) == 1
    store.clear()
    store.keep(b"a", trained(6 + of_six // 8))
    assert len(store) == 1


def test_curves_count_as_bytes():
    long = trained()._replace(loss_curve=[1.0] * 1000, validation_scores=[1.0] * 1000)
    assert _size(long) - _size(trained()) >= 1999 * 32
    store = Store(most_bytes=10_000)
    store.keep(b"a", long)
    assert len(store) == 0


def test_a_search_over_many_trainings_finds_each_again():
    store = Store()
    for _ in range(2):
        found = [store.find(b"%d" % i) is not None for i in range(500)]
        for i in range(500):
            store.keep(b"%d" % i, trained())
    assert all(found)


def test_what_is_kept_twice_counts_once():
    store = Store(most_bytes=2 * _size(trained(6)))
    for _ in range(3):
        store.keep(b"a", trained(6))
    store.keep(b"b", trained(6))
    assert len(store) == 2


@pytest.mark.parametrize("status", list(Ending))
def test_only_a_training_that_came_to_its_end_is_kept(status):
    store = Store()
    store.keep(b"a", trained(status=status))
    assert len(store) == (status not in (Ending.STOPPED, Ending.INTERRUPTED, Ending.NOT_FINITE))


# ---------------------------------------------------------------------- when it is worth it


def settings_of(model):
    from skbandit._tabular.features.embeddings import Inputs
    from skbandit._tabular.model import Architecture
    from skbandit.estimators._settings import train_settings

    params = model.get_params()
    architecture = Architecture(None, Inputs(4), (8,), 1, "relu", False, "squared_error")
    return train_settings(params, architecture, (8,), 60)


def problem(n_rows, n_columns, hidden):
    layers = ((np.zeros((n_columns, hidden), np.float32), np.zeros(hidden, np.float32)),)
    X = np.broadcast_to(np.float32(0), (n_rows, n_columns))
    return Network({}, layers), Rows(X, np.zeros((n_rows, 1)), np.ones(n_rows))


@pytest.mark.parametrize(
    ("n_rows", "n_columns", "hidden", "max_iter", "worth"),
    [
        (353, 10, 100, 1, True),  # less than a millisecond in any case
        (10_000, 50, 256, 40, True),
        (1_000_000, 20, 256, 100, True),
        (60_000, 784, 8, 1, False),
        (1_000_000, 100, 16, 2, False),
    ],
)
def test_rows_are_hashed_where_training_takes_long(n_rows, n_columns, hidden, max_iter, worth, regressor):
    start, rows = problem(n_rows, n_columns, hidden)
    settings = settings_of(regressor(max_iter=max_iter, batch_size=200))
    assert is_worth_hashing(start, rows, None, settings) is worth


def test_a_fit_that_is_not_worth_it_is_not_kept(make_data, regressor, monkeypatch):
    data = make_data("regression")
    monkeypatch.setattr(_trained, "_FEW_BYTES", 0)
    monkeypatch.setattr(_trained, "_MOST_SHARE", 0.0)
    regressor().fit(data.X, data.y)
    assert len(STORE) == 0


# ---------------------------------------------------------------------- digests

_plain = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.sampled_from(["1", "None", ""])
)
_arrays = npst.arrays(
    st.sampled_from([np.float32, np.float64, np.int8, np.uint8, np.bool_]),
    npst.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=2),
)
_values = st.recursive(
    _plain | _arrays,
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=1), inner),
    max_leaves=5,
)


class Transcript:
    """Keeps what it is fed, where a hash would mix it."""

    def __init__(self):
        self.fed = b""

    def update(self, part):
        self.fed += bytes(part)


def fed(value):
    transcript = Transcript()
    _trained._feed(transcript, value)
    return transcript.fed


@given(_values, _values)
def test_different_values_feed_different_bytes(a, b):
    assert (fed(a) == fed(b)) == is_equal(a, b)
    assert fed([a, b]) != fed([[a], b])
    assert fed((a, b)) != fed([a, b])


def is_equal(a, b):
    """Whether two values are the same to the last bit, and of the same types."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    if isinstance(a, dict):
        return is_equal(list(a.items()), list(b.items()))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(is_equal(u, v) for u, v in zip(a, b, strict=True))
    return repr(a) == repr(b)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(3,), (3, 2), (700, 300)])
def test_arrays_are_fed_by_their_entries(shape, order):
    a = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    assert fed(np.asarray(a, order=order)) == fed(a)
    assert fed(np.repeat(a, 2, axis=0)[::2]) == fed(a)
    assert fed(a.T) != fed(a) or a.ndim == 1


@pytest.mark.parametrize(
    "value", [object(), len, np.array([None]), {1}, BanditPrunedMLPRegressor, sparse.coo_array((2, 2))]
)
def test_what_has_a_state_of_its_own_has_no_digest(value):
    with pytest.raises(TypeError, match="no digest"):
        _trained._feed(Transcript(), [value])
