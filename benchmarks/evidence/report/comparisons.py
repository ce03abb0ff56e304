"""Comparisons of two methods in one cell: effect, tests, probabilities, power.

"Better" is p < α, with Holm's correction within the family, and P(better) > 0.95 by the Bayesian signed-rank test with
the margin of the score; "worse" is the same for the other side; "equal" is P(within the margin) > 0.95. What is none of
these is open. The difference on pairs and that on data sets must agree in sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.evidence.design import ALPHA, CERTAINTY, DECIMALS, ROPES
from benchmarks.evidence.report.cells import Table, higher_is_better
from skbandit import stats

#: With fewer pairs Wilcoxon's test cannot reject at 0.05, whatever the differences: 2 / 2^5 is more.
LEAST = 6
#: Resampled tables that the power is estimated on.
DRAWS = 100
ROPE = {**ROPES, "certified": ROPES["accuracy"], "rmse": 0.0, "log2_pulls": 0.0}


class Two(NamedTuple):
    """The scores of two methods, before any test."""

    method: str
    rival: str
    table: Table
    decides: bool
    """Whether the verdict is read on it. Others belong to the family of Holm's correction, and to that alone."""


class Comparison(NamedTuple):
    """A method and its rival in one cell; positive differences are advantages of the method."""

    method: str
    rival: str
    n: int
    known: int
    """Pairs that there are, those that lack a method or a seed too."""
    difference: float
    """The median difference."""
    low: float
    high: float
    sensitivity: float
    """The median difference where the rows are data sets: means over the networks of each; none with a dagger."""
    p: float
    holm: float
    rank_biserial: float
    better: float
    equal: float
    power: float
    """Share of resampled tables in which the test rejects, after Holm's correction, on the side of `difference`."""
    left_out: dict[str, str]
    decides: bool

    @property
    def worse(self) -> float:
        """P(the rival is better)."""
        return 1 - self.better - self.equal

    @property
    def outcome(self) -> str:
        """Better, worse, equal, or open."""
        if self.n < LEAST:
            return "open"
        if self.equal > CERTAINTY:
            return "equal"
        if self.sensitivity * self.difference < 0:
            return "open"
        if self.holm < ALPHA and max(self.better, self.worse) > CERTAINTY:
            return "better" if self.better > self.worse else "worse"
        return "open"


def compare(
    pairs: Sequence[Two],
    metric: str,
    draws: int = DRAWS,
    margin: float = 0.0,
    everyone: bool = False,
    rope: float | None = None,
) -> list[Comparison]:
    """Test the pairs of methods of one family.

    ``margin`` is subtracted from each advantage of the method: then "better" means better by more than that. Without
    ``everyone``, pairs that do not decide get no interval and no probabilities. ``rope`` is the margin of practical
    equality, that of the metric by default.
    """
    higher, rope = higher_is_better(metric), ROPE[metric] if rope is None else rope
    tables = [_shifted(pair.table.select([pair.method, pair.rival]), margin, higher) for pair in pairs]
    tests = [wilcoxon(scores, higher) for scores in tables]
    holm = stats.holm([p for p, _ in tests]) if pairs else []
    power = _power(tables, higher, draws)
    found = []
    for i, (pair, scores) in enumerate(zip(pairs, tables, strict=True)):
        by_data = _shifted(pair.table.sensitivity()[[pair.method, pair.rival]], margin, higher)
        # What decides nothing is there for Holm's correction.
        full = pair.decides or everyone
        effect = _effect(scores, higher) if full else (median(scores, higher), np.nan, np.nan)
        comparison = Comparison(
            *(pair.method, pair.rival, len(scores), pair.table.known),
            *effect,
            median(by_data, higher),
            *(tests[i][0], float(holm[i]), tests[i][1]),
            *(_bayes(scores, rope, higher) if full else (np.nan, np.nan)),
            power[i],
            pair.table.left_out,
            pair.decides,
        )
        found.append(comparison)
    return found


def _shifted(scores: pd.DataFrame, margin: float, higher: bool) -> pd.DataFrame:
    shifted = scores.copy()
    shifted.iloc[:, 0] -= margin if higher else -margin
    return shifted


def wilcoxon(scores: pd.DataFrame | np.ndarray, higher: bool) -> tuple[float, float]:
    """Return the p-value of Wilcoxon's test, not adjusted, and the rank-biserial correlation."""
    if len(scores) == 0:
        return 1.0, 0.0
    found = stats.wilcoxon_holm(np.asarray(scores), higher_is_better=higher, decimals=DECIMALS)
    return float(found.raw_p_values[0, 1]), float(found.rank_biserial[0, 1])


def median(scores: pd.DataFrame, higher: bool) -> float:
    """Return the median advantage of the first column; NaN without rows."""
    gain = (scores.iloc[:, 0] - scores.iloc[:, 1]) * (1 if higher else -1)
    return float(np.round(gain.median(), DECIMALS + 1)) if len(scores) else np.nan


def _effect(scores: pd.DataFrame, higher: bool) -> tuple[float, float, float]:
    """Return the median difference and the ends of its bootstrap interval."""
    if len(scores) < 2:
        return median(scores, higher), np.nan, np.nan
    found = stats.bootstrap_interval(
        scores, statistic="median", control=1, higher_is_better=higher, decimals=DECIMALS, random_state=0
    )
    return float(found.estimate[0]), float(found.low[0]), float(found.high[0])


def _bayes(scores: pd.DataFrame, rope: float, higher: bool) -> tuple[float, float]:
    """Return P(better) and P(equal)."""
    if len(scores) == 0:
        return np.nan, np.nan
    found = stats.bayesian_signed_rank(scores, rope=rope, higher_is_better=higher, random_state=0)
    return float(found.left[0, 1]), float(found.rope[0, 1])


def _power(tables: Sequence[pd.DataFrame], higher: bool, draws: int) -> list[float]:
    """Return the share of resamples in which each comparison of a family is found, after Holm's correction."""
    if draws == 0 or not tables:
        return [np.nan] * len(tables)
    rng = np.random.default_rng(0)
    arrays = [scores.to_numpy() for scores in tables]
    observed = np.array([_side(scores, higher) for scores in arrays])
    hits = np.zeros(len(tables))
    for _ in range(draws):
        drawn = [scores[rng.integers(0, len(scores), len(scores))] if len(scores) else scores for scores in arrays]
        p = stats.holm([wilcoxon(scores, higher)[0] for scores in drawn])
        sides = np.array([_side(scores, higher) for scores in drawn])
        hits += (p < ALPHA) & (sides == observed) & (sides != 0)
    return [float(n) / draws if len(scores) else np.nan for n, scores in zip(hits, arrays, strict=True)]


def _side(scores: np.ndarray, higher: bool) -> float:
    gain = np.round(scores[:, 0] - scores[:, 1], DECIMALS + 1) * (1 if higher else -1)
    return float(np.sign(np.median(gain))) if len(scores) else 0.0
