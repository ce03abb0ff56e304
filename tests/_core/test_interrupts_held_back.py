import gc
import signal
import threading
import time

import pytest

from skbandit._core.interrupts import heard, uninterrupted


def press():
    signal.raise_signal(signal.SIGINT)


def test_the_block_goes_on_to_its_end_and_then_the_interrupt_comes():
    done = []

    def block():
        press()
        done.append("after")

    with pytest.raises(KeyboardInterrupt), uninterrupted():
        block()
    assert done == ["after"]
    with pytest.raises(KeyboardInterrupt):
        press()  # as before


def test_a_block_that_nobody_interrupts_leaves_everything_as_it_was():
    before = signal.getsignal(signal.SIGINT)
    with uninterrupted():
        pass
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_of_the_block_is_raised_and_the_handler_put_back():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ImportError), uninterrupted():
        raise ImportError
    assert signal.getsignal(signal.SIGINT) is before


def test_a_handler_of_the_users_own_is_called_once_after_the_block():
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with uninterrupted():
            press()
            press()
            assert heard == []
        assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_who_ignores_interrupts_goes_on_to():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with uninterrupted():
            press()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_go_on_without():
    heard = []

    def work():
        with uninterrupted():
            heard.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard == [signal.default_int_handler]


@pytest.fixture
def callback():
    """Press within a callback of the garbage collector, which forgets what is raised there."""
    pressed = []

    def collected(phase, info):
        if not pressed:
            pressed.append(phase)
            press()
            time.sleep(0.05)

    gc.callbacks.append(collected)
    yield pressed
    gc.callbacks.remove(collected)


def test_an_interrupt_within_the_garbage_collector_is_not_lost(callback):
    def block():
        gc.collect()
        while True:
            time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt), heard():
        block()
    assert callback == ["start"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_anywhere_else_comes_at_once():
    with pytest.raises(KeyboardInterrupt), heard():
        press()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_users_own_hears_all(callback):
    calls = []
    before = signal.signal(signal.SIGINT, lambda number, frame: calls.append(number))
    try:
        with heard():
            gc.collect()
        assert calls == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)
