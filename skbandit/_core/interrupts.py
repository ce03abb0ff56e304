"""Ctrl-C at a moment when it would do harm."""

from __future__ import annotations

import contextlib
import gc
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

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
    signal.signal(signal.SIGINT, lambda *call: pressed.append(call))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if pressed:
            handler(*pressed[0])


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """Let no Ctrl-C get lost within the block.

    JAX adds a callback to the garbage collector. What is raised there, Python prints and forgets: an interrupt that
    comes in it is given again a moment later. A handler of the user's own stays as it is.
    """
    default = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not default:
        yield
        return

    def listen(number: int, frame: FrameType | None) -> None:
        if _is_in_callback(frame):
            again = threading.Timer(_LATER, signal.raise_signal, [number])
            again.daemon = True
            again.start()
        else:
            default(number, frame)

    signal.signal(signal.SIGINT, listen)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, default)


def _is_in_callback(frame: FrameType | None) -> bool:
    """Whether the garbage collector has called what runs."""
    codes = [getattr(callback, "__code__", None) for callback in gc.callbacks]
    while frame is not None:
        if frame.f_code in codes:
            return True
        frame = frame.f_back
    return False
