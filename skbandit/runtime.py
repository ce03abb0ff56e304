"""Where and in which precision JAX computes: the one place that touches its process-wide settings.

Nothing here runs at import, and nothing outlives its scope but what `enable_compilation_cache`, called by the user,
sets for the process.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    import jax

#: Name of the one axis of a mesh of devices: one that no mesh of a user's has.
_AXIS = "skbandit_devices"
#: Programs that talk between devices must start in the same order on each of them.
_many_devices = threading.RLock()

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


def resolve_devices(device: str | None) -> list[jax.Device]:
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


def in_this_precision(function: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """Let a function of the user's compute with or without 64-bit types as it would here, wherever it is called."""
    if function is None:
        return None
    import jax

    x64 = jax.dtypes.canonicalize_dtype("float64") == "float64"

    def called(*args: Any) -> Any:
        with jax.enable_x64(x64):
            return function(*args)

    return called


def n_devices() -> int:
    """Return the number of devices that the scope spreads its work over."""
    import jax

    return jax.sharding.get_abstract_mesh().shape.get(_AXIS, 1)


def spread(*arrays: jax.Array) -> tuple[jax.Array, ...]:
    """Spread the first axis of each array over the devices of the scope, inside a compiled function."""
    import jax

    if n_devices() == 1:
        return arrays
    along = jax.sharding.PartitionSpec(_AXIS)
    return tuple(jax.lax.with_sharding_constraint(a, along) for a in arrays)


def to_device(tree: Any) -> Any:
    """Put host arrays on the device of the scope; on every one of several."""
    import jax

    if n_devices() == 1:
        return jax.device_put(tree)
    return jax.device_put(tree, jax.sharding.NamedSharding(jax.sharding.get_mesh(), jax.sharding.PartitionSpec()))


#: Compiler options for programs that run for some milliseconds: XLA's older emitter of CPU kernels takes 60 % of the
#: time to compile, and its programs are some tenths slower.
QUICK_COMPILE: dict[str, bool | int | str] = {"xla_cpu_use_fusion_emitters": False}


@functools.cache
def quick_compile_is_known() -> bool:
    """Ask whether this XLA has the options of `QUICK_COMPILE`, which no version promises, by trying them."""
    import jax

    try:
        jax.jit(lambda: 0, compiler_options=QUICK_COMPILE)()
    except jax.errors.JaxRuntimeError:
        return False
    return True


def enable_compilation_cache(path: str | os.PathLike[str] | None = None) -> str:
    """Keep compiled programs on disk, so that later processes load them instead of compiling.

    It turns on JAX's persistent compilation cache, for every program of this process and of the processes that it
    starts from now on (joblib's workers among them). Nothing is cached unless this is called.

    Parameters
    ----------
    path : path-like, optional
        Folder of the cache; it is made if needed, for this user only. Or a URL that JAX knows (``gs://...``). By
        default the one that JAX is already configured to use (``JAX_COMPILATION_CACHE_DIR``), or else a folder of the
        user's cache directory that belongs to this version of JAX and this kind of processor.

    Returns
    -------
    path : str
        The folder in use.

    Raises
    ------
    ValueError
        If the path is empty.
    PermissionError
        If the folder belongs to another user, or others may write to it: what lies there is executed.
    OSError
        If the folder cannot be made or written to.

    Notes
    -----
    The cache grows without bounds; the folder may be deleted while no process uses it. To do without this call, set the
    environment variables ``JAX_COMPILATION_CACHE_DIR``, ``JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0`` and
    ``JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1``.

    Examples
    --------
    >>> import tempfile
    >>> import skbandit
    >>> folder = skbandit.enable_compilation_cache(tempfile.mkdtemp())
    """
    import jax

    if path is None:
        path = getattr(jax.config, "jax_compilation_cache_dir", None) or _cache_folder(jax.__version__)
    folder = os.fsdecode(path)
    if not folder:
        raise ValueError("The 'path' of the compilation cache must not be empty; None is the default folder.")
    if "://" not in folder:
        folder = os.path.abspath(os.path.expanduser(folder))
        _make_private(folder)
    settings = {
        "jax_compilation_cache_dir": folder,
        # JAX leaves out what compiles in less than a second, which is every program here.
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    moved = getattr(jax.config, "jax_compilation_cache_dir", None) != folder
    for name, value in settings.items():
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)
    if moved:
        # JAX looks once whether there is a cache, at its first compilation.
        from jax.experimental.compilation_cache import compilation_cache

        compilation_cache.reset_cache()
    return folder


def _make_private(folder: str) -> None:
    """Make a folder that only this user writes to, or make sure that it is one."""
    if not os.path.isdir(folder):
        before = os.umask(0o077)  # for the folders above it as well: who may rename them may put others in their place
        try:
            os.makedirs(folder, exist_ok=True)
        finally:
            os.umask(before)
    if hasattr(os, "geteuid"):
        owner = os.stat(folder)
        # What belongs to root is no one else's to plant.
        if owner.st_uid not in (0, os.geteuid()) or owner.st_mode & 0o022:
            raise PermissionError(
                f"The compilation cache {folder!r} must belong to this user, and no one else may write to it: programs "
                "that lie there are executed. Give another 'path', or change owner and mode (chmod go-w)."
            )
    with tempfile.TemporaryFile(dir=folder):  # raises where nothing can be written
        pass


def _cache_folder(version: str) -> str:
    """Return the default folder: machine code is of use to one kind of processor, and a home may be shared by many."""
    home = os.path.expanduser("~")
    base = (
        {
            "win32": os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local"),
            "darwin": os.path.join(home, "Library", "Caches"),
        }.get(sys.platform)
        or os.environ.get("XDG_CACHE_HOME")
        or os.path.join(home, ".cache")
    )
    processor = f"{platform.machine()} {platform.processor()}"
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        processor += next((line for line in cpuinfo if line.startswith(("flags", "Features"))), "")
    kind = hashlib.sha256(processor.encode()).hexdigest()[:8]
    return os.path.join(base, "skbandit", f"jax-{version}-{platform.machine()}-{kind}")


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
