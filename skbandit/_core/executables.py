"""Compiled programs as bytes, and back: what `jax.experimental.serialize_executable` makes of them, and their results'.

A loaded program must need nothing that only tracing brings: functions of Python, or routines of a library that are
looked up when a call of them is traced (LAPACK's). Such programs are not kept.
"""

from __future__ import annotations

import contextlib
import pickle
import re
import threading
from collections.abc import Iterator
from typing import Any

import jax

_serialization: Any = None
with contextlib.suppress(ImportError):  # an experiment may end
    from jax.experimental import serialize_executable as _serialization

#: Calls in a program that mean nothing to another process than to this one.
_CALLS = re.compile(r"custom_call\s+@([\w.$]+)")
_HARMLESS = {"Sharding", "SPMDFullToShardShape", "SPMDShardToFullShape"}
#: What JAX calls the event of a program that it finds in its own cache.
_HIT = "/jax/compilation_cache/cache_hits"


def as_bytes(lowered: Any, compiled: Any) -> bytes | None:
    """Return a program as bytes; None where it cannot be kept."""
    if set(_CALLS.findall(lowered.as_text())) - _HARMLESS:
        return None
    try:
        program, _, structure = _serialization.serialize(compiled)
        # Structures cannot be pickled: an object of this one can.
        example = pickle.dumps(jax.tree.unflatten(structure, range(structure.num_leaves)))
        if jax.tree.structure(pickle.loads(example)) != structure:
            return None
        return pickle.dumps((program, example))
    except Exception:  # of whatever type: the program is there, and will be compiled again
        return None


def tried(content: bytes, arguments: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """Load a program and call it; return it, and what it returned. None and None where it cannot be loaded or called.

    Parameters
    ----------
    content : bytes
        From `as_bytes`, in a process that is alike.
    arguments : PyTreeDef
        Structure of ``(args, kwargs)``.
    args, kwargs
        Arguments, without those that are static.
    """
    try:
        program, example = pickle.loads(content)
        results = jax.tree.structure(pickle.loads(example))
        loaded = _serialization.deserialize_and_load(program, arguments, results)
        # What is missing in a program is missed when it runs.
        return loaded, jax.block_until_ready(loaded(*args, **kwargs))
    except Exception:
        return None, None


@contextlib.contextmanager
def listening() -> Iterator[list[str]]:
    """Return a list that has an item for each program that JAX's own cache gives this thread within the block.

    Such a program lacks what makes bytes of it: they could be loaded, but not run.
    """
    here, heard = threading.get_ident(), list[str]()

    def listen(event: str, **_: Any) -> None:
        if event == _HIT and threading.get_ident() == here:
            heard.append(event)

    jax.monitoring.register_event_listener(listen)
    try:
        yield heard
    finally:
        with contextlib.suppress(AssertionError, ValueError):  # someone has removed all of them
            jax.monitoring.unregister_event_listener(listen)
