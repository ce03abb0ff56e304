"""Compiled programs on disk, each in a file that is found by its key: where they lie, and which files are trusted.

A program that is found is executed. So only this user, and root, may have written the folder and the file
(`skbandit._core.private`), and the file must hold the whole key and a checksum of all that it holds. Whatever is not
so, and whatever the system refuses, means that there is no program: nothing here raises. What is said is that a folder
that somebody has named cannot be used, once.

Files are written beside their place and renamed, so that processes may share a folder without locks. The bound on the
size is kept when a file is written: those that were used longest ago are removed.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import stat
import sys
import tempfile
import threading
import time
import warnings
import zlib

from skbandit._core.private import OTHERS, make_closed
from skbandit._core.switches import is_off, is_on

#: What it may hold: a folder, or a word that switches the store on or off.
VARIABLE = "SKBANDIT_COMPILATION_CACHE"
#: Of the folder that a user gives, which JAX's own cache lies in as well.
SUBFOLDER = "skbandit-programs"

#: Bytes that the files of a folder may take. A program takes 50 to 500 kB: it is room for some thousands.
MOST_BYTES = 2**29
#: Removed are files until so many bytes are left, so that not every new one is followed by a removal.
_KEPT_BYTES = MOST_BYTES * 3 // 4
#: Seconds after which a use of a file is noted again.
_NOTED = 24 * 3600.0
#: Seconds after which a draft was left by a process that has been killed.
_ABANDONED = 3600.0
_DRAFT = "draft-"
_MAGIC = b"skbandit program 1\n"
_LENGTH = 8  # bytes of the number of bytes of the key

#: The folder that was chosen in this process; None where none was, "" where the store is off.
_chosen: str | None = None
_warning = threading.Lock()
#: Whether this process has said that a folder cannot be used.
_has_warned = False


def use(folder: str) -> None:
    """Keep programs in this folder from now on, in this process and in those that it starts; "" is none."""
    global _chosen
    _chosen = folder
    os.environ[VARIABLE] = folder or "0"
    where.cache_clear()


@functools.cache
def where() -> str | None:
    """Return the folder of the programs; None where there is none. It is looked for once."""
    if not sys.platform.startswith("linux"):
        # Elsewhere nothing tells whose the folder is (Windows), or what the processor can do (macOS).
        return None
    named = _named() if _chosen is None else _chosen
    if named == "":
        return None
    folder = _default_folder() if named is None else os.path.join(named, SUBFOLDER)
    if folder is None:
        return None
    try:
        folder = os.path.abspath(folder)
        make_closed(folder)
    except (OSError, ValueError) as error:  # a working directory that is gone; a null character
        if named is not None:
            _warn(folder, error)
        return None
    return folder


def _named() -> str | None:
    """Return the folder that the environment names; None where it names none, "" where it switches the store off."""
    said = os.environ.get(VARIABLE, "").strip()
    if is_off(said):
        return ""
    # What starts a process without a shell (a service, a container) passes "~" and "$HOME" on as they are.
    return None if not said or is_on(said) else os.path.expanduser(os.path.expandvars(said))


def _default_folder() -> str | None:
    """Return the folder where nobody names one; None for a home that is not there: it is none of a user's."""
    base = cache_home()
    found = os.path.isabs(base) and os.path.isdir(os.path.dirname(base))
    return os.path.join(base, "skbandit", "programs") if found else None


def _warn(folder: str, error: Exception) -> None:
    """Say once in the process that a folder cannot be used, which somebody has named."""
    global _has_warned
    with _warning:
        before, _has_warned = _has_warned, True
    if not before:
        message = (
            f"Compiled programs are neither kept nor loaded: the folder {folder!r}, which {VARIABLE} or "
            f"skbandit.enable_compilation_cache has named, cannot be used. {error}"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=2)


def cache_home() -> str:
    """Return the user's folder of caches."""
    home = os.path.expanduser("~")
    by_system = {
        "win32": os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local"),
        "darwin": os.path.join(home, "Library", "Caches"),
    }
    return by_system.get(sys.platform) or os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")


def load(folder: str, name: str, key: str) -> bytes | None:
    """Return what is kept under a key; None where there is nothing that can be trusted to be it."""
    path, told = _path(folder, name, key), key.encode()
    try:
        # No link is followed, and no pipe is waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_mode & OTHERS or found.st_uid not in (0, os.geteuid()):
                return None
            if found.st_size > MOST_BYTES:
                return None
            content = file.read()
        start = len(_MAGIC) + hashlib.sha256().digest_size
        checksum, body = content[len(_MAGIC) : start], content[start:]
        end = _LENGTH + int.from_bytes(body[:_LENGTH], "little")
        intact = content.startswith(_MAGIC) and hashlib.sha256(body).digest() == checksum
        if not intact or body[_LENGTH:end] != told:
            return None
        program = zlib.decompress(body[end:])
    except (OSError, ValueError, MemoryError, zlib.error):
        return None
    if time.time() - found.st_mtime > _NOTED:
        with contextlib.suppress(OSError):
            os.utime(path)
    return program


def keep(folder: str, name: str, key: str, program: bytes) -> None:
    """Keep a program under a key, if there is a way to."""
    told = key.encode()
    # Machine code: the first level takes a tenth of the time of the default one, for files that are a tenth larger.
    body = len(told).to_bytes(_LENGTH, "little") + told + zlib.compress(program, 1)
    with contextlib.suppress(OSError):
        descriptor, draft = tempfile.mkstemp(prefix=_DRAFT, dir=folder)  # for this user alone
        try:
            with open(descriptor, "wb") as file:
                file.write(_MAGIC + hashlib.sha256(body).digest() + body)
            os.replace(draft, _path(folder, name, key))
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft)
            raise
        _keep_small(folder)


def remove(folder: str, name: str, key: str) -> None:
    """Remove what is kept under a key."""
    with contextlib.suppress(OSError):
        os.unlink(_path(folder, name, key))


def _path(folder: str, name: str, key: str) -> str:
    """Return the path of a file: the name is for people, the digest for finding it."""
    readable = re.sub(r"\W+", "_", name, flags=re.ASCII)[-60:]
    return os.path.join(folder, f"{readable}-{hashlib.sha256(key.encode()).hexdigest()}")


def _keep_small(folder: str) -> None:
    """Remove drafts that nobody will finish, and the files used longest ago where there are too many bytes."""
    files, now = [], time.time()
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # another process may have removed it
                found = entry.stat(follow_symlinks=False)
                if not entry.name.startswith(_DRAFT):
                    files.append((found.st_mtime, found.st_size, entry.path))
                elif now - found.st_mtime > _ABANDONED:
                    os.unlink(entry.path)
    total = sum(size for _, size, _ in files)
    if total <= MOST_BYTES:
        return
    for _, size, path in sorted(files):
        if total <= _KEPT_BYTES:
            break
        with contextlib.suppress(OSError):
            os.unlink(path)
        total -= size
