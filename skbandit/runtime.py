"""Where and in which precision JAX computes: the one place that touches its process-wide settings, within a scope.

Nothing here runs at import, and nothing outlives the scope.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    import jax

_jax_pid: int | None = None
_blas_lock = threading.Lock()
_blas_users = 0
_blas_limit: Any = None


def refuse_after_fork() -> None:
    """Raise where going on would hang: JAX's threads do not survive ``os.fork``."""
    global _jax_pid
    if _jax_pid is None:
        _jax_pid = os.getpid()
    elif _jax_pid != os.getpid():
        raise RuntimeError(
            "This process was forked after its parent had used JAX, whose threads do not survive a fork: computing "
            "here would hang. Start workers with joblib's default backend (loky) or 'threading', or with "
            "multiprocessing.get_context('spawn' or 'forkserver')."
        )


def resolve_device(device: str | None) -> jax.Device | None:
    """Find a JAX device by name.

    Parameters
    ----------
    device : str or None
        ``None`` (JAX's default), a platform (``"cpu"``, ``"gpu"``), or a platform and an index (``"gpu:1"``).

    Raises
    ------
    ValueError
        If there is no such device; the message lists those that there are.
    """
    if device is None:
        return None
    import jax

    platform, _, index = device.partition(":")
    try:
        return dict(enumerate(jax.devices(platform)))[int(index or 0)]
    except (RuntimeError, KeyError, ValueError):
        found = []
        for name in ("cpu", "gpu", "tpu"):
            with contextlib.suppress(RuntimeError):
                found += [f"{name}:{i}" for i in range(len(jax.devices(name)))]
        raise ValueError(
            f"The 'device' parameter names a device that JAX does not see: got {device!r}; available: {found} "
            "(or None for JAX's default)."
        ) from None


@contextlib.contextmanager
def jax_scope(dtype: str = "float32", device: str | None = None) -> Iterator[None]:
    """Compute in ``dtype`` on ``device`` within the scope; float64 is switched on for this thread and scope only."""
    refuse_after_fork()
    import jax

    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.enable_x64(dtype == "float64"))
        found = resolve_device(device)
        if found is not None:
            stack.enter_context(jax.default_device(found))
        yield


@functools.cache
def _blas() -> ThreadpoolController:
    """Find the BLAS libraries once: it takes some milliseconds."""
    return ThreadpoolController().select(user_api="blas")


@contextlib.contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Keep NumPy's linear algebra on one thread within the scope.

    The limit is the process's, not the thread's: the first of several concurrent scopes sets it, the last lifts it.
    """
    global _blas_users, _blas_limit
    with _blas_lock:
        _blas_users += 1
        if _blas_users == 1:
            _blas_limit = _blas().limit(limits=1)
    try:
        yield
    finally:
        with _blas_lock:
            _blas_users -= 1
            if _blas_users == 0:
                _blas_limit.restore_original_limits()
