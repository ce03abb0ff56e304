"""What a dense network costs: parameters and multiply-accumulates."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def n_parameters(layer_sizes: Sequence[int]) -> int:
    """Weights and biases of a dense network with these layer widths (input, hidden ones, output)."""
    return sum(fan_in * fan_out + fan_out for fan_in, fan_out in pairwise(layer_sizes))


def n_macs(layer_sizes: Sequence[int]) -> int:
    """Multiply-accumulates of one row's forward pass."""
    return sum(fan_in * fan_out for fan_in, fan_out in pairwise(layer_sizes))
