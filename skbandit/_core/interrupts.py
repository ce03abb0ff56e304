"""Ctrl-C at a moment when it would do harm."""

from __future__ import annotations

import contextlib
import gc
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, cast

#: Seconds after which an interrupt that came in a callback comes again.
_LATER = 0.01


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until the block has ended.

    For imports of JAX: one that breaks off leaves modules half made, and the process can neither use JAX nor import it
    again. Only the main thread hears of Ctrl-C, and only what Python can call is held back.
    """
    handler: Any = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    pressed: list[tuple[int, Any]] = []
    within = True

    def hold(*call: Any) -> None:
        if within:
            pressed.append(call)
        else:  # someone has kept it, to put it back
            handler(*call)

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        within = False
        _put_back(handler, hold)
        if pressed:
            handler(*pressed[0])


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Let no Ctrl-C get lost within the block.

    JAX adds a callback to the garbage collector. What is raised there, Python prints and forgets, as it does in the
    callbacks of weak references and in ``__del__``: an interrupt that comes in one of them is given again a moment
    later. A handler of the user's own stays as it is.
    """
    default = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not default:
        yield
        return

    def listen(number: int, frame: FrameType | None) -> None:
        if _is_in_callback(frame):
            again = threading.Timer(_LATER, _interrupt, [number])
            again.daemon = True
            again.start()
        else:
            default(number, frame)

    signal.signal(signal.SIGINT, listen)
    try:
        yield
    finally:
        _put_back(default, listen)


def _put_back(handler: Any, ours: Callable[..., None]) -> None:
    """Let a handler have Ctrl-C again, unless the user has given it to another one meanwhile."""
    if signal.getsignal(signal.SIGINT) is ours:
        signal.signal(signal.SIGINT, handler)


def _interrupt(number: int) -> None:
    """Give the main thread a signal: one that another thread gives itself does not end a wait of the main thread."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(cast(int, threading.main_thread().ident), number)
    else:
        signal.raise_signal(number)


def _is_in_callback(frame: FrameType | None) -> bool:
    """Whether what runs was called as an object died, or by the garbage collector; if in doubt, yes."""
    codes = [getattr(callback, "__code__", None) for callback in gc.callbacks]
    while frame is not None:
        name, module = frame.f_code.co_name, frame.f_globals.get("__name__")
        # `remove` of dictionaries of weak keys and of weak values, `_remove` of weak sets, a call of `finalize`.
        of_weak = module in ("weakref", "_weakrefset") and name in ("remove", "_remove", "__call__")
        if frame.f_code in codes or of_weak or name == "__del__":
            return True
        frame = frame.f_back
    return False
