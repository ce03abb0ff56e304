"""Which programs JAX's own cache has given: one listener hears of it, for all threads and for good."""

import threading

import jax.monitoring
import pytest
from jax._src import monitoring

from skbandit._core import executables


class Lowered:
    """What compiles into "program", and does something meanwhile."""

    def __init__(self, meanwhile=lambda: None):
        self.meanwhile = meanwhile

    def compile(self):
        self.meanwhile()
        return "program"


def hit():
    jax.monitoring.record_event(executables._HIT)


@pytest.fixture
def listeners(monkeypatch):
    """The list of JAX's listeners, empty: as if somebody had removed them all."""
    monkeypatch.setattr(monitoring, "_event_listeners", [])
    return monitoring._event_listeners


def test_a_hit_of_this_thread_is_heard(listeners):
    assert executables.compiled(Lowered()) == ("program", True)
    assert executables.compiled(Lowered(hit)) == ("program", False)
    assert executables.compiled(Lowered()) == ("program", True)


def test_a_hit_of_another_thread_is_not_ours(listeners):
    def elsewhere():
        thread = threading.Thread(target=hit)
        thread.start()
        thread.join()

    assert executables.compiled(Lowered(elsewhere)) == ("program", True)


def test_one_listener_stays(listeners):
    """A list that gets shorter while JAX goes through it lets a listener be skipped."""
    start = threading.Barrier(4)

    def compile_some():
        start.wait(60)
        for _ in range(20):
            executables.compiled(Lowered())
            assert listeners == [executables._note]

    threads = [threading.Thread(target=compile_some) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert listeners == [executables._note]


def test_it_is_registered_again_where_all_have_been_removed(listeners):
    executables.compiled(Lowered())
    listeners.clear()
    assert executables.compiled(Lowered(hit)) == ("program", False)
    assert listeners == [executables._note]


def test_where_it_is_removed_meanwhile_nothing_is_known(listeners):
    assert executables.compiled(Lowered(lambda: (listeners.clear(), hit()))) == ("program", False)
    assert executables.compiled(Lowered()) == ("program", True)


def test_a_listener_of_another_that_does_not_know_our_event_does_no_harm(listeners):
    def strict(event, **_):
        if not event.startswith("/jax/"):
            raise KeyError(event)

    executables.compiled(Lowered())
    jax.monitoring.register_event_listener(strict)
    assert executables.compiled(Lowered()) == ("program", True)
    listeners.reverse()  # now ours is not asked any more: nothing is known
    for _ in range(2):
        assert executables.compiled(Lowered()) == ("program", False)
    assert listeners == [strict, executables._note]
