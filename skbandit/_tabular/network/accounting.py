"""What a dense network costs: parameters and multiply-accumulates."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def n_parameters(layer_sizes: Sequence[int]) -> int:
    """Count the weights and biases of a dense network with these layer sizes (input, hidden widths, output)."""
    return sum(fan_in * fan_out + fan_out for fan_in, fan_out in pairwise(layer_sizes))


def n_macs(layer_sizes: Sequence[int]) -> int:
    """Count the multiply-accumulates of one row's forward pass."""
    return sum(fan_in * fan_out for fan_in, fan_out in pairwise(layer_sizes))
