"""The table that a person checks groups by.

The types are those of `skbandit.networks.groups`, which prints itself by this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

#: Reasons that say nothing a person would want to know: axes of data, windows, single positions.
_HIDDEN = (
    *("an input of the function", "an output of the function", "the window of a convolution", "one position only"),
    *("an axis of size 1 is broadcast", "an axis of size 1 is dropped"),
)
#: Slices of a group, and axes of a reason, that are named.
_MOST_NAMED = 6


def table(groups: Any) -> str:
    """Return groups, what is not prunable and why, and what was measured, as text."""
    lines = _aligned([_heading(groups), *(_row(groups, i) for i in range(len(groups.groups)))]) if groups.groups else []
    shown, n_hidden = _refusals(groups.refused)
    if groups.refused:
        lines += ["not prunable", *_aligned(shown)]
        if n_hidden:
            lines.append(f"  and {n_hidden} axes of inputs, outputs, windows and single positions (groups.refused)")
    if groups.verified is not None:
        v = groups.verified
        lines.append(f"verified: gates of 1 {v.identity:.0e}, gated = removed {v.compacted:.0e}, noise {v.noise:.0e}")
    return "\n".join(lines) or "no groups"


def _heading(groups: Any) -> list[str]:
    return ["group", "units", *(["parameters", "MACs"] if groups.costs else []), "leaves with a unit", "read by"]


def _row(groups: Any, i: int) -> list[str]:
    group = groups.groups[i]
    costs = [f"{groups.costs[i].parameters:.0f}", f"{groups.costs[i].macs:.0f}"] if groups.costs else []
    return [group.name, str(group.size), *costs, _slices(group, group.incoming), _slices(group, group.outgoing)]


def _slices(group: Any, slices: Sequence[Any]) -> str:
    parts = [_slice(group, s) for s in slices[:_MOST_NAMED]]
    more = len(slices) - len(parts)
    return " ".join(parts) + (f" and {more} more" if more else "")


def _slice(group: Any, s: Any) -> str:
    n = 1.0
    if s.labels is not None:
        n = float((np.asarray(s.labels) >= 0).sum()) / group.size
    times = "" if n == 1 else f" x{n:g}"
    return f"{_path(s.path)}[{s.axis}]{times}"


def _path(path: Sequence[Any]) -> str:
    return ".".join(map(str, path))


def _refusals(refused: Sequence[Any]) -> tuple[list[list[str]], int]:
    """Return a line for each reason and line of code, and how many axes are hidden."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    hidden = 0
    for refusal in refused:
        if refusal.reason in _HIDDEN:
            hidden += 1
            continue
        axis = f"{_path(refusal.path)}[{refusal.axis}] ({refusal.size})"
        by_reason.setdefault((refusal.reason, refusal.source), []).append(axis)
    rows = []
    for (reason, source), axes in by_reason.items():
        more = f" and {len(axes) - _MOST_NAMED} more" if len(axes) > _MOST_NAMED else ""
        rows.append(["  " + ", ".join(axes[:_MOST_NAMED]) + more, ", ".join(filter(None, (reason, source)))])
    return rows, hidden


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [min(max(len(row[i]) for row in rows), 60) for i in range(len(rows[0]))] if rows else []
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
