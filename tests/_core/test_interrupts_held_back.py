import gc
import signal
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from skbandit._core import interrupts
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
    """Press within a callback of the garbage collector, which forgets what is raised there; it runs when called."""
    pressed = []
    gc.disable()

    def collected(phase, info):
        if not pressed:
            pressed.append(phase)
            press()
            time.sleep(0.05)

    gc.callbacks.append(collected)
    yield pressed
    gc.callbacks.remove(collected)
    gc.enable()


def sleep(seconds):
    for _ in range(100 * seconds):
        time.sleep(0.01)


def wait_for_another(seconds):
    with ThreadPoolExecutor(1) as pool:
        over = threading.Event()
        waits = pool.submit(over.wait, seconds)
        try:
            waits.result()
        finally:
            over.set()


@pytest.mark.parametrize("wait", [sleep, time.sleep, wait_for_another], ids=["short", "long", "for another"])
def test_an_interrupt_within_the_garbage_collector_is_not_lost(wait, callback, monkeypatch):
    monkeypatch.setattr(interrupts, "_LATER", 0.2)  # when the wait has begun

    def block():
        gc.collect()
        wait(10)

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), heard():
        block()
    assert time.monotonic() - start < 5
    assert callback == ["start"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Key:
    """Dies in a dictionary of weak keys, or presses as it dies."""

    presses = False

    def __del__(self):
        if self.presses:
            press()
            time.sleep(0.05)


@pytest.mark.parametrize("where", ["weak key", "finalize", "del"])
def test_an_interrupt_as_an_object_dies_is_not_lost(where, monkeypatch):
    monkeypatch.setattr(interrupts, "_LATER", 0.2)
    key, pressed = Key(), []

    def pressing(*_):
        if not pressed:
            pressed.append(1)
            press()
            time.sleep(0.05)

    if where == "weak key":
        weak = weakref.WeakKeyDictionary({key: None})
        # Called first thing in the callback of the dictionary.
        weak._remove.__defaults__ = (lambda selfref=weak._remove.__defaults__[0]: (pressing(), selfref())[1],)
    elif where == "finalize":
        weakref.finalize(key, pressing)
    else:
        key.presses = True
    keys = [key]
    del key

    def block():
        keys.clear()
        sleep(10)

    with pytest.raises(KeyboardInterrupt), heard():
        block()
    assert where == "del" or pressed


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


@pytest.mark.parametrize("block", [uninterrupted, heard])
def test_a_handler_that_the_user_installs_within_stays(block):
    calls = []

    def mine(number, frame):
        calls.append(number)

    before = signal.getsignal(signal.SIGINT)
    try:
        with block():
            signal.signal(signal.SIGINT, mine)
        assert signal.getsignal(signal.SIGINT) is mine
        press()
        assert calls == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("block", [uninterrupted, heard])
def test_who_keeps_our_handler_and_puts_it_back_later_hears_all(block):
    before = signal.getsignal(signal.SIGINT)
    try:
        with block():
            kept = signal.signal(signal.SIGINT, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        signal.signal(signal.SIGINT, kept)
        with pytest.raises(KeyboardInterrupt):
            press()
    finally:
        signal.signal(signal.SIGINT, before)
