"""What later calls of `partial_fit`, and a warm `fit`, learn of the columns and the target beside the weights.

Two things happen with what the first rows lacked:

* Until `FEW_ROWS` rows have come by `partial_fit`, nothing can be said of scales, and hardly anything was learned: each
  call makes the network anew, of all rows so far, and trains it on them.
* From then on the network stays what it is. Categories, missing values and numbers that begin to vary come in as they
  come; centres and scales are learned anew each time that the rows seen, by their weight, have grown by half, from a
  sample of those before and the rows of the call. The network is written anew so that it computes the same
  (`skbandit._tabular.reparametrization`).

Of the rows of a fit no row is kept, but some quantiles of each column, which stand for them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse

from skbandit._core.addresses import saved
from skbandit._tabular.features.encoder import FeatureEncoder
from skbandit._tabular.features.sparse_rows import dense, stacked
from skbandit._tabular.model import Architecture
from skbandit._tabular.reparametrization import Reparametrization
from skbandit.estimators._architecture import architecture_of, architecture_on
from skbandit.estimators._rows import CheckedRows, Columns, Resumed, check_total

if TYPE_CHECKING:
    from skbandit.estimators._targets import Target

Parameters = Mapping[str, Any]

#: Rows that a network is made of at least: the quartiles of so many are good to a quarter of their distance.
FEW_ROWS = 32
#: Centres and scales are learned anew where the rows seen are so many times those that they were learned from.
GROWTH = 1.5
#: Columns by whose content rows are drawn, where a table has twice as many and more.
HASHED_COLUMNS = 512
#: Rows of a warm fit by whose centres and scales it goes: their median is good to .1 of the distance of the quartiles.
ENOUGH_ROWS = 100
#: Rows of the sample, and values in it at most (16 MB of float64), unless it has `FEW_ROWS`.
SAMPLE_ROWS, SAMPLE_VALUES = 256, 2**21
#: Rows that bins are learned from.
BIN_ROWS = 1024
#: Quantiles that stand for the rows of a fit: both ends, the quartiles, and one between each.
N_QUANTILES = 9
#: Values of rows that they are computed from.
QUANTILE_VALUES = 2**18


@saved
@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """Rows that stand for others.

    Parameters
    ----------
    X : f[n, n_features], dense or CSR
    weight : f[n]
        It sums to that of the rows that they stand for.
    """

    X: Any
    weight: np.ndarray

    def joined(self, other: Sample) -> Sample:
        """Return the rows of both."""
        return Sample(stacked([self.X, other.X]), np.concatenate([self.weight, other.weight]))

    def thinned(self, n_most: int, n_values: int, offset: float = 0.5) -> Sample:
        """Return fewer rows, drawn by their content, at equal steps of the cumulated weight; each has the same weight.

        By position, rows that come in a regular order would all be of one phase.

        Parameters
        ----------
        n_most, n_values : int
            Rows and values at most, but `FEW_ROWS` rows in any case.
        offset : float in [0, 1)
            Where in the first step to begin.
        """
        n = max(min(n_most, n_values // max(self.X.shape[1], 1)), FEW_ROWS)
        if len(self.weight) <= n:
            return self
        from skbandit._tabular.features.hashing import row_ranks

        some = self.X[:, :: max(self.X.shape[1] // HASHED_COLUMNS, 1)]
        order = np.argsort(row_ranks(some, 0), kind="stable")
        filled = np.cumsum(self.weight[order])
        chosen = np.searchsorted(filled, (np.arange(n) + offset) / n * filled[-1], side="right")
        return Sample(self.X[order[np.minimum(chosen, len(filled) - 1)]], np.full(n, filled[-1] / n))

    def quantiles(self) -> Sample:
        """Return rows that hold quantiles of each column by itself."""
        some = self.thinned(SAMPLE_ROWS, QUANTILE_VALUES)
        if np.ptp(some.weight) > 0:
            some = Sample(some.X[np.repeat(np.arange(len(some.weight)), 2)], np.repeat(some.weight / 2, 2))
            some = some.thinned(len(self.weight), QUANTILE_VALUES)
        values = np.sort(dense(some.X), axis=0)  # NaN stands last
        n_values = values.shape[0] - np.count_nonzero(np.isnan(values), axis=0)
        shares = np.linspace(0, 1, N_QUANTILES)[:, None]
        at = np.round(shares * np.maximum(n_values - 1, 0)).astype(np.intp)
        weight = np.full(N_QUANTILES, self.weight.sum() / N_QUANTILES)
        return Sample(np.take_along_axis(values, at, axis=0), weight)


@saved
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
    sample : Sample or None
        What stands for all rows; None where they are few, and where nothing is learned of columns.
    """

    n: int
    weight: float
    weight_then: float
    lone: np.ndarray | None = None
    few: CheckedRows | None = None
    sample: Sample | None = None

    @classmethod
    def of(cls, rows: CheckedRows, encoder: FeatureEncoder | None, *, incremental: bool) -> RowsSeen:
        """Return the record of the rows that a network is made of."""
        rows = rows.present()
        n, weight = len(rows.weight), float(rows.weight.sum())
        lone = None if encoder is None else _lone_values(rows.X, encoder)
        few = rows if incremental and n < FEW_ROWS else None
        sample = None if encoder is None or few is not None else _kept(Sample(rows.X, rows.weight), n, incremental)
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
        sample = None if encoder is None else _kept(self.past.joined(Sample(rows.X, rows.weight)), n, incremental)
        return RowsSeen(n, weight, weight if learned else self.weight_then, lone, None, sample)

    def settled(self) -> RowsSeen:
        """Return the record of a network that is not to be made anew: nothing but a sample is kept of few rows."""
        return self if self.few is None else dataclasses.replace(self, few=None, sample=self.past)

    @property
    def past(self) -> Sample:
        """What stands for the rows of the calls before, where there is an encoder."""
        if self.few is not None:
            return Sample(self.few.X, self.few.weight)
        assert self.sample is not None
        return self.sample


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
    if incremental:
        check_total(rows.weight, params["dtype"], "given")
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
    if incremental:
        check_total(rows.weight, params["dtype"], "given")
    encoder, there, new, change = architecture.encoder, rows.present(), architecture, None
    weight = there.weight.sum()
    fresh = not incremental and len(there.weight) >= ENOUGH_ROWS
    grown = fresh or bool(seen.weight + weight >= GROWTH * seen.weight_then)
    if encoder is None or weight == 0:
        grown = False
    elif grown or columns[0].n_known != columns[1].n_known or _brings_news(encoder, seen.lone, there.X):
        past, at_hand = seen.past, Sample(there.X, there.weight)
        if not fresh:
            at_hand = past.joined(at_hand)
        pair = (past.X, past.weight), (at_hand.X, at_hand.weight)
        new = architecture_on(architecture, *pair, params, columns[1].categories, rescale=grown)
        if new is not architecture:
            at_hand = at_hand.thinned(BIN_ROWS, SAMPLE_VALUES)
            pair = (dense(past.X), past.weight), (dense(at_hand.X), at_hand.weight)
            lone = seen.lone if seen.n < FEW_ROWS else None
            change = Reparametrization.of(architecture, new, *pair, lone)
    seen = seen.and_then(rows, new.encoder, incremental=incremental, learned=grown)
    return Learned(new, seen, rows, Resumed(change, targets[0]))


def check_incremental(params: Parameters) -> None:
    """Raise ValueError for parameters that `partial_fit` cannot do with."""
    if params["solver"] == "lbfgs":
        raise ValueError("partial_fit needs a mini-batch solver. Got solver='lbfgs'.")
    if isinstance(params["learning_rate"], str) and params["learning_rate"] == "adaptive":
        raise ValueError("partial_fit does not support learning_rate='adaptive': it never sees training converge.")


def _kept(sample: Sample, n: int, incremental: bool) -> Sample:
    """Return what is kept of rows: some of them, others after each ``n``, or quantiles only."""
    if not incremental:
        return sample.quantiles()
    return sample.thinned(SAMPLE_ROWS, SAMPLE_VALUES, np.random.RandomState(n % 2**32).uniform())


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
