"""Options of command lines that several benchmarks have."""

from __future__ import annotations

import argparse


def part(text: str) -> tuple[int, int]:
    """Read ``i/n``: the i-th of n shares."""
    try:
        i, n = map(int, text.split("/"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 1/4") from None
    if not 1 <= i <= n:
        raise argparse.ArgumentTypeError(f"there is no part {i} of {n}")
    return i, n
