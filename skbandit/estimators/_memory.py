"""`memory=`: trained networks on disk, kept by joblib. The cache may fail; the fit may not.

An entry is a pickled `Trained` under a seal: a digest of the pickle and of the task that it answers. So whatever
becomes of a file, it is read as it was written, or not at all.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import joblib
from sklearn.utils.validation import check_memory

from skbandit._tabular.types import Ending, Trained
from skbandit.estimators._notes import Note, Notes

#: What a network depends on beside its task.
_MADE_BY = ("skbandit", "jax", "jaxlib", "optax", "numpy")
_REFUSED = "'memory' holds an entry that is damaged, or not of this network: it is trained anew, and replaced."


class Unfinished(Exception):  # noqa: N818  # no error: the way out of joblib for what it must not keep
    """A training that was interrupted or stopped: another fit shall train to the end."""


class Training:
    """A training, and what came of it, whatever becomes of its result on the way through joblib."""

    def __init__(self, train: Callable[[], Trained]) -> None:
        self.train = train
        self.result: Trained | None = None
        self.error: BaseException | None = None

    def __call__(self) -> Trained:
        """Train."""
        try:
            self.result = self.train()
        except BaseException as error:
            self.error = error
            raise
        return self.result


def remembered(memory: Any, task: tuple[Any, ...], train: Callable[[], Trained], notes: Notes) -> Trained:
    """Return what ``train()`` returns now, or returned at an earlier call with an equal task.

    Parameters
    ----------
    memory : path or joblib.Memory
        What is a pickle there is executed.
    task : tuple
        All that the result depends on.
    train : callable () → Trained
        Called once at most.
    notes : Notes
        Told where an entry is refused or the cache cannot be used. Of what joblib finds by itself, joblib warns.
    """
    training = Training(train)
    try:
        cached = _as_memory(memory).cache(sealed_network, ignore=["training"])
        key = str(joblib.hash((_versions(), task), coerce_mmap=True))
        entry = _call(cached, key, training)
        if training.result is None:
            kept = _opened(key, entry)
            if kept is not None:
                return kept
            notes.add(Note(_REFUSED))
            cached.call_and_shelve(key, training=training).clear()
            if training.result is None:
                cached(key, training=training)
    except Unfinished:
        pass
    except Exception as error:
        if training.error is not None:
            raise
        notes.add(Note(f"'memory' cannot keep this network, and the fit goes on without it: {error!r}"))
    return training() if training.result is None else training.result


def sealed_network(key: str, training: Training) -> bytes:
    """Train, and return the entry: what joblib keeps.

    Parameters
    ----------
    key : str
        Digest of the task.
    training : Training
    """
    trained = training()
    if trained.status in (Ending.INTERRUPTED, Ending.STOPPED):
        raise Unfinished
    pickled = pickle.dumps(trained)
    return _seal(key, pickled) + pickled


def _opened(key: str, entry: Any) -> Trained | None:
    """Return the network of an entry; None if it is not the one that was sealed under the key."""
    n = hashlib.sha256().digest_size
    if not isinstance(entry, bytes) or entry[:n] != _seal(key, entry[n:]):
        return None
    try:
        trained = pickle.loads(entry[n:])
    except Exception:  # written by a version whose classes were elsewhere, or others
        return None
    return trained if isinstance(trained, Trained) else None


def _seal(key: str, pickled: bytes) -> bytes:
    return hashlib.sha256(key.encode() + pickled).digest()


def _as_memory(memory: Any) -> Any:
    """Return the `joblib.Memory` of a path; whatever else has its methods is taken as it is."""
    is_path = isinstance(memory, (str, os.PathLike))
    return check_memory(os.path.expanduser(os.fsdecode(memory)) if is_path else memory)


def _call(cached: Any, key: str, training: Training) -> Any:
    """Call the cached function; where joblib cannot read what it keeps of the function's source, clear all of it."""
    try:
        return cached(key, training=training)
    except ValueError:
        if training.result is not None or training.error is not None:
            raise
        cached.clear(warn=False)
        return cached(key, training=training)


@functools.cache
def _versions() -> tuple[str | None, ...]:
    """Return the versions of what makes networks: they may differ between two versions."""
    found: list[str | None] = []
    for name in _MADE_BY:
        try:
            found.append(version(name))
        except PackageNotFoundError:
            found.append(None)
    return tuple(found)
