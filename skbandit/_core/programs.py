"""The compiled programs of this process: how many there may be, who compiles them, and how fast.

A jitted function of the package is declared with `compiled`, so that `make_room` can make it forget its programs. Who
calls one with arrays of new shapes says so beforehand (`make_room`), and makes the call within `first_call`.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import jax
import numpy as np

#: Sets of shapes whose programs are kept.
MOST_PROGRAMS = 128

_jitted: list[Any] = []
_programs: set[Hashable] = set()
_called: set[Hashable] = set()
_programs_lock, _first_call_lock = threading.Lock(), threading.Lock()


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator: `jax.jit` with these options, registered for `make_room`."""

    def decorate(function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def of_arrays(*args: Any, **kwargs: Any) -> Any:
            # Where the user has disabled `jit`, arguments come as they were given, and not as arrays of JAX.
            if getattr(jax.config, "jax_disable_jit", False):
                static = options.get("static_argnames", ())
                args = tuple(map(_on_device, args))
                kwargs = {name: a if name in static else _on_device(a) for name, a in kwargs.items()}
            return function(*args, **kwargs)

        jitted = jax.jit(of_arrays, **options)
        _jitted.append(jitted)
        return jitted

    return decorate


def _on_device(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jax.device_put(leaf) if isinstance(leaf, np.ndarray | np.generic) else leaf, tree)


def make_room(program: Hashable) -> None:
    """Forget all compiled programs when a new one would be one too many.

    Each holds some hundred memory maps, and Linux gives a process 65 530: a search over some hundred network shapes
    would end in a segmentation fault.

    Parameters
    ----------
    program : hashable
        What tells the program from others: the static arguments, shapes and dtypes of a call.
    """
    with _programs_lock:
        if program not in _programs and len(_programs) >= MOST_PROGRAMS:
            for function in _jitted:
                function.clear_cache()
            _programs.clear()
            _called.clear()
        _programs.add(program)


@contextlib.contextmanager
def first_call(program: Hashable) -> Iterator[None]:
    """Let one thread compile a program while others wait: JAX would compile it in each of them."""
    if program not in _called:
        with _first_call_lock:
            if program not in _called:
                yield
                _called.add(program)
                return
    yield


#: Compiler options for programs that run for some milliseconds: XLA's older emitter of CPU kernels takes 60 % of the
#: time to compile, and its programs are some tenths slower.
QUICK_COMPILE: dict[str, bool | int | str] = {"xla_cpu_use_fusion_emitters": False}


@functools.cache
def quick_compile_is_known() -> bool:
    """Ask whether this XLA has the options of `QUICK_COMPILE`, which no version promises, by trying them."""
    try:
        jax.jit(lambda: 0, compiler_options=QUICK_COMPILE)()
    except jax.errors.JaxRuntimeError:
        return False
    return True
