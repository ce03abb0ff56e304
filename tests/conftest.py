"""Settings that must be in place before SciPy and JAX are imported, and what several tests share."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Without it scikit-learn skips its array API check.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

from pathlib import Path

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


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
def cache_settings(monkeypatch):
    """Restore JAX's compilation cache, its settings and the environment."""
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
