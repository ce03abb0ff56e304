"""The import of JAX, and of what takes it: at the first fit of a process, not when the package is imported."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

from skbandit._core.interrupts import uninterrupted

_lock = threading.Lock()
#: Blocks of all threads that the collector rests for, and whether it worked before the first of them.
_n_within = 0
_was_on = False


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Import modules as a whole: Ctrl-C waits, and the garbage collector too."""
    with uninterrupted(), without_collector():
        yield


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Let the garbage collector rest where objects are made by the hundred thousand, and next to none is garbage.

    To look for it takes a fifth of the time of importing JAX, and a tenth of that of tracing and compiling. The switch
    is the process's, not the thread's: the first of several concurrent blocks turns it off, the last turns it on again.
    For our own code only: what a user's function leaves behind may be garbage, and much.
    """
    global _n_within, _was_on
    counted = False
    try:
        with uninterrupted(), _lock:
            if _n_within == 0:
                _was_on = gc.isenabled()
                gc.disable()
            _n_within += 1
            counted = True
        yield
    finally:
        if counted:
            with uninterrupted(), _lock:
                _n_within -= 1
                if _n_within == 0 and _was_on:
                    gc.enable()
