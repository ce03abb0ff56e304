"""A folder in which only this user, and root, can place files: what lies in it is executed."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

#: Who else may write: the group, and everyone.
OTHERS = stat.S_IWGRP | stat.S_IWOTH
#: As many links Linux follows on one way; a link may be passed more than once.
_MOST_LINKS = 40


def make_private(folder: str) -> None:
    """Make a folder that only this user writes to, or make sure that it is one.

    Every folder from it up to the root must belong to this user or to root. Others may write to none of them, unless
    its sticky bit keeps them from renaming what is not theirs; to the folder itself they may not write at all. A group
    counts as others, the user's own as well. What lies in the folder must be regular files that others cannot have
    written, in folders of which the same holds. Where there are no such permissions (Windows), the folder is only made.

    Raises
    ------
    PermissionError
        Names what is not so.
    OSError
        If the folder cannot be made or written to.
    """
    if hasattr(os, "geteuid"):
        found = make_closed(folder)
        # Under some umasks the group may write to JAX's files. They do no harm where it cannot get at them.
        _check_content(folder, Path(folder), OTHERS if found.st_mode & stat.S_IXGRP else stat.S_IWOTH)
    else:
        os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):  # raises where nothing can be written
        pass


def make_closed(folder: str) -> os.stat_result:
    """Make a folder that only this user writes to, or make sure that it is one; return what it is.

    It need not be one that can be written to, and what lies in it is not looked at.

    Raises
    ------
    PermissionError
        Names what is not so.
    OSError
        If the folder cannot be made.
    ValueError
        If it cannot be the name of a folder.
    """
    for path, found in _way_to(folder):  # before anything is made there
        _check_on_the_way(folder, path, found)
    _make(os.path.realpath(folder))
    for path, found in _way_to(folder):
        _check_on_the_way(folder, path, found)
    found = os.stat(folder)
    _check_closed(folder, Path(folder), found)
    return found


def _make(folder: str) -> None:
    """Make a folder, and those above it, for this user alone: who may rename them may put others in their place."""
    if not os.path.isdir(folder):
        _make(os.path.dirname(folder))
        try:
            os.mkdir(folder, 0o700)
        except FileExistsError:  # made by another process by now, or no folder
            if not os.path.isdir(folder):
                raise


def _way_to(folder: str) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield what there is on the way from the root to the folder: folders, and links, whose ends are followed."""
    whole = Path(folder)
    for _ in range(_MOST_LINKS + 1):
        for i, path in enumerate([*reversed(whole.parents), whole]):
            try:
                found = os.lstat(path)
            except FileNotFoundError:
                return
            yield path, found
            if stat.S_ISLNK(found.st_mode):
                whole = path.parent.joinpath(os.readlink(path), *whole.parts[i + 1 :])
                break
        else:
            return
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), folder)


def _check_on_the_way(folder: str, path: Path, found: os.stat_result) -> None:
    _check_owner(folder, path, found)
    if stat.S_ISDIR(found.st_mode) and found.st_mode & OTHERS and not found.st_mode & stat.S_ISVTX:
        _refuse(folder, path, f"may be written to by others (mode {_mode(found)})", f"chmod go-w {str(path)!r}")


def _check_closed(folder: str, path: Path, found: os.stat_result, others: int = OTHERS) -> None:
    if found.st_mode & others:
        _refuse(folder, path, f"may be written to by others (mode {_mode(found)})", f"chmod go-w {str(path)!r}")


def _check_content(folder: str, within: Path, others: int) -> None:
    """Check what lies in a folder, and in those below it."""
    with os.scandir(within) as entries:
        for entry in entries:
            path = Path(entry.path)
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # another process may evict what it keeps
                continue
            _check_owner(folder, path, found)
            if stat.S_ISDIR(found.st_mode):
                _check_closed(folder, path, found, others)
                _check_content(folder, path, others)
            elif not stat.S_ISREG(found.st_mode):
                _refuse(folder, path, "is no regular file", "delete it")
            elif found.st_mode & others:
                _refuse(folder, path, f"may be written to by others (mode {_mode(found)})", "delete it")


def _check_owner(folder: str, path: Path, found: os.stat_result) -> None:
    if found.st_uid not in (0, os.geteuid()):  # what belongs to root is no one else's to plant
        _refuse(folder, path, f"belongs to another user (uid {found.st_uid})", "change its owner")


def _refuse(folder: str, path: Path, reason: str, remedy: str) -> None:
    what = "it" if str(path) == folder else repr(str(path))
    raise PermissionError(
        f"The compilation cache {folder!r} must belong to this user, and no one else may write to it or rename what "
        f"is on the way to it: programs that lie there are executed. But {what} {reason}. Give another 'path', or "
        f"{remedy}."
    )


def _mode(found: os.stat_result) -> str:
    return f"{stat.S_IMODE(found.st_mode):#o}"
