"""Compiled programs on disk: this package's own store of them, and JAX's persistent compilation cache.

The store (`skbandit._core.store`) is there unless the user says otherwise. It holds the programs of this package, which
it finds before they are traced. JAX's cache holds all programs of the process, is switched on by the user, and finds a
program when it has been traced and lowered.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from typing import Any

from skbandit._core import store
from skbandit._core.imports import importing
from skbandit._core.private import make_private

#: The settings of JAX and the variables of the environment that `enable_compilation_cache` has changed, as they were.
_before: dict[str, tuple[Any, str | None]] = {}


def enable_compilation_cache(path: str | os.PathLike[str] | None = None) -> str:
    """Keep compiled programs on disk, so that later processes load them instead of compiling.

    The programs of this package are kept without this call, in a folder of the user's cache directory. The call moves
    them to another folder, and turns on JAX's persistent compilation cache as well: for every program of this process
    and of the processes that it starts from now on (joblib's workers among them).

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
    JAX's cache grows without bounds; the folder may be deleted while no process uses it. To do without this call, set
    the environment variables ``JAX_COMPILATION_CACHE_DIR``, ``JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0`` and
    ``JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1``.

    This package's own programs lie in the subfolder ``skbandit-programs``, which takes 512 MiB at most. They are found
    before they are traced. The environment variable ``SKBANDIT_COMPILATION_CACHE`` names another folder for them alone,
    or is 0 for none; a warning says if that folder cannot be used. With a URL as ``path`` they stay where they are.

    See Also
    --------
    disable_compilation_cache : Keep no programs on disk.

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

    with importing():
        import jax

    chosen = path
    if chosen is None:
        chosen = getattr(jax.config, "jax_compilation_cache_dir", None) or _cache_folder(jax.__version__)
    folder = os.fsdecode(chosen).removeprefix("file://")
    if not folder:
        raise ValueError("The 'path' of the compilation cache must not be empty; None is the default folder.")
    is_url = "://" in folder
    if not is_url:
        folder = os.path.abspath(os.path.expanduser(folder))
        make_private(folder)
    _set(
        {
            "jax_compilation_cache_dir": folder,
            # JAX leaves out what compiles in less than a second, which is every program here.
            "jax_persistent_cache_min_compile_time_secs": 0.0,
            "jax_persistent_cache_min_entry_size_bytes": -1,
        }
    )
    if not is_url:
        store.use(folder)
    return folder


def disable_compilation_cache() -> None:
    """Keep no compiled programs on disk, and load none, from now on.

    It holds for this process and for those that it starts. JAX's persistent compilation cache is as it was before
    `enable_compilation_cache`; one that was switched on in another way stays. Files that are there stay, too. The
    environment variable ``SKBANDIT_COMPILATION_CACHE=0`` does without this call.

    See Also
    --------
    enable_compilation_cache : Choose the folder.

    Examples
    --------
    >>> import skbandit
    >>> skbandit.disable_compilation_cache()
    """
    store.use("")
    if _before:
        _set({name: setting for name, (setting, _) in _before.items()})
        for name, (_, variable) in _before.items():
            if variable is None:
                os.environ.pop(name.upper(), None)
            else:
                os.environ[name.upper()] = variable
        _before.clear()


def _set(settings: dict[str, Any]) -> None:
    """Give JAX these settings, and those processes that this one starts."""
    import jax

    moved = getattr(jax.config, "jax_compilation_cache_dir", None) != settings["jax_compilation_cache_dir"]
    for name, value in settings.items():
        _before.setdefault(name, (getattr(jax.config, name), os.environ.get(name.upper())))
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)
    if moved:
        # JAX looks once whether there is a cache, at its first compilation.
        from jax.experimental.compilation_cache import compilation_cache

        compilation_cache.reset_cache()


def _cache_folder(version: str) -> str:
    """Return the default folder: machine code is of use to one kind of processor, and a home may be shared by many."""
    processor = f"{platform.machine()} {platform.processor()}"
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        processor += next((line for line in cpuinfo if line.startswith(("flags", "Features"))), "")
    kind = hashlib.sha256(processor.encode()).hexdigest()[:8]
    return os.path.join(store.cache_home(), "skbandit", f"jax-{version}-{platform.machine()}-{kind}")
