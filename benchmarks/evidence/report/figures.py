"""The figures: small multiples, one panel for each pair, and critical-difference diagrams."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.evidence.design import CONFIRMATORY, DECIMALS
from benchmarks.evidence.report import cells, pulls, ranks
from benchmarks.evidence.report.cells import METRIC_NAMES, STAGE_NAMES, Book, Cell, higher_is_better
from benchmarks.evidence.report.reading import Evidence

#: Methods that are drawn, at most eight in a figure, with colours that colour-blind readers can tell apart (Okabe and
#: Ito) and markers of their own. Text and scratch are black.
LINES: dict[str, dict[str, Any]] = {
    "uniform": {"color": "black", "marker": None, "linewidth": 3.0},
    "ucb1": {"color": "#D55E00", "marker": "o"},
    "racing": {"color": "#0072B2", "marker": "s"},
    "sequential": {"color": "#009E73", "marker": "^"},
    "leave_one_out": {"color": "#CC79A7", "marker": "D"},
    "leave_one_out_rms": {"color": "#56B4E9", "marker": "v"},
    "magnitude": {"color": "#E69F00", "marker": "P"},
    "random": {"color": "0.55", "marker": "X"},
    "scratch": {"color": "black", "marker": None, "linestyle": "--"},
    "thompson": {"color": "#E69F00", "marker": "P"},
    "epsilon_greedy": {"color": "#56B4E9", "marker": "v"},
    "racing_rms": {"color": "#009E73", "marker": "^"},
    "taylor_racing_rms": {"color": "#E69F00", "marker": "P"},
    "taylor": {"color": "black", "marker": "*", "linestyle": "none", "markersize": 9},
    "unpruned": {"color": "black", "marker": "*", "linestyle": "none", "markersize": 9},
}
AGAINST_SHARE = ("ucb1", "racing", "sequential", "leave_one_out", "leave_one_out_rms", "magnitude", "random", "scratch")
AGAINST_PULLS = ("uniform", "racing", "ucb1", "thompson", "epsilon_greedy", "racing_rms")
PARETO = ("ucb1", "racing", "sequential", "leave_one_out_rms", "magnitude", "random", "scratch", "unpruned")
MOST_LINES = 8
#: Panels in a row; inches of a panel, of the narrowest figure, and of an entry of the legend.
COLUMNS, PANEL, NARROWEST = 4, (2.7, 2.15), 6.0
LEGEND_COLUMN, LEGEND_ROW = 1.9, 0.22


class Line(NamedTuple):
    """A curve of a method in a panel: means over seeds, and the band from the least to the largest seed."""

    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray


Panels = dict[str, dict[str, Line]]


def line_of(frame: pd.DataFrame, x: str, y: str = "value") -> Line:
    """Return the curve of rows that have an abscissa, a value, and a ``repeat``."""
    seeds = frame.groupby([x, "repeat"])[y].mean().groupby(level=0)
    mean = seeds.mean()
    return Line(*(part.to_numpy() for part in (mean.index, mean, seeds.min(), seeds.max())))


def small_multiples(
    panels: Panels,
    path: Path,
    *,
    xlabel: str,
    ylabel: str,
    log: bool = False,
    verticals: dict[str, float] | None = None,
    vertical_label: str = "",
) -> None:
    """Draw a panel for each pair, with one legend for all of them."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullLocator

    names = [name for name in LINES if any(name in panel for panel in panels.values())]
    curves = [name for name in names if LINES[name].get("linestyle") != "none"]
    if len(curves) > MOST_LINES:
        raise ValueError(f"A figure has at most {MOST_LINES} lines, not {len(curves)}: {', '.join(curves)}.")
    n_columns = min(COLUMNS, len(panels))
    n_rows = math.ceil(len(panels) / n_columns)
    width = max(PANEL[0] * n_columns, NARROWEST)
    legend_columns = int(width / LEGEND_COLUMN)
    legend_rows = math.ceil((len(names) + bool(verticals)) / legend_columns)
    # The label of the ordinate needs the height of two panels, or of a high one.
    panels_height = max(PANEL[1] * n_rows, 3.2)
    size = (width, panels_height + 0.4 + LEGEND_ROW * legend_rows)
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, layout="constrained", squeeze=False)
    handles: dict[str, Any] = {}
    for ax, (pair, lines) in zip(axes.flat, panels.items(), strict=False):
        for name in names:
            if name not in lines:
                continue
            line = lines[name]
            style = {"linewidth": 1.4, "markersize": 4.5, **LINES[name]}
            (handles[name],) = ax.plot(line.x, line.y, **style, zorder=2 if name == "uniform" else 3)
            if len(line.x) > 1 and style.get("linestyle") != "none":
                ax.fill_between(line.x, line.low, line.high, color=style["color"], alpha=0.13, linewidth=0)
        ax.set_title(pair, fontsize=9)
        if log:
            ax.set_xscale("log", base=2)
            ticks = sorted({float(x) for line in lines.values() for x in line.x})
            low, high = min(ticks), max(ticks)
            octaves = np.arange(np.floor(np.log2(low)), np.ceil(np.log2(high)) + 1)
            step = max(1, math.ceil(len(octaves) / 6))
            ax.set_xticks(2.0 ** octaves[::step])
            ax.xaxis.set_minor_locator(NullLocator())
            ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
        if verticals and pair in verticals:
            handles[vertical_label] = ax.axvline(verticals[pair], color="0.35", linestyle=":", linewidth=1.4)
        ax.tick_params(labelsize=8)
        ax.grid(alpha=0.2)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    figure.supxlabel(xlabel, fontsize=10)
    figure.supylabel(ylabel, fontsize=10)
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper center",
        ncol=min(legend_columns, len(handles)),
        frameon=False,
        fontsize=9,
    )
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _short(value: float) -> str:
    if value >= 1e4:
        return f"{value / 1e6:.3g}M" if value >= 1e6 else f"{value / 1e3:.3g}k"
    return f"{value:.2g}" if value < 1 else f"{value:g}"


# ---------------------------------------------------------------------- the figures


def critical_difference(book: Book, cell: Cell, path: Path, test: str) -> tuple[int, str]:
    """Draw the confirmatory methods of a cell; return the number of pairs, and what is left out."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from skbandit.plotting import CriticalDifferenceDisplay

    found = ranks.ranked(book, cell, methods=CONFIRMATORY)
    if found is None or found.n < 2:
        return 0, ""
    table = found.table
    display = CriticalDifferenceDisplay.from_scores(
        table.scores, higher_is_better=higher_is_better(cell.metric), decimals=DECIMALS, test=test
    )
    display.figure_.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(display.figure_)
    return len(table.scores), cells.what_is_missing(table.left_out, table.known, cells.noun_of(cell.suite))


def against_share(book: Book, cell: Cell, path: Path) -> int:
    """Draw the score after a stage against the share of units removed; return the number of panels."""
    panels: Panels = {}
    for pair, rows in _drawn(book, cell, (*AGAINST_SHARE, "unpruned")).groupby("pair", sort=False):
        # Of the dense network nothing is removed.
        of = rows.assign(ratio=rows["ratio"].fillna(0.0)).groupby("method", sort=False)
        lines = {str(method): line_of(own, "ratio") for method, own in of}
        if set(lines) - {"unpruned", "scratch"}:
            panels[str(pair)] = lines
    if panels:
        ylabel = f"{METRIC_NAMES[cell.metric]}, {STAGE_NAMES.get(cell.stage, cell.stage)}"
        small_multiples(panels, path, xlabel="share of units removed", ylabel=ylabel)
    return len(panels)


def _drawn(book: Book, cell: Cell, methods: Sequence[str]) -> pd.DataFrame:
    """Return rows of all ratios; scratch, which has no raw stage, is drawn as it is trained."""
    rows = book.suite_rows(cell.suite, cell.task)
    stage = rows["stage"].isin([cell.stage, ""]) | ((rows["method"] == "scratch") & (rows["stage"] == "tuned"))
    keep = stage & (rows["metric"] == cell.metric) & (rows["part"] == "report") & (rows["scope"] == "layer")
    return rows[keep & rows["method"].isin(list(methods))]


def against_pulls(evidence: Evidence, cell: Cell, path: Path, regret: bool) -> int:
    """Draw the score after removal, or the set regret, against pulls per unit; return the number of panels."""
    if regret:
        rows, y = pulls.regrets(evidence, cell.ratio), "regret"
    else:
        rows, y = pulls.scores_against_pulls(evidence, cell), "value"
    panels: Panels = {}
    for pair, of_pair in rows[rows["method"].isin(AGAINST_PULLS)].groupby("pair", sort=False):
        lines = {str(method): line_of(own, "pulls", y) for method, own in of_pair.groupby("method", sort=False)}
        # A method with one budget has no curve.
        lines = {method: line for method, line in lines.items() if len(line.x) > 1}
        if lines:
            panels[str(pair)] = lines
    if panels:
        small_multiples(
            panels,
            path,
            xlabel="pulls per unit",
            ylabel=f"set regret, {cell.ratio:.0%} of the units removed"
            if regret
            else f"{METRIC_NAMES[cell.metric]}, {cell.stage}, {cell.ratio:.0%} of the units removed",
            log=True,
            verticals=pulls.exact_pulls(evidence),
            vertical_label="leave_one_out",
        )
    return len(panels)


def pareto(book: Book, cell: Cell, path: Path, x: str, xlabel: str) -> int:
    """Draw the score against a cost of the network, over all ratios; return the number of panels."""
    rows = _drawn(book, cell, PARETO)
    cost = costs(book, cell, x)
    rows = rows.assign(at=[cost.get(key, np.nan) for key in _keys(rows)]).dropna(subset=["at"])
    panels: Panels = {}
    for pair, of_pair in rows.groupby("pair", sort=False):
        lines = {}
        for method, own in of_pair.groupby("method", sort=False):
            # One point for each ratio: the cost of its seeds differs, that of latency by chance.
            own = own.assign(at=own.groupby("ratio", dropna=False)["at"].transform("median"))
            lines[str(method)] = line_of(own, "at")
        if any(len(line.x) > 1 for line in lines.values()):
            panels[str(pair)] = lines
    if panels:
        small_multiples(panels, path, xlabel=xlabel, ylabel=f"{METRIC_NAMES[cell.metric]}, {cell.stage}", log=True)
    return len(panels)


def _keys(rows: pd.DataFrame) -> list[tuple[Any, ...]]:
    ratios = rows["ratio"].fillna(-1.0)
    return list(zip(rows["pair"], rows["method"], ratios, strict=True))


def costs(book: Book, cell: Cell, x: str) -> dict[tuple[Any, ...], float]:
    """Return the median cost of each pair, method and ratio, over seeds and stages."""
    rows = book.suite_rows(cell.suite, cell.task)
    rows = rows[(rows["scope"] == "layer") & rows[x].notna()]
    keys = pd.Series(_keys(rows), rows.index, dtype=object)
    return {key: float(value) for key, value in rows[x].groupby(keys).median().items()}
