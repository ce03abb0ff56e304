r"""Units that are provably redundant: constant on the box of the data, or an affine function of other units."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._core.constraints import NON_NEGATIVE
from skbandit._core.pytree import pytree_dataclass
from skbandit.criteria.base import Criterion, Problem, Scores, scores_without_pulls
from skbandit.criteria.weights import unit_norms
from skbandit.networks.capabilities import DENSE_LAYERS, demand
from skbandit.networks.groups import replace_at

#: Bounds are widened by this share of their size, because of rounding.
MARGIN = 1e-5


@pytree_dataclass
class StableUnits(Criterion):
    r"""Find units that are dead or linear on the box of the data, by interval bounds.

    The box is the smallest one that contains the calibration rows. Let :math:`\mu` be the centre and :math:`r` the half
    width of a layer's inputs on the box. Its pre-activations then lie within :math:`\mu W + b \pm r |W|` [1]_; the
    bounds are propagated from layer to layer. A ReLU unit whose upper bound is not above 0 is dead, and can be removed
    as it is. A unit whose lower bound is not below 0 is linear. If a layer has more linear units than their weights
    have directions, the surplus units are affine functions of the others, and their outgoing weights are transferred to
    these exactly. Dead and surplus units are suggested for removal and rank first; on the box the loss does not change,
    up to rounding. The other units are ranked by the range of their activation on the box, times the norm of their
    outgoing weights.

    The criterion is for dense networks. Activations other than ``"relu"`` and ``"identity"`` have no such units, unless
    they saturate to the last digit; the criterion then only ranks the units.

    Parameters
    ----------
    margin : float, default=0.0
        Share of its width by which the box is widened on each side, because some new rows will lie outside of it.

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
        """True: the redundant units are suggested for removal."""
        return True

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Propagate the bounds and merge linear units."""
        network = demand(problem.network, DENSE_LAYERS, self.label)
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
        """Return the bounds f[n_features] of the rows of positive weight."""

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
        """Return the parameters with the output of constant units in the bias of the next layer.

        Parameters
        ----------
        params : tuple of (W, b, ...)
        i : int
            Index of the layer.
        constant : bool[n_i]
            Constant units.
        emitted : f[n_i]
            Their outputs.

        Returns
        -------
        params : tuple of (W, b, ...)
        """
        handed = jnp.where(constant[:, None], params[i + 1][0], 0)
        params = replace_at(params, (i + 1, 0), lambda w: jnp.where(constant[:, None], 0, w))
        return replace_at(params, (i + 1, 1), lambda bias: bias + jnp.where(constant, emitted, 0) @ handed)

    def _merge(
        self, params: Any, i: int, linear: jax.Array, middle: jax.Array, half: jax.Array
    ) -> tuple[jax.Array, Any]:
        """Transfer the outgoing weights of linear units to a basis of them.

        Parameters
        ----------
        params : tuple of (W, b, ...)
        i : int
            Index of the layer.
        linear : bool[n_i]
            Linear units.
        middle, half : f[n_inputs]
            Centre and half width of the layer's inputs.

        Returns
        -------
        merged : bool[n_i]
            Units that are not in the basis.
        params : tuple of (W, b, ...)
        """
        W, b, *slope = params[i]
        if slope:
            return jnp.zeros_like(linear), params
        # The vector of a unit: the change of its pre-activation with each input over half the box, and its value at the
        # centre. The constant function is free: it is the bias of the next layer.
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
        # Least squares of minimum norm: units that are not in the basis are zero rows, and get no share.
        given = jnp.where(basis[:, None], varying, 0)
        shares = jnp.linalg.lstsq(given.T, varying.T)[0]
        shares = jnp.where(merged, shares, 0)  # f[n, n]: the share of each merged unit that every other unit takes over
        rest = jnp.where(merged, vectors[:, -1], 0) - vectors[:, -1] @ shares
        handed = jnp.where(merged[:, None], params[i + 1][0], 0)
        params = replace_at(params, (i + 1, 0), lambda w: jnp.where(merged[:, None], 0, w) + shares @ handed)
        return merged, replace_at(params, (i + 1, 1), lambda bias: bias + rest @ handed)
