r"""Criteria that use the activations of a layer and its outgoing weights: no labels, one forward pass.

Let :math:`H` be the activations of a layer on the calibration rows, :math:`C` their covariance, and :math:`W` the
weights of the next layer. If the units :math:`T` are replaced by their means, the pre-activation of the next layer
loses :math:`(H - \bar h)_T W_T`, a mean squared error of :math:`\mathrm{tr}(W_T^\top C_{TT} W_T)`.

The cost of a sequence of removals is given as a share of :math:`\mathrm{tr}(W^\top C W)` of the whole layer, so that
layers are comparable.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._core.constraints import BOOL, NON_NEGATIVE
from skbandit._core.pytree import pytree_dataclass, static
from skbandit.criteria.base import Criterion, Problem, Scores, scores_without_pulls
from skbandit.networks.capabilities import ACTIVATIONS, OUTGOING

#: Minimum relative difference between the costs of successive removals.
_NEXT = 1e-5


class Layer(NamedTuple):
    """Statistics of a layer on the calibration rows."""

    mean: jax.Array
    """f[n_g]: mean activation."""
    covariance: jax.Array
    """f[n_g, n_g]: covariance of the activations."""
    outgoing: jax.Array
    """f[n_g, m]: outgoing weights."""
    active: jax.Array
    """bool[n_g]: units that have not been removed."""


def outgoing_weights(problem: Problem) -> list[jax.Array]:
    """Return the outgoing weights of each group, f[n_g, m]; several slices are concatenated."""
    params = problem.params
    return [
        jnp.concatenate([s.by_unit(params, group.size) for s in group.outgoing], axis=1)
        for group in problem.network.groups.groups
    ]


def layers(problem: Problem, active: jax.Array) -> list[Layer]:
    """Return the statistics of every layer."""
    mean = problem.mean(lambda X, y, weight: tuple(weight @ h for h in problem.activations(X)))

    def products(X: jax.Array, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, ...]:
        centred = [h - m for h, m in zip(problem.activations(X), mean, strict=True)]
        return tuple((c * weight[:, None]).T @ c for c in centred)

    covariance = problem.mean(products)
    split = problem.network.groups.split(active)
    return [Layer(*parts) for parts in zip(mean, covariance, outgoing_weights(problem), split, strict=True)]


@pytree_dataclass
class APoZ(Criterion):
    """Average percentage of zeros [1]_: rank first the units that are 0 on most rows. For ReLU.

    Parameters
    ----------
    threshold : float, default=0.0
        An activation of at most this absolute value counts as zero. Activation functions other than ``"relu"`` are
        hardly ever exactly 0 and need a positive threshold: at 0 all units have the same value.

    References
    ----------
    .. [1] H. Hu, R. Peng, Y.-W. Tai, C.-K. Tang (2016). Network trimming: a data-driven neuron pruning approach towards
       efficient deep architectures. arXiv 1607.03250.
    """

    name: ClassVar[str] = "apoz"
    needs: ClassVar = (ACTIVATIONS,)
    constraints: ClassVar = {"threshold": (NON_NEGATIVE,)}

    threshold: float = 0.0

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Count the zeros over all rows."""

        def zeros(X: jax.Array, y: jax.Array, weight: jax.Array) -> jax.Array:
            return jnp.concatenate([weight @ (jnp.abs(h) <= self.threshold) for h in problem.activations(X)])

        return state, scores_without_pulls(problem.mean(zeros))


@pytree_dataclass
class ActivationVariance(Criterion):
    r"""Variance of the activation: rank first the units that are best replaced by their mean.

    Parameters
    ----------
    weighted : bool, default=True
        Whether the variance is multiplied by the squared norm of the outgoing weights,
        :math:`C_{jj} \lVert w_j \rVert^2`: the mean squared error of the next layer's pre-activation if the unit alone
        is replaced by its mean.
    """

    name: ClassVar[str] = "activation_variance"
    needs: ClassVar = (ACTIVATIONS, OUTGOING)
    constraints: ClassVar = {"weighted": (BOOL,)}

    weighted: bool = static(default=True)

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Measure the variances."""
        values = []
        for layer in layers(problem, active):
            variance = jnp.diagonal(layer.covariance)
            if self.weighted:
                variance = variance * jnp.sum(jnp.square(layer.outgoing), axis=1)
            values.append(-variance)
        return state, scores_without_pulls(jnp.concatenate(values))


@pytree_dataclass
class GreedyActivationVariation(Criterion):
    r"""Add one unit after the other to the removed set so that the next layer changes least (ThiNet's form [1]_).

    .. math:: T \leftarrow T \cup \arg\min_j \Big( C_{jj} \lVert w_j \rVert^2
        + 2 \sum_{t \in T} C_{jt} \, w_j^\top w_t \Big)

    Each layer is treated separately, and nothing is refitted. The value of a unit is minus the share of the layer's
    variation that is lost with the unit and all units removed before it.

    References
    ----------
    .. [1] J.-H. Luo, J. Wu, W. Lin (2017). ThiNet: a filter level pruning method for deep neural network compression.
       ICCV. arXiv 1707.06342.
    """

    name: ClassVar[str] = "greedy_activation_variation"
    needs: ClassVar = (ACTIVATIONS, OUTGOING)

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Remove the units of each layer one by one."""
        return state, scores_without_pulls(jnp.concatenate([-self._costs(layer) for layer in layers(problem, active)]))

    def _costs(self, layer: Layer) -> jax.Array:
        coupling = layer.covariance * (layer.outgoing @ layer.outgoing.T)
        whole = jnp.sum(jnp.where(layer.active[:, None] & layer.active, coupling, 0))

        def remove(_: jax.Array, carry: Any) -> Any:
            left, increment, spent, most, costs = carry
            unit = jnp.argmin(jnp.where(left, increment, jnp.inf))
            spent = spent + increment[unit]
            # A unit may compensate for those before it. The order counts, so that no cost may be below the one before.
            cost = jnp.maximum(spent, most * (1 + _NEXT) + jnp.finfo(spent.dtype).tiny)
            costs = jnp.where(jnp.any(left), costs.at[unit].set(cost), costs)
            return left.at[unit].set(False), increment + 2 * coupling[unit], spent, cost, costs

        n = layer.active.shape[0]
        zero = jnp.zeros((), coupling.dtype)
        start = layer.active, jnp.diagonal(coupling), zero, zero, jnp.zeros(n, coupling.dtype)
        costs: jax.Array = lax.fori_loop(0, n, remove, start)[4]
        return costs / positive(whole)


def positive(x: jax.Array) -> jax.Array:
    """Return ``x`` where it is positive, else 1: a divisor that is never 0."""
    return jnp.where(x > 0, x, 1)
