"""Sizes, colours and fonts of the displays, and how they get a figure.

Matplotlib is imported when something is drawn: ``pip install 'skbandit[plot]'``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Heights, in rows of labels: how far one row, crossbar or tick is below the one before it.
ROW = 1.0
CROSSBAR = 0.42
TICK = 0.22
#: Inches of a row: 17 points.
ROW_INCHES = 17 / 72
#: Inches of a character of a label: it has 10 points, and is some 6 wide.
CHARACTER_INCHES = 6 / 72
#: From the ends of an axis to the labels, as a share of its length.
MARGIN = 0.09

#: Properties of lines.
AXIS_LINE: dict[str, Any] = {"color": "0.15", "linewidth": 1.2, "clip_on": False}
TICK_LINE: dict[str, Any] = {"color": "0.15", "linewidth": 1.0, "clip_on": False}
ELBOW_LINE: dict[str, Any] = {"color": "0.55", "linewidth": 0.9, "clip_on": False, "zorder": 1}
CROSSBAR_LINE: dict[str, Any] = {
    "color": "#c2410c",
    "linewidth": 4,
    "solid_capstyle": "round",
    "clip_on": False,
    "zorder": 3,
}
#: Properties of texts.
TICK_TEXT: dict[str, Any] = {"color": "0.15", "fontsize": 9}
CAPTION_TEXT: dict[str, Any] = {"color": "0.35", "fontsize": 8.5}
NUMBER_TEXT: dict[str, Any] = {"color": "0.4", "fontsize": 7}
LABEL_TEXT: dict[str, Any] = {"color": "0.05", "fontsize": 10}


def new_axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure of this size in inches; what is drawn beside them stays inside it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("Displays need Matplotlib: pip install 'skbandit[plot]'") from error
    _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def levels(spans: Sequence[tuple[float, float]], gap: float) -> list[int]:
    """Return a level for each span, so that spans on one level are at least ``gap`` apart; few levels in all."""
    ends: list[float] = []
    chosen = [0] * len(spans)
    for i in sorted(range(len(spans)), key=lambda i: spans[i]):
        low, high = spans[i]
        free = [level for level, end in enumerate(ends) if low - end >= gap]
        chosen[i] = free[0] if free else len(ends)
        if not free:
            ends.append(high)
        ends[chosen[i]] = high
    return chosen
