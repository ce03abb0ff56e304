"""Compiled programs as bytes, and back: what `jax.experimental.serialize_executable` makes of them, and their results'.

A loaded program must need nothing that only tracing brings: functions of Python, or routines of a library that are
looked up when a call of them is traced (LAPACK's). Such programs are not kept.
"""

from __future__ import annotations

import contextlib
import pickle
import re
import threading
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
#: An event of ours, by which is found out whether events are heard.
_CALL = "/skbandit/is_anyone_there"


class _Heard(threading.local):
    """How often this thread has had an event of each kind."""

    hits = calls = 0


_heard, _registering = _Heard(), threading.Lock()


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

    What is raised is that there is too little memory: it is no fault of the program's.

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
    except Exception as error:
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
            raise
        return None, None


def compiled(lowered: Any) -> tuple[Any, bool]:
    """Compile a program; return it, and whether all of it was compiled here.

    One that JAX's own cache has given lacks what makes bytes of it: they could be loaded, but not run.
    """
    _listen()
    before = _heard.hits
    program = lowered.compile()
    # Who has removed all listeners meanwhile leaves it open.
    return program, _heard.hits == before and _is_heard() is True


def _note(event: str, **_: Any) -> None:
    """Note an event of this thread's."""
    if event == _HIT:
        _heard.hits += 1
    elif event == _CALL:
        _heard.calls += 1


def _listen() -> None:
    """Listen to JAX's events from now on, unless that is so; nothing but the end of the process ends it.

    JAX goes through its list of listeners while other threads compile: one that were removed would be skipped, or let
    another one be skipped.
    """
    with _registering:
        if _is_heard() is False:
            jax.monitoring.register_event_listener(_note)


def _is_heard() -> bool | None:
    """Ask whether events are noted: somebody may have called `jax.monitoring.clear_event_listeners`.

    None where another one's listener is in the way: one that does not know the event, and raises.
    """
    before = _heard.calls
    try:
        jax.monitoring.record_event(_CALL)
    except Exception:
        return True if _heard.calls > before else None
    return _heard.calls > before
