"""What a function of parameters costs: how many parameters, and how many multiply-accumulates.

Counted in the trace of any JAX function, so that the function before and the module after are counted alike, without
the engine that made one of the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend import core


def n_parameters(params: Any) -> int:
    """Return how many numbers a tree holds."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def n_macs(function: Callable[..., Any], *args: Any) -> int:
    """Return the multiply-accumulates of the products and convolutions of a call, those in scans times their length."""
    return _count(jax.make_jaxpr(function)(*args).jaxpr)


def _count(jaxpr: core.Jaxpr) -> int:
    total = 0
    for equation in jaxpr.eqns:
        name, given = equation.primitive.name, equation.params
        out = math.prod(equation.outvars[0].aval.shape) if equation.outvars else 0
        if name == "dot_general":
            contracted = given["dimension_numbers"][0][0]
            total += out * math.prod(equation.invars[0].aval.shape[axis] for axis in contracted)
        elif name == "conv_general_dilated":
            kernel, axes = equation.invars[1].aval.shape, given["dimension_numbers"].rhs_spec
            total += out * math.prod(kernel) // kernel[axes[0]]
        times = given["length"] if name == "scan" else 1
        total += times * sum(_count(inner) for inner in _inside(given))
    return total


def _inside(given: dict[str, Any]) -> list[core.Jaxpr]:
    """Return the jaxprs among the parameters of an equation."""
    values = [v for value in given.values() for v in (value if isinstance(value, (tuple, list)) else (value,))]
    return [getattr(v, "jaxpr", v) for v in values if isinstance(v, (core.Jaxpr, core.ClosedJaxpr))]
