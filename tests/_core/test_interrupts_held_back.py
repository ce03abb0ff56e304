import signal
import threading

import pytest

from skbandit._core.interrupts import uninterrupted


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
