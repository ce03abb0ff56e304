import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from skbandit._core import scope, store
from skbandit._core.cache import enable_compilation_cache
from skbandit._core.scope import (
    for_threads,
    in_these_settings,
    jax_scope,
    resolve_devices,
    single_threaded_blas,
    to_numpy,
    without_checks,
)


def default_float():
    return str(jnp.zeros(()).dtype)


def test_float64_holds_inside_the_scope_only():
    assert default_float() == "float32"
    with jax_scope("float64"):
        assert default_float() == "float64"
        with jax_scope("float32"):
            assert default_float() == "float32"
        assert default_float() == "float64"
    assert default_float() == "float32"


def test_float64_ends_with_an_exception():
    with pytest.raises(KeyError), jax_scope("float64", "cpu"):
        raise KeyError
    assert default_float() == "float32"
    assert jax.config.jax_default_device is None


def test_float64_is_not_seen_by_other_threads():
    seen = []
    with jax_scope("float64"):
        thread = threading.Thread(target=lambda: seen.append(default_float()))
        thread.start()
        thread.join()
    assert seen == ["float32"]


def test_the_device_holds_inside_the_scope():
    with jax_scope(device="cpu:0"):
        assert jax.config.jax_default_device == jax.devices("cpu")[0]
        assert jnp.zeros(()).devices() == {jax.devices("cpu")[0]}
    assert jax.config.jax_default_device is None


@pytest.mark.parametrize("name", ["cpu", "cpu:0"])
def test_a_device_is_found_by_platform_and_index(name):
    assert resolve_devices(name) == [jax.devices("cpu")[0]]


def test_a_star_is_all_devices_of_the_platform():
    assert resolve_devices("cpu:*") == jax.local_devices(backend="cpu")


def test_no_name_is_the_default_device():
    assert resolve_devices(None) == []


@pytest.mark.parametrize("name", ["cpu:1000", "cpu:first", "abacus", "abacus:3"])
def test_an_unknown_device_is_refused_with_the_ones_that_exist(name):
    with pytest.raises(ValueError, match=rf"'device' parameter .* got '{name}'; available: \['cpu:0'.*JAX's default"):
        resolve_devices(name)


def test_a_negative_index_is_no_device():
    with pytest.raises(ValueError, match="available"):
        resolve_devices("cpu:-1")


def test_an_unknown_device_leaves_no_trace():
    with pytest.raises(ValueError, match="available"), jax_scope("float64", "abacus"):
        pass  # pragma: no cover
    assert default_float() == "float32"


class Library:
    """A BLAS library of four threads, as threadpoolctl shows it."""

    num_threads = 4

    def __init__(self, on_change=lambda number: None):
        self.on_change = on_change
        self.lib_controllers = [self]

    def set_num_threads(self, number):
        self.on_change(number)
        self.num_threads = number


def test_blas_stays_on_one_thread_until_the_last_scope_ends(monkeypatch):
    library = Library()
    monkeypatch.setattr(scope, "_blas", lambda: library)
    first, second = scope.single_threaded_blas(), scope.single_threaded_blas()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert library.num_threads == 1
    second.__exit__(None, None, None)
    assert library.num_threads == 4


@pytest.mark.parametrize("moment", [1, 4])
def test_an_interrupt_leaves_the_threads_of_blas_to_the_next_scope(moment, monkeypatch):
    changes = []

    def change(number):
        changes.append(number)
        if number == moment and changes.count(number) == 1:
            signal.raise_signal(signal.SIGINT)

    library = Library(change)
    monkeypatch.setattr(scope, "_blas", lambda: library)
    with pytest.raises(KeyboardInterrupt), single_threaded_blas():
        pass
    with single_threaded_blas():
        assert changes == [1, 4, 1]
    assert changes == [1, 4] * 2


def test_an_interrupt_leaves_no_setting_of_jax_behind(monkeypatch):
    original = jax.enable_x64

    def interrupted(value):
        signal.raise_signal(signal.SIGINT)
        return original(value)

    monkeypatch.setattr(jax, "enable_x64", interrupted)
    with pytest.raises(KeyboardInterrupt), jax_scope("float64"):
        pass  # pragma: no cover
    assert default_float() == "float32"
    assert jax.config.jax_default_device is None


def blas_threads():
    return [library["num_threads"] for library in ThreadpoolController().select(user_api="blas").info()]


@pytest.fixture
def several_threads():
    with ThreadpoolController().select(user_api="blas").limit(limits=2):
        if set(blas_threads()) != {2}:
            pytest.skip("this BLAS cannot be given two threads")
        yield


@pytest.mark.usefixtures("several_threads")
def test_blas_has_one_thread_inside_the_scope_only():
    with single_threaded_blas():
        assert set(blas_threads()) == {1}
    assert set(blas_threads()) == {2}
    with pytest.raises(KeyError), single_threaded_blas():
        raise KeyError
    assert set(blas_threads()) == {2}


@pytest.mark.usefixtures("several_threads")
def test_any_thread_can_limit_blas_and_any_other_lift_the_limit():
    # The main thread has set them before, and by itself threadpoolctl 3.8 then lets no other thread do so.
    seen, both_in, first_out = [], threading.Barrier(2, timeout=30), threading.Event()

    def first():
        with single_threaded_blas():
            seen.append(blas_threads())
            both_in.wait()
        first_out.set()

    def second():
        with single_threaded_blas():
            both_in.wait()
            first_out.wait(timeout=30)
            seen.append(blas_threads())

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(first), pool.submit(second)]:
            done.result()
    assert [set(numbers) for numbers in seen] == [{1}, {1}]
    assert set(blas_threads()) == {2}


# --- the compilation cache ------------------------------------------------------------------------------------------

FIT = """
import os, sys, warnings
import numpy as np
import skbandit
warnings.simplefilter("ignore")
if sys.argv[1] == "late":  # after something was compiled
    import jax
    jax.jit(lambda x: x + 1)(1.0)
if sys.argv[1] != "environment":
    assert skbandit.enable_compilation_cache(sys.argv[2]) == sys.argv[2]
import jax
hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event))
X = np.linspace(0, 1, 30)[:, None]
skbandit.BanditPrunedMLPRegressor((3,), n_members=1, max_iter=2, random_state=0).fit(X, X.ravel())
print(hits.count("/jax/compilation_cache/cache_hits"), hits.count("/jax/compilation_cache/cache_misses"))
print(os.environ["JAX_COMPILATION_CACHE_DIR"])
"""


def fit_in_a_new_process(how, folder, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_COMPILATION", "JAX_PERSISTENT"))}
    result = subprocess.run(
        [sys.executable, "-c", FIT, how, str(folder)],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    counts, seen = result.stdout.splitlines()
    assert seen == str(folder)
    return tuple(map(int, counts.split()))


def test_a_second_process_loads_what_the_first_compiled(tmp_path):
    folder = tmp_path / "new"
    hits, misses = fit_in_a_new_process("early", folder)
    assert hits == 0
    assert misses >= 2
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    # A child process inherits the settings through the environment, as joblib's workers do.
    inherited = {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    # The package's own store comes first, and then there is nothing to ask JAX's cache for.
    assert fit_in_a_new_process("late", folder) == (0, 0)
    shutil.rmtree(folder / store.SUBFOLDER)
    assert fit_in_a_new_process("late", folder) == (misses, 0)
    assert fit_in_a_new_process("environment", folder, **inherited) == (misses, 0)


def test_a_cache_that_is_configured_stays(cache_settings, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    tmp_path.chmod(0o700)
    assert enable_compilation_cache() == str(tmp_path)


def test_the_default_folder_is_the_users(cache_settings, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    jax.config.update("jax_compilation_cache_dir", None)
    folder = enable_compilation_cache()
    assert folder.startswith(str(tmp_path / "skbandit" / f"jax-{jax.__version__}"))
    assert enable_compilation_cache() == folder == jax.config.jax_compilation_cache_dir
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == folder


def test_a_folder_that_others_may_write_to_is_refused(cache_settings, tmp_path):
    tmp_path.chmod(0o777)
    before = jax.config.jax_compilation_cache_dir
    with pytest.raises(PermissionError, match=r"must belong to this user.*Give another 'path'"):
        enable_compilation_cache(tmp_path)
    assert jax.config.jax_compilation_cache_dir == before


def test_every_new_folder_is_this_users_alone(cache_settings, tmp_path):
    before = os.umask(0o002)
    try:
        folder = enable_compilation_cache(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert folder == str(tmp_path / "a" / "b")


def test_an_empty_path_is_refused(cache_settings):
    with pytest.raises(ValueError, match="must not be empty"):
        enable_compilation_cache("")


def test_an_empty_cache_home_is_none(cache_settings, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    jax.config.update("jax_compilation_cache_dir", None)
    assert enable_compilation_cache().startswith(str(tmp_path / ".cache" / "skbandit"))


def test_a_url_is_left_to_jax(cache_settings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert enable_compilation_cache("gs://bucket/cache") == "gs://bucket/cache"
    assert list(tmp_path.iterdir()) == []


def test_a_url_of_a_file_is_its_path(cache_settings, tmp_path):
    assert enable_compilation_cache(f"file://{tmp_path}/new") == str(tmp_path / "new")
    tmp_path.chmod(0o777)
    with pytest.raises(PermissionError, match=r"may be written to by others \(mode 0o777\)"):
        enable_compilation_cache(f"file://{tmp_path}/new")


def test_arrays_come_back_to_the_host():
    with jax_scope("float64"):
        found = to_numpy({"a": jnp.ones(2), "b": (jnp.int32(3), np.zeros(1, "float32"))})
    assert {type(leaf) for leaf in jax.tree.leaves(found)} == {np.ndarray}
    assert [leaf.dtype.name for leaf in jax.tree.leaves(found)] == ["float64", "int32", "float32"]
    np.testing.assert_array_equal(found["a"], [1, 1])


# --- JAX's settings -------------------------------------------------------------------------------------------------


def found():
    return jax.config.jax_numpy_rank_promotion, jax.config.jax_debug_nans, jax.config.jax_default_matmul_precision


@pytest.mark.parametrize("ours", [jax_scope, without_checks])
def test_the_users_checks_are_off_inside_and_on_again_after(ours):
    matrix, vector = jnp.full((2, 3), -1.0), jnp.ones(3)

    def compute_and_fail():
        with ours():
            assert found()[:2] == ("allow", False)
            jnp.log(matrix) + vector + np.ones(3, "float32")
            raise KeyError

    with jax.numpy_rank_promotion("raise"), jax.debug_nans(True), jax.transfer_guard("disallow"):
        with pytest.raises(KeyError):
            compute_and_fail()
        assert found()[:2] == ("raise", True)
        with pytest.raises(ValueError, match="rank_promotion"):
            matrix + vector
        with pytest.raises(FloatingPointError):
            jnp.log(matrix)
        with pytest.raises(jax.errors.JaxRuntimeError, match="Disallowed host-to-device"):
            vector + np.ones(3, "float32")


def test_the_precision_of_products_is_ours_in_the_scope_of_an_estimator_alone():
    with jax.default_matmul_precision("bfloat16"):
        with without_checks():
            assert found()[2] == "bfloat16"
        with jax_scope():
            assert found()[2] is None


def test_a_function_of_the_users_sees_the_settings_outside():
    with jax.numpy_rank_promotion("raise"), jax.enable_x64(True):
        outside = in_these_settings(lambda: (*found(), default_float()))
        with without_checks():
            assert outside() == ("raise", False, None, "float64")
            assert (*found(), default_float()) == ("allow", False, None, "float32")
    assert in_these_settings(None) is None


def test_other_threads_compute_on_the_users_device():
    seen = []

    def see():
        with scope():
            seen.append((jax.config.jax_default_device, default_float()))

    with jax.default_device(jax.devices("cpu")[0]):
        scope = for_threads(lambda: jax_scope("float64"))
        thread = threading.Thread(target=see)
        thread.start()
        thread.join()
    assert seen == [(jax.devices("cpu")[0], "float64")]
