"""Compiled programs: how many are kept, and who compiles them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import jax.numpy as jnp
import pytest

from skbandit._core import programs


@pytest.fixture(autouse=True)
def of_this_test(monkeypatch):
    """Let a test begin without programs, and leave those of the process alone."""
    for name, empty in (("_jitted", []), ("_programs", set()), ("_called", set())):
        monkeypatch.setattr(programs, name, empty)


@pytest.fixture
def cleared(monkeypatch):
    """Room for two programs; a list that has an item for each time that they were forgotten."""
    calls = []
    monkeypatch.setattr(programs, "MOST_PROGRAMS", 2)
    monkeypatch.setattr(programs, "_jitted", [type("Jitted", (), {"clear_cache": lambda self: calls.append(1)})()])
    return calls


def test_programs_are_forgotten_before_there_are_too_many(cleared):
    for program, n_cleared in (("a", 0), ("b", 0), ("a", 0), ("c", 1), ("c", 1), ("d", 1), ("e", 2)):
        programs.make_room(program)
        assert len(cleared) == n_cleared


def test_what_is_forgotten_has_a_first_call_again(cleared):
    for program in ("a", "b"):
        programs.make_room(program)
        with programs.first_call(program):
            pass
    assert programs._called == {"a", "b"}
    programs.make_room("c")
    assert programs._called == set()


def test_compiled_is_jit_with_options_and_registers(monkeypatch):
    traced = []

    @programs.compiled(static_argnames=("power",))
    def raised(x, *, power):
        """Raise."""
        traced.append(power)
        return x**power

    assert programs._jitted == [raised]
    assert raised.__doc__ == "Raise."
    for x, power in ((2.0, 3), (5.0, 3), (2.0, 2)):
        assert raised(jnp.array(x), power=power) == x**power
    assert traced == [3, 2]
    # It is forgotten when there is no more room.
    monkeypatch.setattr(programs, "MOST_PROGRAMS", 1)
    for program in ("a", "b"):
        programs.make_room(program)
    raised(jnp.array(2.0), power=3)
    assert traced == [3, 2, 3]


def test_the_first_call_lets_one_thread_through_and_the_others_wait():
    n_others, log = 3, []
    inside, compiled, at_the_door = threading.Event(), threading.Event(), threading.Barrier(n_others + 1)

    def first():
        with programs.first_call("program"):
            inside.set()
            assert compiled.wait(60)
            log.append("first")

    def other():
        assert inside.wait(60)
        at_the_door.wait(60)
        with programs.first_call("program"):
            log.append("other")

    with ThreadPoolExecutor(n_others + 1) as pool:
        futures = [pool.submit(first), *(pool.submit(other) for _ in range(n_others))]
        at_the_door.wait(60)
        time.sleep(0.05)  # time enough to get in, if they could
        assert log == []
        compiled.set()
        for future in futures:
            future.result(60)
    assert log == ["first", *["other"] * n_others]
    assert not programs._first_call_lock.locked()


def test_later_calls_do_not_wait_for_each_other():
    with programs.first_call("program"):
        pass
    together = threading.Barrier(2)

    def call(_):
        with programs.first_call("program"):
            return together.wait(60)  # breaks if one had to wait for the other's end

    with ThreadPoolExecutor(2) as pool:
        places = list(pool.map(call, range(2)))
    assert sorted(places) == [0, 1]


def test_a_first_call_that_fails_leaves_it_to_the_next():
    with pytest.raises(KeyboardInterrupt), programs.first_call("program"):
        raise KeyboardInterrupt
    assert "program" not in programs._called
    with programs.first_call("program"):
        assert programs._first_call_lock.locked()
    assert "program" in programs._called
