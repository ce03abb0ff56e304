"""Cells: tables of pairs by methods, seeds averaged first, with what is missing named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.evidence.design import DAGGER, DECIMALS

LOWER_IS_BETTER = ("log_loss", "rmse", "regret", "log2_pulls")
#: What a pair of the design lacks that has no record.
NOT_RUN = "not run"
#: By suite and task, the pairs of the design, and the data set of each.
Planned = dict[tuple[str, str], dict[str, str]]
DAGGERS = {name for names in DAGGER.values() for name in names}


class Cell(NamedTuple):
    """Where scores are compared."""

    suite: str
    ratio: float
    stage: str
    metric: str
    task: str = "classification"

    def __str__(self) -> str:
        suite = f"tabular {self.task}" if self.suite == "tabular" else self.suite
        return f"{suite}, {self.ratio:g}, {STAGE_NAMES.get(self.stage, self.stage)}, {METRIC_NAMES[self.metric]}"


STAGE_NAMES = {"tuned_long": "tuned longer", "ranking": "rankings"}
METRIC_NAMES = {
    **{"accuracy": "accuracy", "r2": "R²", "log_loss": "log loss", "rmse": "RMSE", "certified": "certified accuracy"},
    **{"regret": "set regret", "log2_pulls": "log₂ of pulls"},
}


class Table(NamedTuple):
    """Scores of several methods on the pairs, or data sets, that have all of them with all seeds."""

    scores: pd.DataFrame
    """Pairs by methods, rounded; the index is named ``pair``."""
    data: pd.Series
    """The data set of each pair."""
    left_out: dict[str, str]
    """Pairs that are not in the table, and what they lack."""

    @property
    def known(self) -> int:
        """Pairs in the table and left out of it."""
        return len(self.scores) + len(self.left_out)

    def sensitivity(self) -> pd.DataFrame:
        """Return the means over the networks of each data set, without data sets that have a dagger."""
        kept = ~self.data.isin(DAGGERS)
        return self.scores[kept].groupby(self.data[kept]).mean().round(DECIMALS)

    def select(self, methods: Sequence[str]) -> pd.DataFrame:
        """Return some of the columns."""
        return self.scores[list(methods)]


class Suite(NamedTuple):
    """What there should be in each cell of a suite and task."""

    data: pd.Series
    """The data set of each pair; the index is the pairs."""
    repeats: dict[bool, frozenset[str]]
    """Seeds that more than half of the pairs have: of methods, and of models of other libraries."""


class Sheet(NamedTuple):
    """A cell: the scores of all methods on all pairs of the suite."""

    means: pd.DataFrame
    """Means over seeds, pairs by methods; NaN where there is no record."""
    lacks: pd.DataFrame
    """What a method lacks on a pair; an empty text where it has all seeds."""
    suite: Suite
    standard: frozenset[str]
    """Columns that are models of other libraries."""
    constant: frozenset[str]
    """Columns that have no ratio: dense networks, and models of other libraries."""

    def without(self, pairs: Iterable[str]) -> Sheet:
        """Return the sheet without some pairs."""
        return self._keep(~self.suite.data.index.isin(list(pairs)))

    def only(self, pairs: Iterable[str]) -> Sheet:
        """Return the sheet with some pairs only."""
        return self._keep(self.suite.data.index.isin(list(pairs)))

    def _keep(self, kept: np.ndarray) -> Sheet:
        suite = self.suite._replace(data=self.suite.data[kept])
        # A method without a record on the pairs that are left is none of the sheet's.
        means = self.means[kept].dropna(axis=1, how="all")
        return self._replace(means=means, lacks=self.lacks.loc[kept, means.columns], suite=suite)

    @property
    def methods(self) -> list[str]:
        """The columns that are no models of other libraries."""
        return [name for name in self.means if name not in self.standard]

    def table(self, methods: Sequence[str]) -> Table:
        """Return the complete table of some methods: the pairs that have all of them with all seeds."""
        columns = {name: i for i, name in enumerate(self.means.columns)}
        there = [columns.get(name, -1) for name in methods]
        n = len(self.suite.data)
        means = np.full((n, len(there)), np.nan)
        lacks = np.tile(np.array([*methods], dtype=object), (n, 1))
        for j, i in enumerate(there):
            if i >= 0:
                means[:, j], lacks[:, j] = self.means.to_numpy()[:, i], self.lacks.to_numpy()[:, i]
        whole = (lacks == "").all(axis=1)
        pairs = self.suite.data.index
        left_out = {str(pairs[i]): "; ".join(dict.fromkeys(filter(None, lacks[i]))) for i in np.flatnonzero(~whole)}
        scores = pd.DataFrame(means[whole].round(DECIMALS), pairs[whole], list(methods))
        return Table(scores, self.suite.data[whole], left_out)

    def enough(self, methods: Sequence[str], share: float = 0.9) -> tuple[list[str], dict[str, int]]:
        """Return the methods on at least a share of the pairs that the most complete one has; the others' numbers."""
        n_pairs = self.means[list(methods)].notna().sum()
        many = n_pairs >= share * n_pairs.max()
        return list(n_pairs.index[many]), {str(name): int(n) for name, n in n_pairs[~many].items()}


class Book:
    """Scores by cell.

    Parameters
    ----------
    rows : DataFrame
        Scores of one protocol, as `reading` describes them.
    planned : dict of dict, optional
        By suite and task, the pairs that the design has, and the data set of each. Those without a record count as
        missing.
    absent : str, optional
        What is said of them.
    """

    def __init__(self, rows: pd.DataFrame, planned: Planned | None = None, absent: str = NOT_RUN) -> None:
        self.rows, self.planned, self.absent = rows, planned or {}, absent
        self._parts = dict(list(rows.groupby(["suite", "task", "metric", "part"], sort=False)))
        self._suites: dict[tuple[str, str], Suite] = {}
        self._sheets: dict[tuple[Cell, str, str], Sheet | None] = {}

    def suite(self, suite: str, task: str) -> Suite | None:
        """Return what there should be in each cell; None without records of the suite."""
        if (suite, task) not in self._suites:
            rows = self.suite_rows(suite, task)
            if rows.empty:
                return None
            data = rows.drop_duplicates("pair").set_index("pair")["data"]
            planned = pd.Series(self.planned.get((suite, task), {}), dtype=object)
            data = pd.concat([data, planned[~planned.index.isin(data.index)]]).rename_axis("pair")
            of = {flag: _common(rows[rows["standard"] == flag]) for flag in (False, True)}
            self._suites[suite, task] = Suite(data, of)
        return self._suites[suite, task]

    def suite_rows(self, suite: str, task: str) -> pd.DataFrame:
        """Return the rows of all cells of a suite and task."""
        found = [rows for key, rows in self._parts.items() if key[:2] == (suite, task)]
        return pd.concat(found) if found else self.rows.iloc[:0]

    def sheet(self, cell: Cell, part: str = "report", scope: str = "layer") -> Sheet | None:
        """Return a cell; None without records of the suite. What has no ratio, or no stage, is in all of its cells."""
        key = (cell, part, scope)
        if key not in self._sheets:
            self._sheets[key] = self._make(cell, part, scope)
        return self._sheets[key]

    def _make(self, cell: Cell, part: str, scope: str) -> Sheet | None:
        suite = self.suite(cell.suite, cell.task)
        if suite is None:
            return None
        rows = self._parts.get((cell.suite, cell.task, cell.metric, part), self.rows.iloc[:0])
        constant = rows["ratio"].isna()
        rows = rows[(constant | np.isclose(rows["ratio"], cell.ratio)) & rows["stage"].isin([cell.stage, ""])]
        rows = rows[rows["ratio"].isna() | rows["scope"].isin([scope, ""])]
        # Seeds that few pairs have yet count nowhere: a run that goes on would lose the pairs that lack them.
        counts = [repeat in suite.repeats[flag] for repeat, flag in zip(rows["repeat"], rows["standard"], strict=True)]
        rows = rows[np.array(counts, bool)]
        # Draws of one seed, such as those of a random choice, count as one.
        seeds = rows.groupby(["pair", "method", "repeat"], sort=False)["value"].mean()
        pairs = suite.data.index
        by_pair = seeds.groupby(["pair", "method"], sort=False)
        means = by_pair.mean().unstack().reindex(pairs)
        standard = frozenset(rows.loc[rows["standard"], "method"])
        has: dict[tuple[str, str], set[str]] = {}
        for pair, method, repeat in seeds.index:
            has.setdefault((pair, method), set()).add(repeat)
        run = set(self.suite_rows(cell.suite, cell.task)["pair"])
        lacks = {
            method: [
                _lack(method, suite.repeats[method in standard], has.get((pair, method), set()))
                if pair in run
                else self.absent
                for pair in pairs
            ]
            for method in means
        }
        free = frozenset(rows.loc[rows["ratio"].isna(), "method"]) - frozenset(
            rows.loc[rows["ratio"].notna(), "method"]
        )
        return Sheet(means, pd.DataFrame(lacks, pairs, dtype=object), suite, standard, free)


def _common(rows: pd.DataFrame) -> frozenset[str]:
    """Return the seeds that more than half of the pairs have."""
    found = rows[["pair", "repeat"]].drop_duplicates()
    n_pairs = found["repeat"].value_counts()
    return frozenset(n_pairs.index[n_pairs > found["pair"].nunique() / 2])


def _lack(method: str, expected: frozenset[str], has: set[str]) -> str:
    """Say what a method lacks: its name if it has no seed at all; an empty text if it has all."""
    missing = sorted(expected - has)
    if not has:
        return method
    return f"{method}: {plural(len(missing), 'seed')} {', '.join(missing)}" if missing else ""


def higher_is_better(metric: str) -> bool:
    """Say whether the highest score is the best."""
    return metric not in LOWER_IS_BETTER


def what_is_missing(left_out: dict[str, str], known: int, noun: str = "pair") -> str:
    """Say how many pairs are left out of a comparison and which; an empty text if there are none."""
    if not left_out:
        return ""
    if len(left_out) == known > 1:
        return f"No {noun} has all that is compared."
    by_reason: dict[str, list[str]] = {}
    for pair, lacks in left_out.items():
        by_reason.setdefault(_shortly(lacks), []).append(pair)
    listed = "; ".join(f"{', '.join(pairs)} ({lacks})" for lacks, pairs in by_reason.items())
    return f"{len(left_out)} of {known} {plural(known, noun)} left out: {listed}."


def _shortly(lacks: str) -> str:
    """Say what a pair lacks; of many methods that lack the same seeds, only how many they are."""
    parts = lacks.split("; ")
    seeds = {part.partition(": ")[2] for part in parts}
    return f"{seeds.pop()} of {len(parts)} methods" if len(parts) > 3 and len(seeds) == 1 and "" not in seeds else lacks


def plural(n: int, noun: str) -> str:
    """Return a noun for so many."""
    return noun if n == 1 else f"{noun}s"


def noun_of(suite: str) -> str:
    """What a row of a table is."""
    return "data set" if suite == "tabular" else "pair" if suite == "deep" else "network"
