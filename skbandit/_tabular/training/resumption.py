"""An optimizer's state to go on from, where the parameters or the scale of the loss have changed meanwhile.

With a target of another scale the loss is :math:`r^2` times what it was, r the old scale over the new one, and the last
layer's weights are r times theirs. So their gradients are r times, and those of all others :math:`r^2` times, what they
were; without that, a first batch of a large spread would leave second moments that stop Adam for as long as it
remembers them.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from skbandit._tabular.reparametrization import Reparametrization
from skbandit._tabular.training.solvers import MOMENTS, Solver
from skbandit._tabular.types import Network


def resumed_state(
    opt_leaves: list[np.ndarray] | None,
    solver: Solver,
    before: Network,
    after: Network,
    columns: Reparametrization | None,
    ratio: np.ndarray | None,
) -> list[np.ndarray] | None:
    """Return the arrays of the optimizer's state for the parameters as they are now.

    Parameters
    ----------
    opt_leaves : list of arrays or None
        Of the state as training left it.
    solver : str or optax.GradientTransformation
        What the arrays of a transformation of the user's are is not known: they stay, but are dropped where columns
        are read in another way.
    before, after : Network
    columns : Reparametrization or None
        From the one to the other, where the columns are read in another way.
    ratio : f[n_outputs] or None
        The target's scale before over that after; None where it is the same.
    """
    if opt_leaves is None or (columns is None and ratio is None):
        return opt_leaves
    if not isinstance(solver, str):
        return opt_leaves if columns is None else None

    def mapped(vector: np.ndarray, order: int) -> np.ndarray:
        moments = _unpacked(vector, (before.inputs, before.layers))
        if columns is not None:
            moments = columns.moments(moments, order, (after.inputs, after.layers))
        if ratio is not None:
            moments = _rescaled(moments, ratio**order)
        return np.concatenate([np.ravel(a) for a in jax.tree.leaves(moments)]).astype(vector.dtype)

    orders = MOMENTS[solver]
    return [mapped(leaf, order) if order else leaf for leaf, order in zip(opt_leaves, orders, strict=True)]


def _unpacked(vector: np.ndarray, like: Any) -> Any:
    """Return a vector in the form of a network's parameters."""
    leaves, structure = jax.tree.flatten(like)
    parts = np.split(np.asarray(vector), np.cumsum([leaf.size for leaf in leaves])[:-1])
    return jax.tree.unflatten(structure, [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)])


def _rescaled(moments: Any, ratio: np.ndarray) -> Any:
    """Multiply the moments of the last layer, of each output by its ratio f[n_outputs], and the others."""
    (inputs, (*others, last)), inner = moments, float(np.mean(ratio**2))
    inputs, others = jax.tree.map(lambda a: a * inner, (inputs, others))
    return inputs, (*others, tuple(a * ratio for a in last))
