"""The import of JAX, and of what takes it: at the first fit of a process, not when the package is imported."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

from skbandit._core.interrupts import uninterrupted


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Import modules as a whole: Ctrl-C waits, and the garbage collector too."""
    with uninterrupted(), without_collector():
        yield


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Let the garbage collector rest where objects are made by the hundred thousand, and next to none is garbage.

    To look for it takes a fifth of the time of importing JAX, and a tenth of that of tracing and compiling.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
