"""The garbage collector rests while modules are imported, and while a function is traced."""

import gc
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skbandit._core import imports, programs
from skbandit._core.imports import importing, without_collector
from skbandit.networks import GatedNetwork, Group, Slice
from skbandit.pruning import prune, rank_units


@pytest.fixture(params=[True, False])
def was_on(request):
    before = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if before else gc.disable)()


def test_the_collector_rests_within_and_is_then_what_it_was(was_on):
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled() == was_on


def test_it_is_what_it_was_after_an_import_that_fails(was_on):
    with pytest.raises(ImportError), importing():
        raise ImportError
    assert gc.isenabled() == was_on


def test_it_rests_while_a_function_is_traced_whether_it_ends_well_or_not(was_on, monkeypatch):
    monkeypatch.setattr(programs, "_jitted", [])
    seen = []

    @programs.compiled()
    def function(x):
        seen.append(gc.isenabled())
        return x / len(x)

    function(np.ones(2))
    with pytest.raises(TypeError):
        function(1.0)
    with jax.disable_jit():  # each call of it runs: it may take long
        function(np.ones(2))
    assert seen == [False, False, was_on]
    assert gc.isenabled() == was_on


def test_blocks_of_threads_end_it_when_the_last_has_ended(was_on):
    inside, leave = threading.Event(), threading.Event()

    def stay():
        with without_collector():
            inside.set()
            assert leave.wait(60)

    thread = threading.Thread(target=stay)
    with without_collector():
        thread.start()
        assert inside.wait(60)
    try:
        assert not gc.isenabled()  # the other one is still within
        with without_collector():
            pass
        assert not gc.isenabled()
    finally:
        leave.set()
        thread.join()
    assert gc.isenabled() == was_on
    assert imports._n_within == 0


def test_a_thread_that_finds_it_off_does_not_leave_it_off(was_on):
    """The one that came first leaves first: the second one has found the collector off."""
    first, second = without_collector(), without_collector()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled() == was_on


def test_what_is_switched_on_within_stays_on():
    gc.disable()
    try:
        with without_collector():
            gc.enable()
        assert gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("function", [prune, rank_units])
def test_it_works_while_a_loss_of_the_user_is_traced(function, on_disk, own_store, tmp_path):
    own_store(tmp_path if on_disk else "")
    seen = []

    def loss(params, gates, X, y, weight):
        seen.append(gc.isenabled())
        hidden = jnp.tanh(X @ params["in"]) * gates[0]
        return jnp.sum(weight * (hidden @ params["out"] - y) ** 2) / jnp.sum(weight)

    rng = np.random.default_rng(0)
    params = {"in": rng.normal(size=(3, 4)), "out": np.arange(4.0)}
    X = rng.normal(size=(20, 3))
    network = GatedNetwork(loss, [Group("hidden", 4, incoming=[Slice("in", 1)], outgoing=[Slice("out", 0)])])
    assert gc.isenabled()
    function(network, params, X, np.tanh(X @ params["in"]) @ params["out"])
    assert len(seen) > 0
    assert all(seen)
