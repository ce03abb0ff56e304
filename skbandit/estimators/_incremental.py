"""What later calls of `partial_fit`, and a warm `fit`, learn of the columns and the target beside the weights.

Two things happen with what the first rows lacked:

* Until `FEW_ROWS` rows have come by `partial_fit`, nothing can be said of scales, and hardly anything was learned: each
  call makes the network anew, of all rows so far, and trains it on them.
* From then on the network stays what it is. Categories, missing values and numbers that begin to vary come in as they
  come; centres and scales are learned anew each time that the rows seen, by their weight, have grown by half, from a
  sample of those before and the rows of the call. The network is written anew so that it computes the same
  (`skbandit._tabular.reparametrization`).

A warm fit has no sample of the rows before. There, centres and scales are those of the new rows if these weigh as much
as all before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse

from skbandit._tabular.features.encoder import FeatureEncoder
from skbandit._tabular.features.sparse_rows import dense
from skbandit._tabular.model import Architecture
from skbandit._tabular.reparametrization import Reparametrization
from skbandit.estimators._architecture import architecture_of, architecture_on
from skbandit.estimators._rows import CheckedRows, Columns, Resumed

if TYPE_CHECKING:
    from skbandit.estimators._targets import Target

Parameters = Mapping[str, Any]

#: Rows that a network is made of at least: the quartiles of so many are good to a quarter of their distance.
FEW_ROWS = 32
#: Centres and scales are learned anew where the rows seen are so many times those that they were learned from.
GROWTH = 1.5
#: Rows of the sample, and values in it at most (16 MB of float64).
SAMPLE_ROWS, SAMPLE_VALUES = 256, 2**21
#: Rows that tell what became of a scale.
LINE_ROWS = 1024


@dataclasses.dataclass(frozen=True, eq=False)
class RowsSeen:
    """The rows that a network was trained on, over all calls; made by `of`.

    Parameters
    ----------
    n : int
        Rows of positive weight.
    weight : float
        Their summed weight.
    weight_then : float
        What it was when centres and scales were learned.
    lone : f[n_features] or None
        The value of each column of numbers that has had only one; NaN for others, and for one without any. None where
        nothing is learned of columns.
    few : CheckedRows or None
        The rows themselves, as long as they are few and come by `partial_fit`.
    sample : CheckedRows or None
        Some of the rows that have come by `partial_fit`; its weights sum to theirs.
    """

    n: int
    weight: float
    weight_then: float
    lone: np.ndarray | None = None
    few: CheckedRows | None = None
    sample: CheckedRows | None = None

    @classmethod
    def of(cls, rows: CheckedRows, encoder: FeatureEncoder | None, *, incremental: bool) -> RowsSeen:
        """Return the record of the rows that a network is made of."""
        rows = rows.present()
        n, weight = len(rows.weight), float(rows.weight.sum())
        lone = None if encoder is None else _lone_values(rows.X, encoder)
        few = rows if incremental and n < FEW_ROWS else None
        sample = sampled(rows, n) if incremental and encoder is not None and few is None else None
        return cls(n, weight, weight, lone, few, sample)

    def and_then(
        self, rows: CheckedRows, encoder: FeatureEncoder | None, *, incremental: bool, learned: bool
    ) -> RowsSeen:
        """Return the record after another call; ``learned`` says whether centres and scales are those of all rows."""
        rows = rows.present()
        n, weight = self.n + len(rows.weight), self.weight + float(rows.weight.sum())
        lone = self.lone
        if encoder is not None and lone is not None:
            of_rows = _lone_values(rows.X, encoder)
            lone = np.where(_unscaled(encoder), np.where(np.isnan(lone), of_rows, lone), np.nan)
        sample = None
        if incremental and encoder is not None:
            sample = sampled(rows if self.sample is None else CheckedRows.concatenated(self.sample, rows), n)
        return RowsSeen(n, weight, weight if learned else self.weight_then, lone, None, sample)


class Learned(NamedTuple):
    """What was learned of the columns."""

    architecture: Architecture
    seen: RowsSeen
    rows: CheckedRows
    """To train on."""
    resumed: Resumed | None = None
    """What the network was trained for, where training goes on with it."""
    anew: bool = False
    """Whether a new network is to take the place of one that has seen few rows."""


def learn(
    rows: CheckedRows, params: Parameters, columns: Columns, target: Target, *, incremental: bool, anew: bool = False
) -> Learned:
    """Learn what the rows of a first call show of the columns.

    Parameters
    ----------
    rows : CheckedRows
    params : mapping
        Parameters of the estimator.
    columns : Columns
    target : Target
    incremental : bool
        Whether the call is one of `partial_fit`.
    anew : bool
        Whether there were others, of few rows.
    """
    made_of = params, rows.X, rows.weight, columns.categories, target.n_outputs, target.loss
    architecture = architecture_of(*made_of)
    return Learned(architecture, RowsSeen.of(rows, architecture.encoder, incremental=incremental), rows, None, anew)


def learn_on(
    architecture: Architecture,
    seen: RowsSeen,
    rows: CheckedRows,
    params: Parameters,
    columns: Sequence[Columns],
    targets: Sequence[Target],
    *,
    incremental: bool,
) -> Learned:
    """Learn what the rows of a later call show of the columns.

    Parameters
    ----------
    architecture : Architecture
    seen : RowsSeen
        Of the calls before.
    rows : CheckedRows
        Of this one.
    params : mapping
        Parameters of the estimator.
    columns, targets : pair of Columns, pair of Target
        Before the call, and with what its rows show.
    incremental : bool
        Whether the call is one of `partial_fit`.
    """
    if incremental and seen.few is not None:
        rows = CheckedRows.concatenated(seen.few, rows)
        return learn(rows, params, columns[1], targets[1], incremental=True, anew=True)
    encoder, there, new, change = architecture.encoder, rows.present(), architecture, None
    weight = there.weight.sum()
    grown = bool(seen.weight + weight >= GROWTH * seen.weight_then if incremental else weight >= seen.weight)
    if encoder is None or weight == 0:
        grown = False
    elif grown or columns[0].n_known != columns[1].n_known or _brings_news(encoder, seen.lone, there.X):
        at_hand = _at_hand(seen, there)
        new = architecture_on(architecture, at_hand.X, at_hand.weight, params, columns[1].categories, rescale=grown)
        if new is not architecture:
            some = sampled(at_hand, seen.n, LINE_ROWS)
            lone = seen.lone if seen.n < FEW_ROWS else None
            change = Reparametrization.of(architecture, new, dense(some.X), some.weight, lone)
    seen = seen.and_then(rows, new.encoder, incremental=incremental, learned=grown)
    return Learned(new, seen, rows, Resumed(change, targets[0]))


def check_incremental(params: Parameters) -> None:
    """Raise ValueError for parameters that `partial_fit` cannot do with."""
    if params["solver"] == "lbfgs":
        raise ValueError("partial_fit needs a mini-batch solver. Got solver='lbfgs'.")
    if isinstance(params["learning_rate"], str) and params["learning_rate"] == "adaptive":
        raise ValueError("partial_fit does not support learning_rate='adaptive': it never sees training converge.")


def sampled(rows: CheckedRows, seed: int, n_most: int = SAMPLE_ROWS) -> CheckedRows:
    """Return some of the rows, drawn by their weights; the same total weight, and the same rows for the same seed."""
    n_most = max(min(n_most, SAMPLE_VALUES // max(rows.X.shape[1], 1)), FEW_ROWS)
    n, total = len(rows.weight), rows.weight.sum()
    if n <= n_most:
        return rows
    n_positive = int(np.count_nonzero(rows.weight))
    chosen = np.random.RandomState(seed % 2**32).choice(
        n, min(n_most, n_positive), replace=False, p=rows.weight / total
    )
    return CheckedRows(rows.X[chosen], rows.y[chosen], np.full(chosen.size, total / chosen.size))


def _at_hand(seen: RowsSeen, rows: CheckedRows) -> CheckedRows:
    """Return the rows of a call and, for those before, their sample, or at least the lone values of columns."""
    if seen.sample is not None:
        return CheckedRows.concatenated(seen.sample, rows)
    assert seen.lone is not None
    first = dense(rows.X[:1]).astype(np.float64)
    first[0] = np.where(np.isnan(seen.lone), first[0], seen.lone)
    return CheckedRows.concatenated(CheckedRows(first, rows.y[:1], rows.weight[:1]), rows)


def _brings_news(encoder: FeatureEncoder, lone: np.ndarray | None, X: Any) -> bool:
    """Say whether rows show something of a column that the encoder has no place for."""
    n_features = encoder.n_features
    missing = _any_missing(X)
    numbers = np.zeros(n_features, bool)
    numbers[encoder.columns[: encoder.n_numbers]] = True
    flagged = np.zeros(n_features, bool)
    flagged[encoder.indicators] = True
    flagged[encoder.one_hot[encoder.one_hot_missing | (encoder.one_hot_sizes == 1)]] = True
    flagged[encoder.codes] = True
    flagged[encoder.columns[encoder.n_numbers :]] = True  # two categories: missing is a value between them
    unscaled = _unscaled(encoder)
    assert lone is not None
    flagged |= unscaled & np.isnan(lone)  # no value yet: all are missing
    flagged |= numbers & np.isin(np.arange(n_features), encoder.columns[np.isnan(encoder.fill)])  # never missing
    if (missing & ~flagged).any():
        return True
    at = np.flatnonzero(unscaled)
    values = dense(X[:, at])
    return bool((~np.isnan(values) & ~(values == lone[at])).any())


def _unscaled(encoder: FeatureEncoder) -> np.ndarray:
    """Say which columns are numbers that have not varied, bool[n_features]."""
    unscaled = np.zeros(encoder.n_features, bool)
    numbers = slice(0, encoder.n_numbers)
    unscaled[encoder.columns[numbers][encoder.scale[numbers] == 0]] = True
    return unscaled


def _lone_values(X: Any, encoder: FeatureEncoder) -> np.ndarray:
    """Return a value of each column of numbers that has not varied, f[n_features]; NaN for others."""
    lone = np.full(encoder.n_features, np.nan)
    at = np.flatnonzero(_unscaled(encoder))
    if at.size and X.shape[0]:
        lone[at] = np.fmax.reduce(dense(X[:, at]), axis=0)
    return lone


def _any_missing(X: Any) -> np.ndarray:
    """Say which columns have missing values, bool[n_features]."""
    if sparse.issparse(X):
        missing = np.zeros(X.shape[1], bool)
        missing[X.indices[np.isnan(X.data)]] = True
        return missing
    found: np.ndarray = np.isnan(X).any(axis=0)
    return found
