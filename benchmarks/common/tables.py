"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table: the first column to the left, the others to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float, digits: int = 3) -> str:
    """So many significant digits, without an exponent."""
    if np.isnan(value):
        return "-"
    return np.format_float_positional(value, precision=digits, fractional=False, trim="-")
