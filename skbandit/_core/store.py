"""Compiled programs on disk, each in a file that is found by its key: where they lie, and which files are trusted.

A program that is found is executed. So only this user, and root, may have written the folder and the file
(`skbandit._core.private`), and the file must hold the whole key and a checksum of all that it holds. Whatever is not
so, and whatever the system refuses, means that there is no program: nothing here raises or warns.

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
import time
import zlib

from skbandit._core.private import OTHERS, is_private

#: What it may hold: a folder, or one of the words below.
VARIABLE = "SKBANDIT_COMPILATION_CACHE"
_OFF = {"0", "false", "no", "off"}
_DEFAULT = {"", "1", "true", "yes", "on"}
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
    chosen = _chosen
    if chosen is None:
        said = os.environ.get(VARIABLE, "")
        chosen = "" if said.lower() in _OFF else said if said.lower() not in _DEFAULT else None
    if chosen is None:
        base = cache_home()
        # A home that is not there is none of a user's: it is not made.
        folder = os.path.join(base, "skbandit", "programs") if os.path.isdir(os.path.dirname(base)) else ""
    else:
        folder = os.path.join(os.path.expanduser(chosen), SUBFOLDER) if chosen else ""
    return folder if os.path.isabs(folder) and is_private(folder) else None


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
            content = file.read()
        start = len(_MAGIC) + hashlib.sha256().digest_size
        checksum, body = content[len(_MAGIC) : start], content[start:]
        end = _LENGTH + int.from_bytes(body[:_LENGTH], "little")
        intact = content.startswith(_MAGIC) and hashlib.sha256(body).digest() == checksum
        if not intact or body[_LENGTH:end] != told:
            return None
        program = zlib.decompress(body[end:])
    except (OSError, ValueError, zlib.error):
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
