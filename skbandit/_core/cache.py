"""Compiled programs on disk: JAX's persistent compilation cache, switched on by the user."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sys

from skbandit._core.private import make_private


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
        If others can place files in the folder, or could have done so: what lies there is executed. The folder and
        those above it must belong to this user or root, and neither a group nor others may write to them. A folder
        above it that others may write to is accepted only with the sticky bit, like ``/tmp``. The files in the cache
        must be regular files of the same owners, which neither a group nor others may write to.
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
    if path is not None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            found = type(path).__name__
            raise TypeError(f"The 'path' of the compilation cache must be path-like or None. Got a {found}.")
        if "\0" in os.fsdecode(path):
            raise ValueError(f"The 'path' of the compilation cache must not hold a null character. Got {path!r}.")

    import jax

    chosen = path
    if chosen is None:
        chosen = getattr(jax.config, "jax_compilation_cache_dir", None) or _cache_folder(jax.__version__)
    folder = os.fsdecode(chosen).removeprefix("file://")
    if not folder:
        raise ValueError("The 'path' of the compilation cache must not be empty; None is the default folder.")
    if "://" not in folder:
        folder = os.path.abspath(os.path.expanduser(folder))
        make_private(folder)
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
