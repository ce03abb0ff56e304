import os
import threading

import jax
import jax.numpy as jnp
import pytest
from threadpoolctl import ThreadpoolController

from skbandit import runtime
from skbandit.runtime import jax_scope, resolve_device, single_threaded_blas


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
    assert resolve_device(name) == jax.devices("cpu")[0]


def test_no_name_is_the_default_device():
    assert resolve_device(None) is None


@pytest.mark.parametrize("name", ["cpu:1000", "cpu:first", "abacus", "abacus:3"])
def test_an_unknown_device_is_refused_with_the_ones_that_exist(name):
    with pytest.raises(ValueError, match=rf"'device' parameter .* got '{name}'; available: \['cpu:0'.*JAX's default"):
        resolve_device(name)


def test_a_negative_index_is_no_device():
    with pytest.raises(ValueError, match="available"):
        resolve_device("cpu:-1")


def test_an_unknown_device_leaves_no_trace():
    with pytest.raises(ValueError, match="available"), jax_scope("float64", "abacus"):
        pass  # pragma: no cover
    assert default_float() == "float32"


def test_a_forked_process_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setattr(runtime, "_jax_pid", os.getpid() + 1)
    remedy = r"forked after its parent had used JAX.*loky.*'spawn' or 'forkserver'"
    with pytest.raises(RuntimeError, match=remedy), jax_scope():
        pass  # pragma: no cover


def test_the_process_that_first_used_jax_goes_on(monkeypatch):
    monkeypatch.setattr(runtime, "_jax_pid", None)
    for _ in range(2):
        with jax_scope():
            pass
    assert runtime._jax_pid == os.getpid()


def test_blas_stays_on_one_thread_until_the_last_scope_ends(monkeypatch):
    limits = []

    class Limit:
        def restore_original_limits(self):
            limits.append("restored")

    class Controller:
        def limit(self, limits):
            return Limit()

    monkeypatch.setattr(runtime, "_blas", Controller)
    first, second = runtime.single_threaded_blas(), runtime.single_threaded_blas()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert limits == []
    second.__exit__(None, None, None)
    assert limits == ["restored"]


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
