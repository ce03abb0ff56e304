"""The compiled programs of this process: how many there may be, who compiles them, and how fast.

A jitted function of the package is declared with `compiled`, so that `make_room` can make it forget its programs, and
later processes find them on disk. Who calls one with arrays of new shapes says so beforehand (`make_room`), and makes
the call within `first_call`.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from skbandit._core import executables, keys, store
from skbandit._core.imports import without_collector

#: Sets of shapes whose programs are kept.
MOST_PROGRAMS = 128

_jitted: list[Any] = []
_programs: set[Hashable] = set()
_called: set[Hashable] = set()
_programs_lock, _first_call_lock = threading.Lock(), threading.Lock()


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator: `jax.jit` with these options, registered for `make_room`, whose programs are kept on disk.

    No argument can be donated: where a program fails that was loaded, its arguments are needed again.
    """
    if any(name.startswith("donate") for name in options):
        raise ValueError(f"A compiled function of this package donates no argument. Got {sorted(options)}.")

    def decorate(function: Callable[..., Any]) -> Any:
        made = Compiled(function, options)
        _jitted.append(made)
        return made

    return decorate


class Compiled:
    """A jitted function that looks for its programs on disk (`skbandit._core.store`) before it traces them.

    What is found there, or compiled here, is called for the same arguments that `jax.jit` would call it for. What has
    no key, and what is no program of its own (under tracing, and where `jit` is disabled), goes to `jax.jit` as it is.

    Parameters
    ----------
    function : callable
    options : dict
        Of `jax.jit`.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self._options = options
        self._name = f"{function.__module__}:{function.__qualname__}"
        parameters = [*inspect.signature(function).parameters]
        self._static_names = frozenset(options.get("static_argnames", ()))
        named = {parameters.index(name) for name in self._static_names}
        self._static_places = frozenset(options.get("static_argnums", ())) | named
        self._static_names |= {parameters[i] for i in self._static_places}

        @functools.wraps(function)
        def of_arrays(*args: Any, **kwargs: Any) -> Any:
            # Where the user has disabled `jit`, arguments come as they were given, and not as arrays of JAX.
            if getattr(jax.config, "jax_disable_jit", False):
                args = tuple(a if i in self._static_places else _on_device(a) for i, a in enumerate(args))
                kwargs = {name: a if name in self._static_names else _on_device(a) for name, a in kwargs.items()}
                return function(*args, **kwargs)
            static, traced, named = self._apart(args, kwargs)
            own = keys.is_own(static, jax.tree.structure((traced, named)))
            with without_collector() if own else contextlib.nullcontext():
                return function(*args, **kwargs)

        self._jitted: Any = jax.jit(of_arrays, **options)
        self._programs: dict[Hashable, Any] = {}
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function."""
        folder = store.where()
        if folder is None:
            return self._jitted(*args, **kwargs)
        static, traced, named = self._apart(args, kwargs)
        leaves, structure = jax.tree.flatten((traced, named))
        try:
            key = static, structure, tuple(map(_signature, leaves)), _settings()
            program = self._programs.get(key)
        except (keys.NoKeyError, TypeError):  # an argument that is not hashable is for JAX to refuse
            return self._jitted(*args, **kwargs)
        if program is None:
            text = self._text(key)
            if text is not None and (content := store.load(folder, self._name, text)) is not None:
                program, result = executables.tried(content, structure, traced, named)
                if program is not None:
                    self._programs[key] = program
                    return result
                store.remove(folder, self._name, text)
            program = self._programs[key] = self._compiled(folder, key, text, args, kwargs)
        return self._jitted(*args, **kwargs) if program is self._jitted else program(*traced, **named)

    def _apart(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[tuple[int | str, Any], ...], tuple[Any, ...], dict[str, Any]]:
        """Return the static arguments with their places or names, and the others."""
        static: tuple[tuple[int | str, Any], ...] = (
            *((i, a) for i, a in enumerate(args) if i in self._static_places),
            *((name, a) for name, a in kwargs.items() if name in self._static_names),
        )
        if not static:
            return static, args, kwargs
        traced = tuple(a for i, a in enumerate(args) if i not in self._static_places)
        return static, traced, {name: a for name, a in kwargs.items() if name not in self._static_names}

    def _text(self, key: tuple[Any, ...]) -> str | None:
        """Return what tells a program from all others in any process; None where nothing does."""
        static, structure, signatures, _ = key
        try:
            return keys.describe(
                {
                    "function": self._name,
                    "options": self._options,
                    "static": static,
                    "structure": keys.describe_structure(structure),
                    "arguments": signatures,
                    "settings": keys.describe_settings(),
                    "process": keys.describe_process(),
                }
            )
        except keys.NoKeyError:
            return None

    def _compiled(self, folder: str, key: tuple[Any, ...], text: str | None, args: Any, kwargs: Any) -> Any:
        """Compile a program, and keep it; without a text it is for `jax.jit` to compile."""
        if text is None:
            return self._jitted
        with without_collector():
            lowered = self._jitted.lower(*args, **kwargs)
        program, is_whole = executables.compiled(lowered)
        content = executables.as_bytes(lowered, program) if is_whole else None
        # The sources may have changed since the text was made: what was traced may be the new code.
        if content is not None and self._text(key) == text:
            store.keep(folder, self._name, text, content)
        return program

    def clear_cache(self) -> None:
        """Forget all programs."""
        self._programs.clear()
        self._jitted.clear_cache()


def _signature(leaf: Any) -> tuple[Any, ...]:
    """Return what a program depends on of an argument."""
    kind = type(leaf)
    if kind is np.ndarray or isinstance(leaf, np.generic):
        return leaf.dtype, leaf.shape, False, False  # as an array of JAX that may go anywhere
    if kind in (bool, int, float):
        return (kind,)
    if isinstance(leaf, jax.Array) and not isinstance(leaf, Tracer):
        aval: Any = leaf.aval
        sharding: Any = leaf.sharding
        is_here = isinstance(sharding, jax.sharding.SingleDeviceSharding) and sharding.device_set == keys.processors()
        if is_here and isinstance(aval.dtype, np.dtype):
            return aval.dtype, aval.shape, aval.weak_type, leaf.committed
    raise keys.NoKeyError(f"an argument of the type {kind.__qualname__}")


def _settings() -> tuple[Any, ...]:
    """Return the settings of JAX that tell programs apart within the process."""
    config: Any = jax.config
    if config.jax_debug_nans or config.jax_debug_infs or config.jax_disable_jit:
        raise keys.NoKeyError("a setting under which JAX does more than to call a program")
    return keys.context()


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
        _nothing()
    except jax.errors.JaxRuntimeError:
        return False
    return True


# Kept on disk as other programs are: compiling the first one of a process takes a twentieth of a second.
@compiled(compiler_options=QUICK_COMPILE)
def _nothing() -> int:
    return 0
