"""Where, in which precision and under which settings JAX computes: the one place that touches them.

Nothing here runs at import, and nothing outlives its scope. (`skbandit._core.cache` switches JAX's compilation cache on
for the process, where the user calls for it.)

A user's settings (``jax.config``, the environment, JAX's context managers) reach every program of the process, and ours
are written for some of them:

- *Checks* stop a program or warn, and change no number. They are for the user's own code, and off in ours: an array may
  be broadcast, a masked unit may make a loss infinite, rows come from the host.
- *Numbers* depend on the precision of matrix products, and what `jax.disable_jit` does. An estimator computes the same
  whatever they are; in `skbandit.prune` the loss is the user's, and so is the choice.
- What says how to compile, where to keep programs and what to log is the user's everywhere.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import ThreadpoolController

from skbandit._core.constraints import shown
from skbandit._core.forks import refuse_after_fork
from skbandit._core.interrupts import heard, uninterrupted

if TYPE_CHECKING:
    import jax

#: Name of the one axis of a mesh of devices: one that no mesh of a user's has.
_AXIS = "skbandit_devices"
#: Programs that talk between devices must start in the same order on each of them.
_many_devices = threading.RLock()

#: JAX's checks, by the name of the context manager, and what our programs are written for: the defaults.
_CHECKS: dict[str, Any] = {
    "numpy_rank_promotion": "allow",
    "numpy_dtype_promotion": "standard",
    "debug_nans": False,
    "debug_infs": False,
    "debug_key_reuse": False,
    "check_tracer_leaks": False,
    "no_tracing": False,
    "no_execution": False,
    "transfer_guard_host_to_device": "allow",
    "transfer_guard_device_to_device": "allow",
    "transfer_guard_device_to_host": "allow",
}
#: Checks for which JAX has no context manager, and all but this value of which our loops do not survive.
_CHECKS_OF_THE_PROCESS = {f"jax_error_checking_behavior_{what}": "ignore" for what in ("nan", "divide", "oob")}

_blas_lock = threading.Lock()
_blas_users = 0
_blas_before: tuple[int, ...] = ()


def resolve_devices(device: str | None) -> list[Any]:
    """Find JAX devices by name; an empty list is JAX's default device.

    Parameters
    ----------
    device : str or None
        ``None`` (JAX's default), a platform (``"cpu"``, ``"gpu"``), a platform and an index (``"gpu:1"``), or all
        devices of a platform (``"gpu:*"``).

    Raises
    ------
    ValueError
        If there is no such device; the message lists those that there are.
    """
    if device is None:
        return []
    import jax

    kind, _, index = device.partition(":")
    try:
        devices = jax.local_devices(backend=kind)
        return devices if index == "*" else [dict(enumerate(devices))[int(index or 0)]]
    except (RuntimeError, KeyError, ValueError):
        found = []
        for name in ("cpu", "gpu", "tpu"):
            with contextlib.suppress(RuntimeError):
                n = len(jax.local_devices(backend=name))
                found += [f"{name}:{i}" for i in range(n)] + [f"{name}:*"] * (n > 1)
        raise ValueError(
            f"The 'device' parameter names a device that JAX does not see: got {shown(device)}; available: {found} "
            "(or None for JAX's default)."
        ) from None


@contextlib.contextmanager
def without_checks(dtype: str = "float32") -> Iterator[None]:
    """Compute in ``dtype`` with JAX's checks switched off, in this thread and scope; all else stays the user's.

    Raises
    ------
    RuntimeError
        After a fork; and if one of JAX's checks is on that cannot be switched off for a scope.
    """
    refuse_after_fork()
    import jax

    for name, value in _CHECKS_OF_THE_PROCESS.items():
        found = getattr(jax.config, name, value)
        if found != value:
            raise RuntimeError(
                f"JAX's setting {name}={found!r} must be {value!r} here: JAX's loops do not support it, and it has no "
                f"context manager. Call jax.config.update({name!r}, {value!r})."
            )
    with heard(), _settings({**_CHECKS, "enable_x64": dtype == "float64"}):
        yield


@contextlib.contextmanager
def _settings(values: dict[str, Any]) -> Iterator[None]:
    """Give JAX these settings, by the names of their context managers."""
    import jax

    stack = contextlib.ExitStack()
    try:
        with uninterrupted():  # what is entered is left again
            for name, value in values.items():
                stack.enter_context(getattr(jax, name)(value))
        yield
    finally:
        with uninterrupted():
            stack.close()


@contextlib.contextmanager
def jax_scope(dtype: str = "float32", device: str | None = None) -> Iterator[None]:
    """Compute in ``dtype`` on ``device`` within the scope, the same whatever the user's settings.

    All holds for this thread and scope only. The default device stays the user's where ``device`` is None.
    """
    import jax

    with contextlib.ExitStack() as stack:
        stack.enter_context(without_checks(dtype))
        stack.enter_context(_settings({"default_matmul_precision": None, "disable_jit": False}))
        found = resolve_devices(device)
        if found:
            stack.enter_context(jax.default_device(found[0]))
        if len(found) > 1:
            stack.enter_context(_many_devices)
            automatic = (jax.sharding.AxisType.Auto,)
            stack.enter_context(jax.set_mesh(jax.make_mesh((len(found),), (_AXIS,), automatic, devices=found)))
        elif not jax.sharding.get_abstract_mesh().empty:
            # A mesh of the user's own would be part of our programs, and change how they round.
            stack.enter_context(jax.set_mesh(jax.sharding.Mesh(np.empty((), object), ())))
        yield


def in_these_settings(function: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """Let a function of the user's run under the settings that hold here, wherever it is called in this thread."""
    if function is None:
        return None
    import jax

    here = {name: getattr(jax.config, f"jax_{name}") for name in (*_CHECKS, "enable_x64")}

    def called(*args: Any) -> Any:
        with _settings(here):
            return function(*args)

    return called


def for_threads(scope: Callable[[], AbstractContextManager[Any]]) -> Callable[[], AbstractContextManager[Any]]:
    """Return the scope for other threads: with the default device of this one, which JAX keeps for each by itself."""
    import jax

    device = getattr(jax.config, "jax_default_device", None)

    @contextlib.contextmanager
    def opened() -> Iterator[None]:
        with jax.default_device(device), scope():
            yield

    return opened


def n_devices() -> int:
    """Return the number of devices that the scope spreads its work over."""
    import jax

    return int(jax.sharding.get_abstract_mesh().shape.get(_AXIS, 1))


def spread(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Spread the first axis of each array over the devices of the scope, inside a compiled function."""
    import jax

    if n_devices() == 1:
        return arrays
    along = jax.sharding.PartitionSpec(_AXIS)
    spread_out: tuple[jax.Array, ...] = jax.tree.map(lambda a: jax.lax.with_sharding_constraint(a, along), arrays)
    return spread_out


def to_device(tree: Any) -> Any:
    """Put host arrays on the device of the scope; on every one of several."""
    import jax

    if n_devices() == 1:
        return jax.device_put(tree)
    return jax.device_put(tree, jax.sharding.NamedSharding(jax.sharding.get_mesh(), jax.sharding.PartitionSpec()))


def to_numpy(tree: Any) -> Any:
    """Copy the arrays of a pytree to the host."""
    import jax

    return jax.tree.map(np.asarray, tree)


@functools.cache
def _blas() -> ThreadpoolController:
    """Find the BLAS libraries once: it takes some milliseconds."""
    return ThreadpoolController().select(user_api="blas")


def blas_threads() -> tuple[int, ...]:
    """Return how many threads each of the BLAS libraries uses now."""
    return tuple(library.num_threads for library in _blas().lib_controllers)


def _set_blas_threads(numbers: tuple[int, ...]) -> None:
    """Set them, from any thread.

    Of OpenBLAS, threadpoolctl 3.8 lets one thread set them, the first that has, and does nothing for all others, so
    that threads do not fight over a limit. Ours do not: they share one.
    """
    for library, number in zip(_blas().lib_controllers, numbers, strict=True):
        getattr(library, "_real_set_num_threads", library.set_num_threads)(number)


@contextlib.contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Keep NumPy's linear algebra on one thread within the scope.

    The limit is the process's, not the thread's: the first of several concurrent scopes sets it, the last lifts it.
    """
    global _blas_users, _blas_before
    counted = False
    try:
        with uninterrupted(), _blas_lock:
            if _blas_users == 0:
                _blas_before = blas_threads()
                _set_blas_threads((1,) * len(_blas_before))
            _blas_users += 1
            counted = True
        yield
    finally:
        if counted:
            with uninterrupted(), _blas_lock:
                _blas_users -= 1
                if _blas_users == 0:
                    _set_blas_threads(_blas_before)
