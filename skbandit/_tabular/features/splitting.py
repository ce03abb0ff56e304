"""The internal held-out split, drawn by the content of the rows.

What is held out are the distinct *pairs* of a row value (the features of a row) and a target. The weight of a
pair is that of all its rows. So the order of the rows does not matter, an integer weight equals a repeated row, and a
factor on all weights changes nothing, which a split by position cannot give.

* A pair of little weight is held out whole or not at all: copies of a row never stand on both sides. Each has a
  pseudo-random rank that depends on its values and the seed alone; those of the lowest ranks are held out, up to the
  wanted share of the weight.
* A pair of much weight is *cut*: of its weight w, f w judges and (1 - f) w trains, for the fraction f. The same for all
  its copies, this is the expectation of a random split of the copies. Held out whole, it would leave a hole in the
  training rows, and the best epoch would be chosen by exactly what was not trained.
* Repeated measurements (one row value, several targets) are cut where the row value tells about the target: a row value
  that is held out is then the only source on itself.
* A table of few pairs is cut as a whole.

The constants were found by measurement (docs/decisions/0012).
"""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any

import numpy as np

from skbandit._tabular.features.hashing import row_ranks

#: A pair of more than this share of the weight is cut: held out whole, it would leave a hole of its size.
HEAVY = 0.02
#: A row value of more than `HEAVY` is cut, too, unless it has many light pairs: none of over this share of it.
DOMINANT = 0.1
#: Targets of fewer effective values than this are few: row values are then expected to repeat them.
FEW_TARGETS = 25
#: Repeated measurements are cut where the mean target of a row value is known this reliably.
RELIABLE = 0.8
#: All is cut where fewer effective pairs than this would be held out whole.
FEWEST_HELD_OUT = 5
#: Pairs that are looked at together, in strata of about the same size: some MB.
BLOCK_PAIRS = 2**18
#: A comparison holds where it holds by this factor: sums in another order, or rescaled, do not flip a tie.
SLACK = 1e-9


def held_out_rows(
    X: Any,
    weight: np.ndarray,
    fraction: float,
    seed: int,
    strata: np.ndarray | None = None,
    dtype: str = "float64",
    start: float = 0.0,
    y: np.ndarray | None = None,
    classes: bool = False,
) -> np.ndarray:
    """Choose what to hold out: the share of each row's weight, f[n].

    It is 1 for a row that is held out whole, 0 for one that is trained on whole, and ``fraction`` for one that is cut.
    All are 0 where nothing can be held out: all rows of positive weight are alike, or no class has two different ones.

    Parameters
    ----------
    X : f[n, n_features], dense or CSR
    weight : f[n]
        Non-negative; rows of weight 0 count on neither side.
    fraction : float
        Share of the total weight to hold out, per stratum.
    seed : int
    strata : i[n], optional
        Class of each row; every class keeps its share, and some weight for training.
    dtype : {"float64", "float32"}
        The precision in which rows of ``X`` are compared: that of the network, whatever that of ``X``.
    start : float in [0, 1)
        Share of the weight of the rows that are not cut, in the order of their ranks, at which the window of held-out
        rows begins. Past the last rank it goes on from the first. Windows of k members that begin at 0, 1/k, 2/k, …
        share these rows evenly.
    y : f[n, n_targets], optional
        Targets, compared in float64; by default, rows of equal features are copies.
    classes : bool
        Whether the targets are classes.
    """
    out = np.zeros(X.shape[0])
    # By a power of two near 1: exact, and squares are numbers. A weight that is lost is nothing beside the others.
    weight = np.ldexp(weight, -int(np.frexp(weight.max())[1]))
    some = weight > 0
    there: Any = slice(None) if some.all() else np.flatnonzero(some)
    ranks = row_ranks(X, seed, dtype)[there]
    targets = np.zeros((ranks.size, 1)) if y is None else np.asarray(y, np.float64)[there]
    pairs = _Pairs.of_rows(ranks, targets, weight[there], seed)
    if pairs.mass.size < 2:
        return out
    cut = pairs.to_cut(fraction, classes)
    share = np.where(cut, fraction, 0.0)
    stratum = np.zeros(cut.size, np.intp) if strata is None else strata[there][pairs.first]
    share[_drawn(stratum, pairs.rank, pairs.mass, cut, fraction, start)] = 1.0
    share[pairs.of_heavy_values() & pairs.is_lost(share)] = fraction  # all pairs of a heavy value were drawn
    out[there] = share[pairs.of_row]
    return out


def _drawn(
    stratum: np.ndarray, rank: np.ndarray, mass: np.ndarray, cut: np.ndarray, fraction: float, start: float
) -> np.ndarray:
    """Return the pairs that are held out whole, i[k]: of each stratum those in its window, but one stays for training.

    Strata, which may be as many as classes, go through in blocks: one in each row of a block, filled up with nothing.
    """
    stratum = np.unique(stratum, return_inverse=True)[1]
    whole = np.flatnonzero(~cut)
    whole = whole[np.lexsort((rank[whole], stratum[whole]))]
    sizes = np.bincount(stratum[whole], minlength=int(stratum.max()) + 1)
    ends = np.cumsum(sizes)
    some_cut = np.bincount(stratum, weights=cut, minlength=sizes.size) > 0
    n_at_most = np.maximum(np.where(some_cut, sizes, sizes - 1), 0)
    found = []
    order = np.argsort(sizes, kind="stable")  # strata of about the same size go together
    order = order[np.searchsorted(sizes[order], 1) :]
    begin = 0
    while begin < order.size:
        of_block = np.arange(1, order.size - begin + 1) * sizes[order[begin:]]
        end = begin + max(int(np.searchsorted(of_block, BLOCK_PAIRS, side="right")), 1)
        some, begin = order[begin:end], end
        column = np.arange(int(sizes[some[-1]]))
        there = column < sizes[some, None]
        place = np.where(there, (ends - sizes)[some, None] + column, 0)
        pairs = whole[place]
        first, n_drawn = _window(np.where(there, mass[pairs], 0.0), sizes[some], fraction, start)
        n_drawn = np.minimum(n_drawn, n_at_most[some])
        found.append(pairs[there & ((column - first[:, None]) % sizes[some, None] < n_drawn[:, None])])
    return np.concatenate([np.empty(0, np.intp), *found])


def _window(mass: np.ndarray, sizes: np.ndarray, fraction: float, start: float) -> tuple[np.ndarray, np.ndarray]:
    """Return where windows begin and how many they hold, i[k]: up to a fraction of the mass, beginning at ``start``.

    Parameters
    ----------
    mass : f[k, m]
        Of the pairs of each of k strata, in their order; 0 behind the last.
    sizes : i[k]
        Pairs of each stratum.
    fraction, start : float
    """
    column = np.arange(mass.shape[1])
    first, filled = np.zeros(len(sizes), np.intp), np.cumsum(mass, axis=1)
    if start > 0:
        goal = start * filled[:, -1:] * (1 - SLACK)
        first = np.sum((filled - 0.5 * mass < goal) & (column < sizes[:, None]), axis=1)
        # Past the last pair it goes on from the first.
        rolled = np.minimum((column + first[:, None]) % sizes[:, None], mass.shape[1] - 1)
        mass = np.where(column < sizes[:, None], np.take_along_axis(mass, rolled, axis=1), 0.0)
        filled = np.cumsum(mass, axis=1)
    # The one that crosses the wanted share is in if more than half of it lies below.
    inside = (filled - 0.5 * mass <= fraction * filled[:, -1:] * (1 + SLACK)) & (column < sizes[:, None])
    return first, np.sum(inside, axis=1)


def _over(a: Any, b: Any) -> Any:
    """Say whether a is greater than b by more than rounding."""
    return a > b * (1 + SLACK)


@dataclasses.dataclass(frozen=True, eq=False)
class _Pairs:
    """The distinct pairs of a row value and a target; m of them, of k row values."""

    of_row: np.ndarray
    """i[n]: the pair of each row."""
    first: np.ndarray
    """i[m]: a row that has the pair."""
    value: np.ndarray
    """i[m]: the row value of each pair, 0 to k - 1."""
    target: np.ndarray
    """i[m]: the target of each pair, numbered."""
    y: np.ndarray
    """f[m, n_targets]: the target itself."""
    mass: np.ndarray
    """f[m]: summed weight of the rows."""
    rank: np.ndarray
    """u64[m]: the order in which pairs are held out."""

    @classmethod
    def of_rows(cls, ranks: np.ndarray, y: np.ndarray, weight: np.ndarray, seed: int) -> _Pairs:
        """Find the pairs of rows with ranks u64[n], targets f[n, n_targets] and positive weights f[n], at most 1."""
        of_targets = row_ranks(y, seed + 1)
        both = ranks ^ of_targets
        rank, first, of_row = np.unique(both, return_index=True, return_inverse=True)
        value = np.unique(ranks[first], return_inverse=True)[1]
        target = np.unique(of_targets[first], return_inverse=True)[1]
        mass = np.bincount(of_row, weights=weight)
        alone = np.bincount(value)[value] == 1
        # Where a row value has one target, its own rank: the order of a table without repeated measurements.
        rank = np.where(alone, ranks[first], rank)
        return cls(of_row, first, value, target, y[first], mass, rank)

    @cached_property
    def mass_of_value(self) -> np.ndarray:
        """Summed weight of each row value, f[k]."""
        return np.bincount(self.value, weights=self.mass)

    def of_heavy_values(self) -> np.ndarray:
        """Say which pairs are of a row value that has more than `HEAVY` of the weight, bool[m]."""
        heavy: np.ndarray = _over(self.mass_of_value, HEAVY * self.mass.sum())[self.value]
        return heavy

    def is_lost(self, share: np.ndarray) -> np.ndarray:
        """Say of which pairs the row value would not be trained, bool[m], if the shares f[m] were held out."""
        trained = np.bincount(self.value, weights=share < 1) > 0
        lost: np.ndarray = ~trained[self.value]
        return lost

    def to_cut(self, fraction: float, classes: bool) -> np.ndarray:
        """Say which pairs are cut, bool[m]."""
        mass: np.ndarray = self.mass
        total = mass.sum()
        share = mass / self.mass_of_value[self.value]
        largest = np.zeros(self.mass_of_value.size)
        np.maximum.at(largest, self.value, share)
        measured_again = (np.bincount(self.value) > 1)[self.value]
        heavy = _over(mass, HEAVY * total) | (self.of_heavy_values() & _over(largest, DOMINANT)[self.value])
        cut: np.ndarray = heavy | (measured_again & _over(share, 0.5))
        light = measured_again & ~heavy
        if light.any() and (
            classes
            or _over(FEW_TARGETS * np.square(np.bincount(self.target, weights=mass)).sum(), total**2)
            or _over(self.reliability(light), RELIABLE)
        ):
            cut |= measured_again
            if _over(mass[light].sum(), mass[~heavy].sum() / 2):
                cut[:] = True  # a table of repeated measurements: what was measured once is one of them
        left = mass[~cut]
        left = np.ldexp(left, -int(np.frexp(left.max(initial=0.0))[1]))  # its squares are numbers, too
        if _over(FEWEST_HELD_OUT / fraction * np.square(left).sum(), left.sum() ** 2):
            cut[:] = True
        return cut

    def reliability(self, some: np.ndarray) -> float:
        """Return the share of the variance of row values' mean targets that is not noise, over ``some`` pairs, bool[m].

        That is b / (b + v) of the variance b between the true means and the mean variance v of the measured ones, both
        as shares of the target's variance, and summed over outputs.
        """
        n_values = self.mass_of_value.size
        # Of a row value's targets one may have all the weight: no variance is known of it.
        of_value = np.bincount(self.value[some], weights=self.mass[some], minlength=n_values)
        share = np.where(some, self.mass / np.where(of_value > 0, of_value, 1.0)[self.value], 0.0)
        several = _over(1, np.bincount(self.value, weights=np.square(share), minlength=n_values))
        some = some & several[self.value]
        if not some.any():
            return 0.0
        value = np.unique(self.value[some], return_inverse=True)[1]
        mass, y = self.mass[some], self.y[some]
        y = y / np.maximum(np.abs(y).max(axis=0), np.finfo(np.float64).tiny)  # squares are numbers

        def summed(a: np.ndarray) -> np.ndarray:
            return np.stack([np.bincount(value, weights=column) for column in a.T], axis=1)

        of_value = np.bincount(value, weights=mass)
        weight, share = mass / mass.sum(), (mass / of_value[value])[:, None]
        variance = weight @ np.square(y - weight @ y)
        varies = variance > 0
        y, variance = y[:, varies], variance[varies]
        n_effective = 1 / summed(np.square(share))
        within = summed(share * np.square(y - summed(share * y)[value])) * (n_effective / (n_effective - 1))
        weight = of_value / of_value.sum()
        between = np.maximum(0, variance - weight @ within) / variance
        noise = weight @ (within / n_effective) / variance
        both = between.sum() + noise.sum()
        return float(between.sum() / both) if both > 0 else 0.0
