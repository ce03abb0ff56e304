"""Whether JAX can compute in this process: its threads do not survive ``os.fork``, and it waits for them for ever.

JAX may be the user's own, used before or after this package is imported, and has no public function that tells whether
it has started. What is read here of its private names may be missing: then only our own use of it is known.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

#: The process in which JAX runs, as far as is known.
_jax_pid: int | None = None
#: No process: JAX was started by one that this process was forked from.
_NOT_HERE = 0
#: Of the kernel: a process that was forked, and has run no other program since.
_PF_FORKNOEXEC = 0x40
#: What JAX calls the threads that compute on processors. Other names begin in the same way: TensorFlow's.
_POOL = "tf_XLAEigen"


def refuse_after_fork() -> None:
    """Raise where going on would hang; to be called before JAX is used."""
    global _jax_pid
    if _jax_pid is None:
        _jax_pid = _NOT_HERE if _has_lost_its_threads() else os.getpid()
    if _jax_pid != os.getpid():
        raise RuntimeError(
            "This process was forked after its parent had used JAX, whose threads do not survive a fork: computing "
            "here would hang. Start workers with joblib's default backend (loky) or 'threading', or with "
            "multiprocessing.get_context('spawn' or 'forkserver')."
        )


def _note_fork() -> None:
    """In a forked child: note if its parent had used JAX, or was about to."""
    global _jax_pid
    if _jax_pid is not None or _has_started() or _is_starting():
        _jax_pid = _NOT_HERE


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def _has_started() -> bool:
    """Whether JAX has started, here or before a fork.

    JAX has a function for it, which takes a lock. In a forked child, another thread of the parent may hold it for ever.
    """
    return bool(getattr(sys.modules.get("jax._src.xla_bridge"), "_backends", None))


def _is_starting() -> bool:
    """Whether another thread is, or was at the fork, about to start JAX: it then holds one of these locks."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    return any(_is_held(getattr(bridge, name, None)) for name in ("_backend_lock", "_plugin_lock"))


def _is_held(lock: Any) -> bool:
    if lock is None or not lock.acquire(blocking=False):
        return lock is not None
    lock.release()
    return False


def _has_lost_its_threads() -> bool:
    """Whether JAX was started before a fork that nobody noted: the package was first imported in the child.

    Only Linux can tell.
    """
    if not _has_started():
        return False
    process = Path("/proc/self")
    try:
        flags = int((process / "stat").read_text(errors="replace").rpartition(")")[2].split()[6])
        names = [path.read_text(errors="replace").rstrip("\n") for path in process.glob("task/*/comm")]
    except (OSError, ValueError, IndexError):
        return False
    return bool(flags & _PF_FORKNOEXEC) and _POOL not in names
