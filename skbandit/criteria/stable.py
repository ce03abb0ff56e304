r"""Units that the network does not need at all, by proof: they are constant on the data's box, or an affine copy."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._core.constraints import NON_NEGATIVE
from skbandit._core.pytree import pytree_dataclass
from skbandit.criteria.base import Criterion, Problem, Scores, scores_without_pulls
from skbandit.criteria.weights import unit_norms
from skbandit.networks.capabilities import DENSE_LAYERS, offers
from skbandit.networks.groups import replace_at

#: The bounds of the box are widened by this share of its size, for rounding.
MARGIN = 1e-5


@pytree_dataclass
class StableUnits(Criterion):
    r"""Units that are dead or linear on the box of the data, by interval bounds.

    With :math:`\mu` and :math:`r` the middle and the half width of a layer's inputs on the smallest box that holds the
    calibration rows, its pre-activations lie within :math:`\mu W + b \pm r |W|` [1]_, and so on from layer to layer.
    A ReLU whose upper bound is not above 0 is dead there, and leaves as it is. One whose lower bound is not below 0 is
    linear: where a layer has more such units than their weights have directions, the others are affine functions of
    them, and their outgoing weights are handed over exactly. Both kinds are suggested, and leave first, at no loss on
    the box, up to rounding. The others follow by how far their activation can vary on the box, times the norm of their
    outgoing weights.

    For dense networks. Activations other than ``"relu"`` and ``"identity"`` have no such units, except where they
    saturate to the last digit, and the ranking is all that there is.

    Parameters
    ----------
    margin : float, default=0.0
        The box is made wider on every side by this share of its width: new rows lie outside of it now and then.

    References
    ----------
    .. [1] Z. Li, T. Chen, L. Li, B. Li, Z. Wang (2023). Can pruning improve certified robustness of neural networks?
       TMLR. arXiv 2206.07311.
    """

    name: ClassVar[str] = "stable_units"
    needs: ClassVar = (DENSE_LAYERS,)
    constraints: ClassVar = {"margin": (NON_NEGATIVE,)}

    margin: float = 0.0

    @property
    def suggests(self) -> bool:
        """What can be proved is suggested."""
        return True

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Propagate the bounds, and merge."""
        network = problem.network
        assert offers(network, DENSE_LAYERS)
        groups, params = network.groups, jax.tree.map(jnp.asarray, problem.params)
        low, high = self._box(problem)
        ranges, redundant = [], []
        for i, on in enumerate(groups.split(active)):
            W, b, *slope = params[i]
            middle, half = (low + high) / 2, (high - low) / 2
            centre, radius = middle @ W + b, half @ jnp.abs(W)
            rounding = MARGIN * (jnp.abs(middle) @ jnp.abs(W) + jnp.abs(b) + radius)
            z_low, z_high = centre - radius - rounding, centre + radius + rounding
            low, high = network.bounds(z_low, z_high, *slope)
            low, high = jnp.where(on, low, 0), jnp.where(on, high, 0)
            constant = on & (high <= low)
            linear = on & (z_low >= network.linear_from)
            params = self._hand_constants_over(params, i, constant, (low + high) / 2)
            merged, params = self._merge(params, i, linear & ~constant, middle, half)
            redundant.append(constant | merged)
            ranges.append(high - low)
        suggested = jnp.concatenate(redundant)
        value = -jnp.concatenate(ranges) * unit_norms(groups, params, of="out")
        value = jnp.where(suggested, 1.0, value)
        return state, scores_without_pulls(value, suggested)._replace(params=params)

    def _box(self, problem: Problem) -> tuple[jax.Array, jax.Array]:
        """Return the bounds f[n_features] of the rows that count."""

        def widen(box: Any, X: jax.Array, y: jax.Array, weight: jax.Array, total: jax.Array) -> Any:
            counts = weight[:, None] > 0
            low = jnp.min(jnp.where(counts, X, jnp.inf), axis=0)
            high = jnp.max(jnp.where(counts, X, -jnp.inf), axis=0)
            return jnp.minimum(box[0], low), jnp.maximum(box[1], high)

        nothing = jnp.full(problem.batches.X.shape[-1], jnp.inf, problem.gates[0].dtype)
        low, high = problem.batches.fold(widen, (nothing, -nothing))
        wider = self.margin * (high - low)
        return low - wider, high + wider

    def _hand_constants_over(self, params: Any, i: int, constant: jax.Array, emitted: jax.Array) -> Any:
        """Let the next bias have what constant units emit."""
        handed = jnp.where(constant[:, None], params[i + 1][0], 0)
        params = replace_at(params, (i + 1, 0), lambda w: jnp.where(constant[:, None], 0, w))
        return replace_at(params, (i + 1, 1), lambda bias: bias + jnp.where(constant, emitted, 0) @ handed)

    def _merge(
        self, params: Any, i: int, linear: jax.Array, middle: jax.Array, half: jax.Array
    ) -> tuple[jax.Array, Any]:
        """Hand the outgoing weights of linear units over to as few of them as have all directions."""
        W, b, *slope = params[i]
        if slope:
            return jnp.zeros_like(linear), params
        # A unit is a vector: how its pre-activation goes with each input, from end to end of the box, and its value in
        # the middle. Beside it the constant, which the next bias is.
        centre = middle @ W + b
        vectors = jnp.concatenate([half[:, None] * W, centre[None]]).T
        vectors = jnp.where(linear[:, None], vectors, 0)
        varying = vectors.at[:, -1].set(0)
        lengths = jnp.sum(jnp.square(varying), axis=1)
        smallest = 0.1 * jnp.finfo(W.dtype).eps  # of a squared length: less is rounding

        def choose_one(_: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            rest, basis = carry
            left = jnp.sum(jnp.square(rest), axis=1) / jnp.where(lengths > 0, lengths, 1)
            unit = jnp.argmax(left)
            usable = left[unit] > smallest
            direction = rest[unit] / jnp.where(usable, jnp.linalg.norm(rest[unit]), 1)
            rest = jnp.where(usable, rest - jnp.outer(rest @ direction, direction), rest)
            return rest.at[unit].set(jnp.where(usable, 0, rest[unit])), basis.at[unit].set(basis[unit] | usable)

        n_directions = min(vectors.shape)
        basis = lax.fori_loop(0, n_directions, choose_one, (varying, jnp.zeros_like(linear)))[1]
        merged = linear & ~basis
        # Least squares of least norm: rows of zeros, of units that are not in the basis, get no share.
        given = jnp.where(basis[:, None], varying, 0)
        shares = jnp.linalg.lstsq(given.T, varying.T)[0]
        shares = jnp.where(merged, shares, 0)  # f[n, n]: what of each merged unit every other one takes over
        rest = jnp.where(merged, vectors[:, -1], 0) - vectors[:, -1] @ shares
        handed = jnp.where(merged[:, None], params[i + 1][0], 0)
        params = replace_at(params, (i + 1, 0), lambda w: jnp.where(merged[:, None], 0, w) + shares @ handed)
        return merged, replace_at(params, (i + 1, 1), lambda bias: bias + rest @ handed)
