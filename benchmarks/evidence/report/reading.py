"""Records as tables: what the other modules of the report read.

Scores have one row for each score of each cell. Columns: ``suite``, ``task``, ``protocol``, ``pair``, ``data``,
``repeat`` (a seed, or a seed and a fold), ``method``, ``ratio``, ``scope``, ``stage``, ``budget``, ``part`` (report or
guard), ``metric``, ``value``, ``parameters``, ``macs``, ``latency_1`` and ``latency_256`` (ms), ``standard`` (whether
it is a model of another library).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.common import datasets, records
from benchmarks.common.records import Record
from benchmarks.deep.pairs import PAIRS
from benchmarks.evidence.certified import NETS
from benchmarks.evidence.design import BUDGET, OURS, tabular_sets
from benchmarks.evidence.report.cells import LOWER_IS_BETTER, Book, Planned

#: Kinds of cells that hold scores; the last two are those of models of other libraries.
SCORED = ("outcome", "control", "model", "standard")
STANDARD = ("model", "standard")
#: Controls that nothing is removed of.
WHOLE = ("unpruned", "trained_on")
#: The key of a cell: a later record takes the place of an earlier one.
KEY = ["suite", "protocol", "pair", "repeat", "method", "ratio", "scope", "stage", "budget", "draw", "part", "metric"]
SCORE_COLUMNS = [*KEY, "task", "data", "value", "parameters", "macs", "latency_1", "latency_256", "standard"]
RANKING_COLUMNS = [
    "kind",
    "suite",
    "pair",
    "repeat",
    "method",
    "ratio",
    "budget",
    "pulls",
    "regret",
    "n_units",
    "rows",
    "seconds",
    "clock",
]
CERTIFIED_COLUMNS = ["pair", "data", "repeat", "method", "ratio", "epsilon"]
CERTIFIED_SCORES = ["certified", "certified_ibp", "attacked", "clean", "unstable"]
#: The last two are of halves of the rows: methods are chosen on the guard half.
CERTIFIED = [*CERTIFIED_COLUMNS, *CERTIFIED_SCORES, "certified_report", "certified_guard"]


class Gate(NamedTuple):
    """What a dense network must reach, and what it reached."""

    suite: str
    pair: str
    data: str
    architecture: str
    number: int | None
    reference: str
    gate: float
    reached: float
    n_seeds: int
    ranked: bool

    @property
    def passed(self) -> bool:
        """Whether the pair's results are published."""
        return bool(np.isnan(self.gate) or self.reached >= self.gate)


class Evidence(NamedTuple):
    """All that the records hold."""

    records: list[Record]
    scores: pd.DataFrame
    """Scores of all pairs, those that missed their gate too."""
    rankings: pd.DataFrame
    certified: pd.DataFrame
    gates: list[Gate]
    reliability: pd.DataFrame
    """Rank correlation of the damages of two halves of the rows: ``pair``, ``repeat``, ``value``."""
    errors: pd.DataFrame
    books: dict[str, Book]
    """Scores to compare, by protocol: see `published`."""
    planned: Planned
    """The pairs of the design."""

    @property
    def missed(self) -> dict[str, Gate]:
        """Pairs that are left out of ranks: the dense network is not good enough."""
        return {gate.pair: gate for gate in self.gates if not gate.passed}

    @property
    def only_rankings(self) -> set[str]:
        """Pairs whose rankings alone are compared."""
        return {gate.pair for gate in self.gates if not gate.ranked}


def read(files: Iterable[Path]) -> Evidence:
    """Read the records of several files."""
    return evidence_of([record for path in files for record in records.read(path)], of_the_design())


def of_the_design() -> Planned:
    """Return the pairs that the design has in each suite."""
    found: Planned = {
        ("deep", "classification"): {name: pair.data for name, pair in PAIRS.items() if pair.ranked},
        ("certified", "classification"): {name: net.data for name, net in NETS.items()},
    }
    for name, task in tabular_sets(datasets.REPORT).items():
        found.setdefault(("tabular", task), {})[name] = name
    return found


def evidence_of(found: Sequence[Record], planned: Planned | None = None) -> Evidence:
    """Sort records into tables; those of `benchmarks.tabular` are the models of other libraries."""
    found = [_standard(record) if "kind" not in record and "model" in record else record for record in found]
    good = [record for record in found if not record.get("error") and not record.get("skipped")]
    good = _of_one_network(good)
    by_kind: dict[str, list[Record]] = {}
    for record in good:
        by_kind.setdefault(record.get("kind", ""), []).append(record)
    scored = [row for kind in SCORED for record in by_kind.get(kind, ()) for row in _scores(record)]
    dense = [row for record in by_kind.get("dense", ()) for row in _scores({**record, "method": "unpruned"})]
    scores = _frame([*dense, *scored], SCORE_COLUMNS).drop_duplicates(KEY, keep="last", ignore_index=True)
    rankings = [row for record in by_kind.get("ranking", ()) for row in _rankings(record)]
    rankings += [row for record in by_kind.get("replay", ()) for row in _rankings(record)]
    certified = [_certified(record) for record in by_kind.get("certified", ())]
    failed = [record for record in found if record.get("error")]
    return Evidence(
        list(found),
        scores,
        _frame(rankings, RANKING_COLUMNS),
        # Records with halves come last, whatever the order of files.
        _frame(certified, CERTIFIED)
        .sort_values("certified_report", na_position="first", key=pd.notna, kind="stable")
        .drop_duplicates(CERTIFIED_COLUMNS, keep="last"),
        _gates(by_kind.get("dense", ())),
        _frame(_reliability(good), ["pair", "repeat", "value"]).drop_duplicates(["pair", "repeat"], keep="last"),
        _frame([_error(record) for record in failed], ["suite", "kind", "pair", "method", "repeat", "error"]),
        {},
        planned or {},
    )


def _of_one_network(found: Sequence[Record]) -> list[Record]:
    """Return the records without those of dense networks that were trained anew since."""
    last = {
        (r["suite"], r["pair"], repeat_of(r), r.get("protocol")): r["network"]
        for r in found
        if r.get("kind") == "dense" and "network" in r
    }

    def stays(record: Record) -> bool:
        network = record.get("network")
        if network is None:
            return True
        return last.get((record["suite"], record["pair"], repeat_of(record), record.get("protocol"))) in (None, network)

    return [record for record in found if stays(record)]


def _frame(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(columns))


def repeat_of(record: Record) -> str:
    """Return what tells repeats of a cell apart: the seed, with the fold where there are folds."""
    return f"{record['seed']}" if record.get("fold") is None else f"{record['seed']}.{record['fold']}"


def setting(record: Record, name: str) -> Any:
    """Return a parameter of a method: of the record itself, or of its ``params``."""
    value = record.get(name)
    return value if value is not None else (record.get("params") or {}).get(name)


def _standard(record: Record) -> Record:
    """Return a record of `benchmarks.tabular` as one of the evidence; of our own models, only `design.OURS` counts."""
    names = ("r2", "rmse") if record.get("task") == "regression" else ("accuracy", "log_loss")
    own = " @" in record["model"] and record["model"] != OURS
    about = {"kind": STANDARD[1], "suite": "tabular", "pair": record["data"], "method": record["model"]}
    scores = {name: record[name] for name in names if record.get(name) is not None}
    return {**record, **about, "scores": {"report": scores}, "skipped": record.get("skipped") or own}


def _number(value: Any) -> float:
    return np.nan if value is None else float(value)


def _scores(record: Record) -> list[dict[str, Any]]:
    latency = record.get("latency_ms") or {}
    scores = record.get("scores") or {}
    if not any(isinstance(value, dict) for value in scores.values()):
        scores = {"report": scores}
    task = record.get("task") or ("regression" if any("r2" in of for of in scores.values()) else "classification")
    row = {
        "suite": record["suite"],
        "protocol": str(record.get("protocol") or "paired"),
        "pair": record["pair"],
        "data": record.get("data") or record["pair"],
        "repeat": repeat_of(record),
        "method": str(record["method"]),
        "ratio": _number(record.get("ratio")),
        "scope": record.get("scope") or "layer",
        "stage": record.get("stage") or "",
        "budget": _number(setting(record, "budget")),
        "draw": _number(setting(record, "draw")),
        "task": task,
        **{name: _number(record.get(name)) for name in ("parameters", "macs")},
        **{f"latency_{n}": _number(latency.get(str(n), latency.get(n))) for n in (1, 256)},
        "standard": record.get("kind") in STANDARD,
    }
    if row["method"] == WHOLE[0]:
        row |= {"ratio": np.nan, "stage": "", "scope": "layer", "budget": np.nan, "draw": np.nan}
    guard_loss = record.get("guard_loss")
    if guard_loss is not None and "guard" not in scores:
        # All that choices on the guard rows need is what is better: the lower the loss.
        signs = {metric: 1 if metric in LOWER_IS_BETTER else -1 for metric in scores.get("report", ())}
        scores = {**scores, "guard": {metric: sign * guard_loss for metric, sign in signs.items()}}
    return [
        {**row, "part": part, "metric": metric, "value": float(value)}
        for part, of in scores.items()
        for metric, value in of.items()
        if value is not None and np.isfinite(value)
    ]


def _rankings(record: Record) -> list[dict[str, Any]]:
    """Return a row for each ratio that the record has a regret of; one row where it has none."""
    n_units = _number(record.get("n_units"))
    pulls = record.get("pulls")
    # Pulls of all units together, or of each.
    per_unit = np.nan if pulls is None else float(np.sum(pulls)) / n_units
    row = {
        **{name: record[name] for name in ("kind", "suite", "pair")},
        "repeat": repeat_of(record),
        "method": str(record["method"]),
        "ratio": _number(record.get("ratio")),
        "budget": _number(setting(record, "budget")),
        "pulls": per_unit,
        "regret": np.nan,
        "n_units": n_units,
        "rows": sum(
            factor * _number(record.get(f"{way}_rows") or 0) for way, factor in (("forward", 1), ("backward", 2))
        ),
        "seconds": _number(record.get("seconds")),
        # Seconds that a clock showed; those of pulls that were looked up are counted, not measured.
        "clock": _number(record.get("seconds_live", None if record.get("replayed") else record.get("seconds"))),
    }
    regret = record.get("regret")
    if isinstance(regret, dict):
        return [{**row, "ratio": float(ratio), "regret": _number(value)} for ratio, value in regret.items()]
    return [{**row, "regret": _number(regret)}]


def _certified(record: Record) -> dict[str, Any]:
    row = {name: record.get(name) for name in CERTIFIED_COLUMNS if name != "repeat"}
    row |= {name: _number(record.get(name)) for name in ("ratio", "epsilon", *CERTIFIED_SCORES)}
    halves = record.get("certified_halves") or {}
    row |= {f"certified_{part}": _number(halves.get(part)) for part in ("report", "guard")}
    if row["method"] in WHOLE:
        row["ratio"] = np.nan
    return {**row, "data": row["data"] or row["pair"], "repeat": repeat_of(record)}


def _reliability(found: Iterable[Record]) -> list[dict[str, Any]]:
    # Either name is in use.
    of = [(record, record.get("split_half", record.get("reliability"))) for record in found]
    return [
        {"pair": record["pair"], "repeat": repeat_of(record), "value": float(value)}
        for record, value in of
        if value is not None
    ]


def _error(record: Record) -> dict[str, Any]:
    row = {name: record.get(name) or "" for name in ("suite", "kind", "pair", "method", "error")}
    return {**row, "repeat": repeat_of(record) if "seed" in record else ""}


def _gates(dense: Iterable[Record]) -> list[Gate]:
    """Return the gates of the pairs that have one, in the order of their numbers, then of the records."""
    by_pair: dict[tuple[str, str], dict[str, Record]] = {}
    for record in dense:
        by_pair.setdefault((record["suite"], record["pair"]), {})[repeat_of(record)] = record
    gates = []
    for (suite, pair), repeats in by_pair.items():
        last = list(repeats.values())[-1]
        reached = [value for record in repeats.values() for value in _accuracies(record)]
        gate = Gate(
            suite,
            pair,
            last.get("data") or pair,
            str(last.get("architecture") or ""),
            last.get("number"),
            str(last.get("reference") or ""),
            _number(last.get("gate")),
            float(np.mean(reached)) if reached else np.nan,
            len(repeats),
            last.get("ranked") is not False,
        )
        gates.append(gate)
    return sorted(gates, key=lambda gate: (gate.suite, np.inf if gate.number is None else gate.number))


def _accuracies(record: Record) -> list[float]:
    """Return the accuracy that a gate is for: on the official rows where the record has it."""
    if record.get("gate_accuracy") is not None:
        return [float(record["gate_accuracy"])]
    rows = _scores({**record, "method": "unpruned"})
    return [row["value"] for row in rows if row["part"] == "report" and row["metric"] == "accuracy"]


# ---------------------------------------------------------------------- what is compared


def compared(scores: pd.DataFrame, protocol: str = "paired") -> pd.DataFrame:
    """Return the rows of one protocol, each method with one budget: 8 pulls where it has that, else its largest.

    A method with a budget in some records of a cell and none in others keeps both.
    """
    rows = scores[scores["protocol"] == protocol]
    budgets = rows.dropna(subset="budget").groupby(["suite", "method"])["budget"].unique()
    chosen = {key: BUDGET if BUDGET in values else max(values) for key, values in budgets.items()}
    wanted = pd.Series([chosen.get(key, np.nan) for key in zip(rows["suite"], rows["method"], strict=True)], rows.index)
    return rows[rows["budget"].isna() | (rows["budget"] == wanted)]


def published(evidence: Evidence, protocol: str = "paired") -> Book:
    """Return the scores to compare, without pairs that missed their gate and pairs that are not for scores."""
    if protocol not in evidence.books:
        out = [*evidence.missed, *evidence.only_rankings]
        rows = compared(evidence.scores, protocol)
        evidence.books[protocol] = Book(
            rows[~((rows["suite"] == "deep") & rows["pair"].isin(out))], to_compare(evidence)
        )
    return evidence.books[protocol]


def to_compare(evidence: Evidence) -> Planned:
    """Return the pairs of the design, without those that missed their gate and those that are not for scores."""
    out = {*evidence.missed, *evidence.only_rankings}
    return {
        key: {pair: data for pair, data in pairs.items() if key[0] != "deep" or pair not in out}
        for key, pairs in evidence.planned.items()
    }
