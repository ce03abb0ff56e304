"""What all scenarios share: options, rows of the table, records.

The sides of a comparison take turns (`benchmarks.common.timing`). The ratio is that of the medians; its spread is the
interquartile range of the ratios of neighbours.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.speed.roofline import Machine


class Options(NamedTuple):
    """How a scenario is to be run."""

    repeats: int
    quick: bool
    machine: Machine
    plot_dir: Path | None


class Row(NamedTuple):
    """One line of the table: our values and a peer's, one per repeat, in the same unit."""

    case: str
    ours: Sequence[float]
    peer: Sequence[float] | None = None
    peer_name: str = ""
    target: float | None = None
    at_most: bool = False
    """The ratio is ours / peer, and ``target`` its upper bound; otherwise peer / ours, and its lower bound."""
    roofline: float | None = None
    """The least that the machine could take for our work, in the unit of ``ours``."""
    unit: str = "s"
    """"s", "B", or a rate, for which more is better."""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times faster we are; with ``at_most``, how many times what the peer takes we take."""
        if self.peer is None:
            return None
        return self._ratio(np.median(self.ours), np.median(self.peer))

    @property
    def ratio_quartiles(self) -> tuple[float, float] | None:
        """Quartiles of the ratios of neighbouring measurements."""
        if self.peer is None or len(self.peer) != len(self.ours):
            return None
        return quartiles([self._ratio(a, b) for a, b in zip(self.ours, self.peer, strict=True)])

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached."""
        if self.target is None or self.ratio is None:
            return None
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target

    @property
    def roofline_fraction(self) -> float | None:
        """Share of the machine's measured rate that our side reaches."""
        return None if self.roofline is None else self.roofline / float(np.median(self.ours))

    def _ratio(self, ours: float, peer: float) -> float:
        more_is_better = self.unit not in ("s", "B")
        return float(ours / peer if self.at_most or more_is_better else peer / ours)


#: A scenario yields rows and, as plain strings, remarks; both are printed as they come.
Output = Iterable[Row | str]


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.quantile(values, (0.25, 0.75))
    return float(low), float(high)


# ---------------------------------------------------------------------- table and records

HEADER = (
    f"{'case':48s} {'ours':>10s} {'peer':>10s} {'ratio':>7s} {'spread':>13s} {'target':>8s} {'':7s} "
    f"{'roofline':>8s}  peer"
)


def format_value(value: float, unit: str) -> str:
    """Three digits and a unit that fits."""
    if unit == "B":
        return f"{value / 2**20:.1f} MiB"
    if unit != "s":
        return f"{value:.3g} {unit}"
    for factor, name in ((1, "s"), (1e3, "ms")):
        if value * factor >= 1:
            return f"{value * factor:.3g} {name}"
    return f"{value * 1e6:.3g} µs"


def format_row(row: Row) -> str:
    """One line under `HEADER`, and the note below it."""
    peer = "" if row.peer is None else format_value(float(np.median(row.peer)), row.unit)
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
    spread = "" if row.ratio_quartiles is None else "{:.2f}-{:.2f}".format(*row.ratio_quartiles)
    target = "" if row.target is None else f"{'<=' if row.at_most else '>='} {row.target:g}x"
    verdict = {True: "reached", False: "MISSED", None: ""}[row.reached]
    roofline = "" if row.roofline_fraction is None else f"{row.roofline_fraction:.1%}"
    line = (
        f"{row.case:48s} {format_value(float(np.median(row.ours)), row.unit):>10s} {peer:>10s} {ratio:>7s} "
        f"{spread:>13s} {target:>8s} {verdict:7s} {roofline:>8s}  {row.peer_name}"
    )
    return line.rstrip() + (f"\n    {row.note}" if row.note else "")


def records(scenario: str, row: Row, common: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is written of a row: one record for us and one for the peer."""
    values_name = {"s": "seconds", "B": "bytes"}.get(row.unit, row.unit)

    def record(who: str, values: Sequence[float]) -> dict[str, Any]:
        return {
            "scenario": scenario,
            "case": row.case,
            "who": who,
            values_name: [float(v) for v in values],
            "unit": row.unit,
            "median": float(np.median(values)),
            "quartiles": quartiles(values),
        }

    verdict = {
        "reference": row.peer_name or None,
        "ratio": row.ratio,
        "ratio_is": "ours / reference, lower is better" if row.at_most else "times better than the reference",
        "ratio_quartiles": row.ratio_quartiles,
        "target": row.target,
        "reached": row.reached,
        "roofline_fraction": row.roofline_fraction,
        "note": row.note,
    }
    found = [record("skbandit", row.ours) | verdict]
    if row.peer is not None:
        found.append(record(row.peer_name, row.peer))
    common = common | {"date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}
    return [one | common for one in found]
