"""What the path of the compilation cache may be; switching it on, to another folder, and off."""

import os
import sys

import jax
import pytest

import skbandit
from skbandit._core import store


@pytest.mark.parametrize(
    ("path", "error"),
    [(3, TypeError), (2.5, TypeError), ([], TypeError), (True, TypeError), ("a\0b", ValueError), (b"\0", ValueError)],
)
def test_what_is_no_path_is_named(cache_settings, path, error):
    with pytest.raises(error, match="The 'path' of the compilation cache must"):
        skbandit.enable_compilation_cache(path)


pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no store on this system")
NAMES = [
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
]


def settings():
    return {name: (getattr(jax.config, name), os.environ.get(name.upper())) for name in NAMES}


@pytest.fixture
def private(cache_settings, tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path


def test_switching_it_on_moves_the_store_as_well(private):
    for name in ("a", "b"):
        folder = skbandit.enable_compilation_cache(private / name)
        assert store.where() == os.path.join(folder, store.SUBFOLDER)
        assert os.environ[store.VARIABLE] == folder


def test_a_url_leaves_the_store_where_it_is(private):
    store.use(str(private))
    before = store.where()
    skbandit.enable_compilation_cache("gs://bucket/cache")
    assert store.where() == before


@pytest.mark.parametrize("n_times", [0, 1, 2])
def test_switching_it_off_restores_what_jax_had(n_times, private, monkeypatch):
    jax.config.update("jax_compilation_cache_dir", str(private / "the user's own"))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "the user's own")
    monkeypatch.delenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES")
    before = settings()
    for i in range(n_times):
        skbandit.enable_compilation_cache(private / str(i))
        assert jax.config.jax_compilation_cache_dir == str(private / str(i))
    for _ in range(2):
        skbandit.disable_compilation_cache()
        assert settings() == before
        assert store.where() is None
        assert os.environ[store.VARIABLE] == "0"
    skbandit.enable_compilation_cache(private / "again")
    assert jax.config.jax_compilation_cache_dir == str(private / "again")


def test_a_store_that_others_may_have_written_is_refused_where_it_is_asked_for(private):
    skbandit.enable_compilation_cache(private)
    assert store.where() is not None
    (private / store.SUBFOLDER).chmod(0o777)
    with pytest.raises(PermissionError, match="may be written to by others"):
        skbandit.enable_compilation_cache(private)
