"""The rows of a fit: how X is read, and how rows are weighted and split."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import check_array, check_X_y

from skbandit._core.addresses import saved
from skbandit._core.memory import require_memory
from skbandit._tabular.features.encoder import CHUNK_VALUES
from skbandit._tabular.features.reader import FeatureReader, check_eager, check_no_moments, complaint_on_text
from skbandit._tabular.features.sparse_rows import canonical, dense, stacked
from skbandit._tabular.types import Rows
from skbandit.estimators._given import complaint_on_complex, named, naming, without_mask
from skbandit.estimators._notes import Note, Notes

if TYPE_CHECKING:
    from skbandit._tabular.model import Architecture
    from skbandit._tabular.reparametrization import Reparametrization
    from skbandit.estimators._targets import Target

#: In place of a target: only X is checked. (None is a target that was left out, which is an error.)
NO_TARGET = object()

_NOTHING_HELD_OUT = (
    "No rows can be held out, because {why}. Training keeps the last epoch, and there are no validation scores."
)
_CONSTANT = "X is constant: all {n} training rows have the same features, so a constant is all that can be learned."


@saved
@dataclasses.dataclass(frozen=True, eq=False)
class Columns:
    """What the columns of X hold.

    Parameters
    ----------
    reader : FeatureReader or None
        From a table with categories to numbers and codes; None where X has no categories.
    allow_nan : bool
        Whether numbers may be missing.
    """

    reader: FeatureReader | None = None
    allow_nan: bool = False

    @classmethod
    def fit(cls, X: Any, params: Mapping[str, Any], sample_weight: Any = None) -> Columns:
        """Find the columns of categories and the values in them, with the parameters of an estimator.

        The weights are not checked yet: rows that have none are not there.
        """
        X, weight = without_mask(X), None
        with contextlib.suppress(Exception):
            weight = None if sample_weight is None else np.asarray(sample_weight)
        there = weight > 0 if weight is not None and weight.ndim == 1 and weight.dtype.kind in "biuf" else None
        reader = FeatureReader.fit(X, params["categorical_features"], params["categories"], there)
        return cls(None if reader.is_trivial else reader, params["preprocessing"] is not None)

    @property
    def n_known(self) -> tuple[int, ...] | None:
        """Number of known categories of each column: 0 also where all are missing; None where no column has any."""
        return None if self.reader is None else tuple(map(len, self.reader.values))

    @property
    def categories(self) -> tuple[int, ...]:
        """Number of categories of each column, 0 for numbers; empty where no column has any."""
        return () if self.reader is None else self.reader.categories

    def checked(self, X: Any, y: Any, validate: Callable[..., Any], owner: str, notes: Notes) -> Any:
        """Return X, and y where it is asked for, validated; categories become their codes.

        Parameters
        ----------
        X, y : array-like
        validate : callable
            scikit-learn's ``validate_data`` for the estimator.
        owner : str
            Name of the estimator, for messages.
        notes : Notes
            Where to put what the user is to be told.
        """
        X = without_mask(X)
        finite: Any = "allow-nan" if self.allow_nan else True
        kinds = {"dtype": (np.float64, np.float32), "accept_sparse": "csr", "ensure_all_finite": finite}
        if self.reader is None:
            check_eager(X, "X")
            check_no_moments(X)

            try:
                return validate(X, **kinds) if y is NO_TARGET else validate(X, y, multi_output=True, **kinds)
            except Exception as error:
                complaint = complaint_on_complex(X, "X") or _complaint_on_text(X)
                if complaint is None:
                    raise named(error, lambda: _culprit(X, kinds), ("X", "y")) from None
                raise ValueError(complaint) from None
        validate(X, skip_check_array=True)
        X, remarks = self.reader.read(X)
        notes.add(*map(Note, remarks))
        if not self.allow_nan:  # a missing category is no missing number
            check_array(X[:, np.asarray(self.reader.categories) == 0], ensure_min_features=0, input_name="X")
            kinds["ensure_all_finite"] = "allow-nan"
        if y is NO_TARGET:
            return check_array(X, estimator=owner, input_name="X", **kinds)
        return naming("y", lambda: check_X_y(X, y, estimator=owner, multi_output=True, **kinds))

    def extended(self, X: Any) -> Columns:
        """Return them with the categories that rows bring."""
        if self.reader is None:
            return self
        reader = self.reader.extended(without_mask(X))
        return self if reader is self.reader else dataclasses.replace(self, reader=reader)

    def of_rows(
        self, X: np.ndarray, weight: np.ndarray, known: tuple[int, ...] | None = None
    ) -> tuple[Columns, np.ndarray]:
        """Forget the categories that only rows of weight 0 have: those rows are not there.

        Parameters
        ----------
        X, weight : f[n, n_features], f[n]
        known : tuple of int, optional
            So many categories of each column stay, whatever the rows have.
        """
        if self.reader is None or weight.all():
            return self, X
        reader, X = self.reader.restricted(X, weight > 0, known)
        return dataclasses.replace(self, reader=reader), X

    def notes_on_categories(self, X: np.ndarray, weight: np.ndarray, n_before: int = 0) -> tuple[Note, ...]:
        """Return what the user is to be told about the categories of rows, X f[n, n_features], and of those before."""
        if self.reader is None:
            return ()
        return tuple(map(Note, self.reader.remarks_on_categories(X[weight > 0], n_before)))


def is_checked(X: Any, fitted: Mapping[str, Any]) -> bool:
    """Say whether X is such that scikit-learn's check of rows to predict has no complaint, and returns X itself.

    Of one row, that check takes several times as long as a network.

    Parameters
    ----------
    X : array-like
    fitted : mapping
        Attributes of the estimator.
    """
    if type(X) is not np.ndarray or not (X.dtype == np.float64 or X.dtype == np.float32):
        return False
    if X.ndim != 2 or X.shape[0] == 0 or X.shape[1] != fitted.get("n_features_in_") or "feature_names_in_" in fitted:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(X.sum()))  # else some value is not finite, or the sum


def _culprit(X: Any, kinds: Mapping[str, Any]) -> str:
    """Say whether an error is about X or y; if it is not about X alone, y has been read before."""
    try:
        check_array(X, **kinds)
    except Exception:
        return "X"
    return "X or y"


def _complaint_on_text(X: Any) -> str | None:
    """Say which column of X holds text, where X can be read at all."""
    try:
        return complaint_on_text(X)
    except Exception:
        return None


@saved
@dataclasses.dataclass(frozen=True, eq=False)
class CheckedRows:
    """Rows that scikit-learn has checked."""

    X: Any
    """f[n, n_features], dense or CSR"""
    y: np.ndarray
    """In the user's values: shape (n,) or (n, n_outputs)."""
    weight: np.ndarray
    """f[n], as the user gave them."""

    @classmethod
    def of_checked(cls, X: Any, y: Any, weight: np.ndarray, dtype: str) -> tuple[CheckedRows, tuple[Note, ...]]:
        """Make y dense, and one-dimensional if it is one column; returns the rows and what to tell the user."""
        with np.errstate(over="ignore"):
            total = weight.sum()
        if not np.isfinite(total):
            raise ValueError(f"'sample_weight' sums up to {total} in float64. Divide it by its largest value.")
        if sparse.issparse(X):
            require_memory(X.shape, X.shape[0], dtype)  # before anything is computed, and in the user's own shape
            X = canonical(X)  # in its own precision, as dense rows: columns are centred before they are rounded
        if sparse.issparse(y):  # a multi-label indicator
            y = y.toarray()
        if y.ndim != 2 or y.shape[1] != 1:
            return cls(X, y, weight), ()
        note = Note(
            "A column-vector y was passed when a 1d array was expected. Please change the shape of y to "
            "(n_samples,), for example using ravel().",
            DataConversionWarning,
        )
        return cls(X, y.ravel(), weight), (note,)

    @classmethod
    def concatenated(cls, first: CheckedRows, second: CheckedRows) -> CheckedRows:
        """Return the rows of both."""
        return cls(
            stacked([first.X, second.X]),
            np.concatenate([first.y, second.y]),
            np.concatenate([first.weight, second.weight]),
        )

    def present(self) -> CheckedRows:
        """Return the rows of positive weight; one of weight 0 is not there."""
        there = self.weight > 0
        return self if there.all() else CheckedRows(self.X[there], self.y[there], self.weight[there])


@dataclasses.dataclass(frozen=True, eq=False)
class Features:
    """What the network's inputs read of X: computed for the rows that are asked for, and not kept.

    Parameters
    ----------
    X : f[n, n_features], dense or CSR
    architecture : Architecture
    """

    X: Any
    architecture: Architecture

    def __getitem__(self, rows: np.ndarray) -> Any:
        """Return some rows, f[m, n_columns], dense or CSR, in the dtype of X."""
        return self.architecture.encode(self.X[rows])

    def laid_out(self, dtype: str, rows: np.ndarray | None = None) -> Any:
        """Return rows as training takes them: dense ones where the device can take them over, in its dtype.

        What stays as it is: rows that are sparse, and columns of X that are read as they are.

        Parameters
        ----------
        dtype : {"float32", "float64"}
        rows : i[m], optional
            Which ones, by position; by default all.
        """
        from skbandit._core.rows import room

        X, architecture = self.X, self.architecture
        if sparse.issparse(X):
            return architecture.encode(X if rows is None else X[rows])
        if rows is None and (architecture.encoder is None or architecture.encoder.is_identity):
            return X
        n = X.shape[0] if rows is None else rows.size
        out = room(n, architecture.inputs.n_columns, dtype)
        step = max(CHUNK_VALUES // max(X.shape[1], 1), 1)
        for start in range(0, n, step):
            at = slice(start, start + step)
            architecture.write(X[at if rows is None else rows[at]], out[at])
        return out


@dataclasses.dataclass(frozen=True, eq=False)
class Encoded:
    """Checked rows, and what networks read of them."""

    rows: CheckedRows
    architecture: Architecture
    """Of the networks."""
    row_id: np.ndarray | None
    """What random draws know the rows by, u32[n]; None where nothing is drawn by row."""

    @property
    def features(self) -> Features:
        """What the network's inputs read of X."""
        return Features(self.rows.X, self.architecture)


class Resumed(NamedTuple):
    """What the network that training goes on with knows of X and y, in comparison with what is known now."""

    columns: Reparametrization | None
    """From what it reads of X to what it is to read; None where that is the same."""
    target: Target
    """What it was trained for."""


@dataclasses.dataclass(frozen=True, eq=False)
class FitTask:
    """What networks are fitted to, and how."""

    params: Mapping[str, Any]
    """Parameters of the estimator by name."""
    target: Target
    criterion: Any
    train: Encoded
    held_out: Encoded | None
    """Held-out rows that the user gave."""
    resumed: Resumed | None = None
    """What a network that training goes on with was trained for."""


def held_out_are_given(X_val: Any, y_val: Any, sample_weight_val: Any) -> bool:
    """Say whether the user gives held-out rows; raises ValueError for half of them."""
    if (X_val is None) != (y_val is None) or (X_val is None and sample_weight_val is not None):
        raise ValueError("'X_val' and 'y_val' go together, and 'sample_weight_val' needs both.")
    return X_val is not None


class Split(NamedTuple):
    """The rows of a task, split into those that train and those that judge."""

    rows: Rows
    """To train on; targets encoded, weights with the classes'."""
    held_out: Rows | None
    """That judge; a row that is cut is among both."""
    held: np.ndarray | None
    """Which rows of the task are held out whole, bool[n]; None where none are held out of them."""
    all_cut: bool = False
    """Whether the rows that judge are those that train."""
    constant: bool = False
    """Whether all rows have the same features."""


def split_rows(task: FitTask, seed: int, start: float, notes: Notes) -> Split:
    """Hold out rows, where something needs them.

    Parameters
    ----------
    task : FitTask
    seed : int
        Of the order of the rows.
    start : float in [0, 1)
        Where in that order those that are held out begin.
    notes : Notes
        Where to put what the user is to be told.
    """
    from skbandit._tabular.features.splitting import held_out_rows

    params, target, train = task.params, task.target, task.train
    weight_of_classes = target.class_weighting(train.rows.y, train.rows.weight, params)

    def encoded(of: Encoded, name: str, chosen: np.ndarray | None = None, share: np.ndarray | None = None) -> Rows:
        """Return rows, by position, with a share of their weight."""
        y, weight, row_id = of.rows.y, of.rows.weight, of.row_id
        if chosen is not None:
            y, weight, row_id = y[chosen], weight[chosen], None if row_id is None else row_id[chosen]
        with np.errstate(over="ignore", under="ignore"):  # the check of the total speaks of it
            weight = weight * weight_of_classes(y) * (1.0 if share is None else share)
        check_total(weight, params["dtype"], name)
        return Rows(of.features.laid_out(params["dtype"], chosen), target.encode(y), weight, row_id)

    X, y, weight = train.rows.X, train.rows.y, train.rows.weight
    # A row of weight 0 is a row that is not there.
    there = weight > 0
    present = None if there.all() else np.flatnonzero(there)
    if task.held_out is not None:
        return Split(encoded(train, "training", present), encoded(task.held_out, "held-out"), None)
    early_stopping = params["early_stopping"] and params["solver"] != "lbfgs"
    if not early_stopping and params["pruning_ratio"] != "auto":
        return Split(encoded(train, "training", present), None, None)
    identity = target.identify(y)
    share = held_out_rows(
        X,
        weight,
        params["validation_fraction"],
        seed,
        target.strata(y),
        params["dtype"],
        start,
        identity,
        target.classifies,
    )
    n = int(np.count_nonzero(there))
    if not share.any():
        alike = _is_constant(X, there) and _is_constant(identity.reshape(len(y), -1), there)
        why = f"all {n} training rows are alike" if alike else "no class has two different rows"
        why = "there is one training row" if n == 1 else why
        notes.add(Note(_NOTHING_HELD_OUT.format(why=why)))
        return Split(encoded(train, "training", present), None, None)
    constant = _is_constant(X, there)
    if constant:
        notes.add(Note(_CONSTANT.format(n=n)))
    trains, judges = np.flatnonzero(there & (share < 1)), np.flatnonzero(share > 0)
    rows = encoded(train, "training", trains, 1 - share[trains])
    held_out = encoded(train, "held-out", judges, share[judges])
    return Split(rows, held_out, share == 1, trains.size == judges.size == n, constant)


def window_of(task: FitTask, held: np.ndarray | None) -> int | None:
    """Return a fingerprint of the rows of a task that are held out whole, bool[n]; None where nothing is held out."""
    if held is None:
        return None
    from skbandit._tabular.features.hashing import row_ranks

    rows, target = task.train.rows, task.target
    ranks = row_ranks(rows.X, 0, task.params["dtype"]) ^ row_ranks(target.identify(rows.y), 1)
    return int(np.sum(ranks[held], dtype=np.uint64))


def _is_constant(X: Any, there: np.ndarray) -> bool:
    """Say whether all rows of f[n, n_features], dense or CSR, of which some are there, bool[n], are the same."""
    n = X.shape[0]
    first = dense(X[[int(np.argmax(there))]])
    for start, stop in itertools.pairwise([0, min(8, n), *range(512, n, 512), n]):  # mostly, the first rows tell
        rows = dense(X[start:stop])[there[start:stop]]
        if not np.array_equal(rows, np.broadcast_to(first, rows.shape), equal_nan=True):
            return False
    return True


def row_ids(
    X: Any, y: np.ndarray, target: Target, params: Mapping[str, Any], criterion: Any = None
) -> np.ndarray | None:
    """Return what random draws know the rows by, u32[n]: a hash of their features and target.

    None if nothing is drawn by row, neither by dropout nor by the criterion.

    Rows of the same features need masks of their own, unless they are copies: in a table of few distinct rows, the
    noise of few masks would not average out.
    """
    from skbandit._tabular.features.hashing import row_ranks

    drops_out = params["dropout"] > 0 and params["solver"] != "lbfgs"
    if not drops_out and not getattr(criterion, "draws_by_row", False):
        return None
    ranks: np.ndarray = row_ranks(X, 0, params["dtype"]) ^ row_ranks(target.identify(y), 1)
    return ranks.astype(np.uint32)


def check_total(weight: np.ndarray, dtype: str, rows: str) -> None:
    """Raise ValueError where the weights, those of samples times those of classes, sum to zero or overflow."""
    with np.errstate(over="ignore", under="ignore"):
        held = weight.astype(dtype)
        total = held[held >= np.finfo(dtype).tiny].sum()  # to XLA, less than that is nothing
    if not 0 < total < np.inf:
        raise ValueError(
            f"The weights of the {rows} rows (sample_weight times class_weight) sum up to {total} in {dtype}: "
            f"at least one must be positive, and {dtype} must be able to hold the sum."
        )
