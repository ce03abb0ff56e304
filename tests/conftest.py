"""Settings that must be in place before SciPy and JAX are imported, and what several tests share."""

import contextlib
import os
import subprocess
import sys

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Without it scikit-learn skips its array API check.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# Programs are kept on disk by default: not in the folder of who runs the tests, and not past tests that count them.
os.environ["SKBANDIT_COMPILATION_CACHE"] = "0"

from pathlib import Path

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache
from sklearn.utils import Bunch

import skbandit
from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor
from skbandit._core import cache, programs, store
from skbandit.criteria import CRITERIA
from skbandit.presets import preset_params

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# A test that fits twice means to train twice: what another test, or its own first fit, has trained would tell nothing.
# tests/estimators/test_shared_training.py switches it on.
os.environ.setdefault("SKBANDIT_SHARE_TRAINING", "0")


def pytest_configure(config):
    """Keep compiled programs between runs: most of the suite's time would be compilation."""
    jax.config.update("jax_compilation_cache_dir", str(config.cache.mkdir("jax")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def pytest_runtest_teardown(item, nextitem):
    """Forget compiled programs now and then: each holds memory maps, and Linux gives a process 65 530 of them."""
    item.config.n_tests_done = getattr(item.config, "n_tests_done", 0) + 1
    if item.config.n_tests_done % 100 == 0:
        jax.clear_caches()


@pytest.fixture
def own_store(monkeypatch):
    """Return a function that moves the store of programs to a folder for the test; it has none before.

    What JAX's own cache holds is not kept in the store, so that is off.
    """

    def move(folder):
        store.use(str(folder))
        return store.where()

    monkeypatch.setenv(store.VARIABLE, "0")
    monkeypatch.setattr(store, "_chosen", "")
    store.where.cache_clear()
    folder = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
    yield move
    monkeypatch.undo()
    store.where.cache_clear()
    jax.config.update("jax_compilation_cache_dir", folder)
    compilation_cache.reset_cache()


@pytest.fixture
def cache_settings(monkeypatch):
    """Restore the store of programs, and JAX's compilation cache, its settings and the environment."""
    monkeypatch.setenv(store.VARIABLE, "0")
    monkeypatch.setattr(store, "_chosen", "")
    store.where.cache_clear()
    monkeypatch.setattr(cache, "_before", {})
    names = [
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    ]
    before = {name: getattr(jax.config, name) for name in names}
    for name in names:
        monkeypatch.setenv(name.upper(), "")
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()
    store.where.cache_clear()


@pytest.fixture
def own_cache(cache_settings, tmp_path, monkeypatch):
    """A new folder as the default of `enable_compilation_cache`: examples that call it leave nothing behind."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    jax.config.update("jax_compilation_cache_dir", None)


@pytest.fixture
def data_folder():
    if not (DATA / "INDEX.csv").exists():
        pytest.skip("the public data sets are not beside this checkout")
    return DATA


@pytest.fixture
def full_disk():
    """Return a context in which no file grows beyond 100 bytes."""
    resource = pytest.importorskip("resource")

    @contextlib.contextmanager
    def limited():
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


# --- quick estimators -------------------------------------------------------------------------------------------------
# Small data of one shape: most fits share their compiled programs. Sixty rows of four features fill the smallest
# bucket, and one mini-batch holds them all.

#: A plain network of eight hidden units, and enough epochs to learn something.
QUICK = {
    "hidden_layer_sizes": (8,),
    "learning_rate_init": 0.05,
    "max_iter": 30,
    "n_rounds": 2,
    "fine_tune_iter": 2,
    "random_state": 0,
}


def _targets(X, rng):
    signal = X[:, 0] - X[:, 1] ** 2 + 0.1 * rng.standard_normal(len(X))
    three = np.digitize(X[:, 0] + X[:, 1], [-0.7, 0.7])
    return {
        "regression": 3 * signal + 10,
        "multi-output": np.column_stack([3 * signal + 10, 100 * X[:, 2]]),
        "counts": rng.poisson(np.exp(0.5 + X[:, 0])).astype(float),
        "binary": (X[:, 0] + X[:, 1] > 0).astype(int),
        "multi-class": three,
        "multi-label": (X[:, :3] + X[:, 1:] > 0).astype(int),
    }


@pytest.fixture(scope="session")
def make_data():
    """Return a function from the kind of a target to training rows ``X, y`` and held-out rows ``X_val, y_val``."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 4))
    targets = _targets(X, rng)
    for array in (X, *targets.values()):
        array.setflags(write=False)

    def make(kind):
        y = targets[kind]
        return Bunch(X=X[:60], y=y[:60], X_val=X[60:], y_val=y[60:])

    return make


@pytest.fixture(scope="session")
def short():
    """Return a function from a name to what ``policy=`` takes for it: with few steps, where it trains."""

    def make(name):
        trains = name in CRITERIA and "n_steps" in CRITERIA[name].constraints
        return CRITERIA[name](n_steps=5) if trains else name

    return make


@pytest.fixture
def regressor():
    """Return a quick regressor with the given parameters."""
    return lambda **params: BanditPrunedMLPRegressor(**{**preset_params("plain", "regression"), **QUICK, **params})


@pytest.fixture
def classifier():
    """Return a quick classifier with the given parameters."""
    return lambda **params: BanditPrunedMLPClassifier(**{**preset_params("plain", "classification"), **QUICK, **params})


@pytest.fixture
def make_estimator(regressor, classifier):
    """Return the quick estimator for the kind of a target."""

    def make(kind, **params):
        if kind in ("regression", "multi-output"):
            return regressor(**params)
        return regressor(loss="poisson", **params) if kind == "counts" else classifier(**params)

    return make


@pytest.fixture
def compilations():
    """Names of the functions that XLA compiles, or loads from the cache on disk, during the test."""
    names = []
    # Where the process has many programs, all are forgotten now, and not in the middle of the test.
    if len(programs._programs) > programs.MOST_PROGRAMS // 2:
        for function in programs._jitted:
            function.clear_cache()
        programs._programs.clear()
        programs._called.clear()

    def listen(event, duration, **info):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(info["fun_name"])

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.fixture
def interrupted_in_its_second_chunk():
    """What trains a chunk of epochs, with a Ctrl-C in the second call."""
    from skbandit._tabular.training.epochs import run_chunk

    calls = []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run_chunk(*args, **kwargs)

    return interrupted


@pytest.fixture
def python(tmp_path):
    """Run a script in another process, which finds the package where this one did; returns what it prints."""

    def run(script, *args):
        path = tmp_path / "script.py"
        path.write_text(script)
        env = {
            **os.environ,
            "PYTHONPATH": str(Path(skbandit.__file__).parents[1]),
            "JAX_COMPILATION_CACHE_DIR": str(jax.config.jax_compilation_cache_dir),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        command = [sys.executable, "-W", "error", str(path), *map(str, args)]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
