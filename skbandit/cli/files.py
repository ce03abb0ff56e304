"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import uuid
from pathlib import Path

#: Why a file may be written to, but not replaced: its folder, a mount, an owner or a group that are not ours to give.
_NOT_REPLACED = {
    *(errno.EACCES, errno.EBUSY, errno.EINVAL, errno.ENAMETOOLONG, errno.ENOSYS),
    *(errno.EOPNOTSUPP, errno.EPERM, errno.EROFS, errno.EXDEV),
}


def write_whole(path: Path, content: bytes) -> None:
    """Write a file; if that fails, what was there before still is.

    The content is written beside the file, and takes its place when it is on the disk. A file that is there keeps its
    owner and its permissions; a symbolic link goes on to point to it. What is no file (a pipe, a device) is written to
    as it is, and so is the file that standard output goes to.

    A file that may be written to, but not replaced by one like it, is written in place: one that is mounted, is in a
    folder where nothing can be placed, or belongs to another user or group. If that fails, what was there is lost.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    target, before = _place(path)
    if target is None:
        path.write_bytes(content)
        return
    if before is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    try:
        _replace(target, before, content)
    except OSError as error:
        if before is None or error.errno not in _NOT_REPLACED:
            raise
        _write_in_place(target, content)


def can_be_written(path: Path) -> bool:
    """Whether `write_whole` may write there, as far as permissions tell."""
    target, before = _place(path)
    if target is None:
        return os.access(path, os.W_OK)
    return os.access(os.path.dirname(target) if before is None else target, os.W_OK)


def _replace(target: str, before: os.stat_result | None, content: bytes) -> None:
    folder = os.path.dirname(target)
    beside = os.path.join(folder, f".{uuid.uuid4().hex}.tmp")  # short: the name may be as long as names can be
    try:
        with open(beside, "xb") as file:
            if before is not None:  # before there is anything to read
                _make_alike(beside, target, before)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    _keep_the_name(folder)


def _make_alike(beside: str, target: str, before: os.stat_result) -> None:
    """Give a new file the owner, the group and the permissions (lists of them, too) of the one that it replaces."""
    made = os.stat(beside)
    if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
        os.chown(beside, before.st_uid, before.st_gid)
    shutil.copystat(target, beside)


def _write_in_place(target: str, content: bytes) -> None:
    # Where all may place files, Linux refuses to open what is another user's if that might make it.
    with open(target, "wb", opener=lambda name, flags: os.open(name, flags & ~os.O_CREAT)) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _place(path: Path) -> tuple[str | None, os.stat_result | None]:
    """Return the name that a file beside it may take, or None if it must be written as it is; and what is there."""
    try:
        before = os.stat(path)
    except FileNotFoundError:
        return os.path.realpath(path), None
    return (os.path.realpath(path) if _can_be_replaced(path, before) else None), before


def _can_be_replaced(path: Path, found: os.stat_result) -> bool:
    """Whether a regular file is at the end of all links, and no standard stream writes to it."""
    if not stat.S_ISREG(found.st_mode):
        return False
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(stream), found):
                return False
    target = os.path.realpath(path)  # below /proc, a link may lead to a file that has no name any more
    return os.path.exists(target) and os.path.samestat(os.stat(target), found)


def _keep_the_name(folder: str) -> None:
    """Have the new name survive a crash of the machine, where folders can be synchronized."""
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
