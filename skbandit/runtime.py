"""Where and in which precision JAX computes: the one place that touches its process-wide settings, within a scope.

Nothing here runs at import, and nothing outlives the scope.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jax

_jax_pid: int | None = None


def _refuse_after_fork() -> None:
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
    _refuse_after_fork()
    import jax

    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.enable_x64(dtype == "float64"))
        found = resolve_device(device)
        if found is not None:
            stack.enter_context(jax.default_device(found))
        yield
