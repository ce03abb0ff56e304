"""Trained networks of this process: a search over pruning parameters trains once per fold, without being asked to.

An entry is found by a digest of all that its training depends on, and holds what training returns: weights, losses and
scores, no rows. `skbandit.estimators._memory` does the same on disk, where the user names a folder.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from skbandit._core.switches import is_off
from skbandit._tabular.features.embeddings import parameter_arrays
from skbandit._tabular.types import Ending, Network, Rows, Trained

if TYPE_CHECKING:
    from skbandit._tabular.training.settings import TrainSettings

#: Environment variable, read at each fit: "0", or another word for off, switches the store off and empties it.
SWITCH = "SKBANDIT_SHARE_TRAINING"
#: Bytes of all that is kept; a network that would take more by itself is not kept. A search goes through all folds, and
#: through all parameters of training, before it comes back to the first: a bound on the number of networks, which are
#: small, would find nothing as soon as there is one more.
MOST_BYTES = 2**27
#: Bytes of an entry beside its arrays: those of an item of its lists of floats, and of all else.
_OF_ITEM, _OF_ENTRY = 32, 1024

#: Up to so many bytes are hashed in less than a millisecond, whatever the training takes.
_FEW_BYTES = 2**20
#: Beyond, hashing may take this share of the training.
_MOST_SHARE = 0.005
#: Bytes that are hashed in a second (measured: 1.35e9), operations of training (3 to 5e10 on two cores: two for each
#: weight and row forward, four backward), and what a step costs in any case.
_HASHED_PER_SECOND = 1e9
_OPERATIONS_PER_SECOND, _SECONDS_PER_STEP = 5e10, 1e-4
#: Where training ends when nothing improves any more, it is taken to last for so many times its patience.
_PATIENCES = 3
#: Bytes of an array without gaps that are copied at a time.
_CHUNK_BYTES = 2**20


class Store:
    """The networks trained last, by the digest of their training; used by many threads at once.

    Parameters
    ----------
    most_bytes : int
        What is kept at most. Those go first that have not been asked for the longest.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._kept: OrderedDict[bytes, Trained] = OrderedDict()
        self._n_bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, key: bytes) -> Trained | None:
        """Return a copy of what is kept: nothing that is done to it changes the store."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
        return copy.deepcopy(found)

    def keep(self, key: bytes, trained: Trained) -> None:
        """Keep a copy, without the optimizer's state, of a training that has come to its end."""
        if trained.status in (Ending.STOPPED, Ending.INTERRUPTED, Ending.NOT_FINITE):
            return
        size = _size(trained)
        if size > self.most_bytes:
            return
        trained = copy.deepcopy(trained._replace(opt_leaves=None))
        with self._lock:
            if key in self._kept:  # by another thread, meanwhile
                return
            self._kept[key] = trained
            self._n_bytes += size
            while self._n_bytes > self.most_bytes:
                _, oldest = self._kept.popitem(last=False)
                self._n_bytes -= _size(oldest)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._n_bytes = 0


STORE = Store()


def is_on() -> bool:
    """Say whether trainings are shared; where they are not, the store is emptied."""
    if not is_off(os.environ.get(SWITCH, "")):
        return True
    STORE.clear()
    return False


def digest(start: Network, rows: Rows, held_out: Rows | None, settings: TrainSettings, seed: int) -> bytes | None:
    """Return what tells a training from all others in this process; None for one that is not shared.

    That is one by an optimizer or a learning rate of the user's, which need not do the same twice; on several devices;
    or of so many rows, for so short a time, that hashing them would be felt.

    Parameters
    ----------
    start : Network
    rows : Rows
        To train on.
    held_out : Rows or None
    settings : TrainSettings
    seed : int
        Of the order of the rows, and of dropout.
    """
    import jax

    from skbandit._core.scope import n_devices

    # What training does not look at does not count.
    judges = held_out if settings.early_stopping else None
    if not settings.network.dropout:
        rows, judges = rows._replace(row_id=None), None if judges is None else judges._replace(row_id=None)
    if n_devices() > 1 or not is_worth_hashing(start, rows, judges, settings):
        return None
    # An estimator computes the same whatever JAX's settings, but for those that steer the compiler, which round.
    settings_of_jax = repr(sorted(jax.config.values.items(), key=lambda item: item[0]))
    made_by = settings_of_jax, jax.default_backend(), os.environ.get("XLA_FLAGS")
    hasher = hashlib.blake2b(digest_size=32)
    try:
        _feed(hasher, (made_by, settings, seed, start, judges, rows))
    except TypeError:
        return None
    return hasher.digest()


def is_worth_hashing(start: Network, rows: Rows, judges: Rows | None, settings: TrainSettings) -> bool:
    """Say whether hashing is cheap beside the training, by an estimate of both."""
    hashed = _bytes_of(start) + _bytes_of(rows) + _bytes_of(judges)
    if hashed <= _FEW_BYTES:
        return True
    n_rows, hyper = rows.X.shape[0], settings.hyper
    n_epochs = min(settings.max_iter, _PATIENCES * hyper.n_iter_no_change) if hyper.patience_on else settings.max_iter
    operations = 6.0 * n_rows * sum(W.size for W, *_ in start.layers)
    n_steps = -(-n_rows // settings.batch_size)
    training = n_epochs * (operations / _OPERATIONS_PER_SECOND + n_steps * _SECONDS_PER_STEP)
    return bool(hashed / _HASHED_PER_SECOND <= _MOST_SHARE * training)


def _size(trained: Trained) -> int:
    """Return about how many bytes an entry takes."""
    n_items = len(trained.loss_curve) + len(trained.validation_scores or ())
    return _bytes_of(trained.network) + _OF_ITEM * n_items + _OF_ENTRY


def _bytes_of(value: Network | Rows | None) -> int:
    if value is None:
        return 0
    if isinstance(value, Network):
        return sum(a.nbytes for a in (*(a for layer in value.layers for a in layer), *parameter_arrays(value.inputs)))
    X: Any = value.X
    n_bytes = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes if sparse.issparse(X) else X.nbytes
    return int(n_bytes + value.y.nbytes + value.weight.nbytes + (0 if value.row_id is None else value.row_id.nbytes))


def _feed(hasher: Any, value: Any) -> None:
    """Feed a value to a hash, by its type, its size and its parts: no two different ones feed the same bytes.

    Raises TypeError for what may change without a trace, a function or an object with a state.
    """
    name = type(value).__name__
    if value is None or isinstance(value, (bool, int, float, str, np.generic)):
        text = repr(value).encode()
        _head(hasher, name, len(text))
        hasher.update(text)
    elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
        _head(hasher, name, value.dtype.str, value.shape)
        _feed_array(hasher, value)
    elif sparse.issparse(value) and getattr(value, "format", None) == "csr":
        rows: Any = value
        _head(hasher, name, rows.shape)
        for part in (rows.data, rows.indices, rows.indptr):
            _feed(hasher, part)
    elif isinstance(value, (tuple, list)):
        _head(hasher, name, len(value))
        for item in value:
            _feed(hasher, item)
    elif isinstance(value, dict):
        _head(hasher, name, len(value))
        for item in value.items():
            _feed(hasher, item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        _head(hasher, name, len(fields))
        for field in fields:
            _feed(hasher, getattr(value, field.name))
    else:
        raise TypeError(f"A {name} has no digest.")


def _head(hasher: Any, *parts: Any) -> None:
    hasher.update(repr(parts).encode() + b"\n")


def _feed_array(hasher: Any, array: np.ndarray) -> None:
    """Feed the entries in the order of the axes, without a copy of the whole."""
    if array.flags.c_contiguous:
        hasher.update(array.reshape(-1).view(np.uint8))
    elif array.ndim < 2 or array.nbytes <= _CHUNK_BYTES:
        hasher.update(array.tobytes())
    else:
        step = max(_CHUNK_BYTES * len(array) // array.nbytes, 1)
        for at in range(0, len(array), step):
            hasher.update(array[at : at + step].tobytes())
