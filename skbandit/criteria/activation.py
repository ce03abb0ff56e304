r"""Criteria from the activations of a layer and the weights that read them: no labels, one forward pass.

With :math:`H` the activations of a layer on the calibration rows, :math:`C` their covariance and :math:`W` the weights
of the next layer, the next layer's pre-activation loses :math:`(H - \bar h)_T W_T` when the units :math:`T` are
replaced by their means: a mean squared error of :math:`\mathrm{tr}(W_T^\top C_{TT} W_T)`.

What a sequence of removals costs is given as a share of the layer's whole :math:`\mathrm{tr}(W^\top C W)`, so that
layers compare.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._pytree import pytree_dataclass, static
from skbandit._validation import BOOL, NON_NEGATIVE
from skbandit.criteria.base import Criterion, Problem, Scores, scores_without_pulls

#: Added to the diagonal of a covariance that is inverted, as a share of its mean: as in the repair after a removal.
RIDGE = 1e-2
#: A pivot below this share of its first size is rounding.
SMALLEST_PIVOT = 1e-6


class Layer(NamedTuple):
    """A layer on the calibration rows."""

    mean: jax.Array
    """f[n_g]: mean activation."""
    covariance: jax.Array
    """f[n_g, n_g]"""
    outgoing: jax.Array
    """f[n_g, m]: the weights that read the units."""
    active: jax.Array
    """bool[n_g]"""


def activations(problem: Problem, X: jax.Array) -> tuple[jax.Array, ...]:
    """Return what the units of each group emit on rows, f[rows, n_g].

    Raises
    ------
    ValueError
        If the network does not tell.
    """
    if not hasattr(problem.network, "activations"):
        raise ValueError(
            "This criterion needs the activations of units, which the network does not give: it has no method "
            "'activations'. Criteria of damages and of gradients work for every network."
        )
    return problem.network.activations(problem.params, problem.gates, problem.emissions, X)


def _mean_over_rows(problem: Problem, of: Any) -> Any:
    """Return the weighted mean over all rows of a pytree that ``of(X, weight)`` sums over a batch's rows."""

    def body(t, carry):
        X, _, weight, total = problem.batches.take(t)
        return jax.tree.map(lambda a, b: a + b, carry, of(X, weight * total))

    X, _, weight, _ = problem.batches.take(jnp.zeros((), jnp.int32))
    start = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(of, X, weight))
    summed = lax.fori_loop(0, problem.batches.n_batches, body, start)
    return jax.tree.map(lambda a: a / jnp.sum(problem.batches.total), summed)


def outgoing_weights(problem: Problem) -> list[jax.Array]:
    """Return the weights that read each group's units, f[n_g, m]: the last slice of a group."""
    found = []
    for group in problem.network.groups.groups:
        leaf = problem.params
        for key in group.slices[-1].path:
            leaf = leaf[key]
        found.append(jnp.moveaxis(leaf, group.slices[-1].axis, 0).reshape(group.size, -1))
    return found


def layers(problem: Problem, active: jax.Array) -> list[Layer]:
    """Measure every layer."""

    def means(X, weight):
        return tuple(weight @ h for h in activations(problem, X))

    mean = _mean_over_rows(problem, means)

    def products(X, weight):
        centred = [h - m for h, m in zip(activations(problem, X), mean, strict=True)]
        return tuple((c * weight[:, None]).T @ c for c in centred)

    covariance = _mean_over_rows(problem, products)
    split = problem.network.groups.split(active)
    return [Layer(*parts) for parts in zip(mean, covariance, outgoing_weights(problem), split, strict=True)]


@pytree_dataclass
class APoZ(Criterion):
    """Average percentage of zeros [1]_: the units that are off on most rows leave first. For ReLU.

    Parameters
    ----------
    threshold : float, default=0.0
        An activation of at most this size counts as zero; for activations that have no exact zero.

    References
    ----------
    .. [1] H. Hu, R. Peng, Y.-W. Tai, C.-K. Tang (2016). Network trimming: a data-driven neuron pruning approach towards
       efficient deep architectures. arXiv 1607.03250.
    """

    name: ClassVar[str] = "apoz"
    constraints: ClassVar = {"threshold": (NON_NEGATIVE,)}

    threshold: float = 0.0

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Count over all rows."""

        def zeros(X, weight):
            return jnp.concatenate([weight @ (jnp.abs(h) <= self.threshold) for h in activations(problem, X)])

        return state, scores_without_pulls(_mean_over_rows(problem, zeros))


@pytree_dataclass
class ActivationVariance(Criterion):
    r"""Units whose activation varies little leave first: their mean can stand for them.

    Parameters
    ----------
    weighted : bool, default=True
        Times the squared norm of the outgoing weights, :math:`C_{jj} \lVert w_j \rVert^2`: the mean squared error of
        the next layer's pre-activation when the unit alone is replaced by its mean. Otherwise the variance itself.
    """

    name: ClassVar[str] = "activation_variance"
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
    r"""Grow the set of removed units so that the next layer changes least, with nothing refitted (ThiNet's form [1]_).

    .. math:: T \leftarrow T \cup \arg\min_j \Big( C_{jj} \lVert w_j \rVert^2
        + 2 \sum_{t \in T} C_{jt} \, w_j^\top w_t \Big)

    Each layer by itself; a unit's value is minus the share of the layer's variation that is gone with it and all that
    left before it.

    References
    ----------
    .. [1] J.-H. Luo, J. Wu, W. Lin (2017). ThiNet: a filter level pruning method for deep neural network compression.
       ICCV. arXiv 1707.06342.
    """

    name: ClassVar[str] = "greedy_activation_variation"

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Remove the units of each layer one by one."""
        return state, scores_without_pulls(jnp.concatenate([-self._costs(layer) for layer in layers(problem, active)]))

    def _costs(self, layer: Layer) -> jax.Array:
        coupling = layer.covariance * (layer.outgoing @ layer.outgoing.T)
        whole = jnp.sum(jnp.where(layer.active[:, None] & layer.active, coupling, 0))

        def remove(_, carry):
            left, increment, spent, costs = carry
            unit = jnp.argmin(jnp.where(left, increment, jnp.inf))
            spent = spent + increment[unit]
            costs = jnp.where(jnp.any(left), costs.at[unit].set(spent), costs)
            return left.at[unit].set(False), increment + 2 * coupling[unit], spent, costs

        n = layer.active.shape[0]
        start = layer.active, jnp.diagonal(coupling), jnp.zeros((), coupling.dtype), jnp.zeros(n, coupling.dtype)
        return lax.fori_loop(0, n, remove, start)[3] / _positive(whole)


@pytree_dataclass
class OBS(Criterion):
    r"""Optimal brain surgeon, layer by layer, on units: remove one, refit the others, go on.

    The removal of unit :math:`j` from a layer whose others are refitted by least squares costs
    :math:`\lVert w_j \rVert^2 / [G^{-1}]_{jj}`, with :math:`G` the covariance of the activations (and a small ridge).
    The weights of the others and the inverse are updated exactly, so that the summed cost of a sequence is the residual
    of the least-squares fit on those that are left. A unit's value is minus that, as a share of the layer's variation.

    References
    ----------
    .. [1] B. Hassibi, D. Stork (1992). Second order derivatives for network pruning: optimal brain surgeon. NeurIPS.
    .. [2] X. Dong, S. Chen, S. Pan (2017). Learning to prune deep neural networks via layer-wise optimal brain surgeon.
       NeurIPS. arXiv 1705.07565.
    """

    name: ClassVar[str] = "obs"

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Remove the units of each layer one by one."""
        return state, scores_without_pulls(jnp.concatenate([-self._costs(layer) for layer in layers(problem, active)]))

    def _costs(self, layer: Layer) -> jax.Array:
        on = layer.active
        both = on[:, None] & on
        gram = jnp.where(both, layer.covariance, 0)
        size = jnp.trace(gram) / _positive(jnp.sum(on))
        # Units that are off stand apart, with a pivot that is never chosen.
        gram = gram + jnp.diag(jnp.where(on, RIDGE * size + jnp.finfo(gram.dtype).tiny, 1))
        inverse = jnp.linalg.inv(gram)
        W = jnp.where(on[:, None], layer.outgoing, 0)
        whole = jnp.sum(W * (gram @ W))

        def remove(_, carry):
            left, W, inverse, spent, costs = carry
            pivots = jnp.diagonal(inverse)
            price = jnp.sum(jnp.square(W), axis=1) / jnp.where(left, pivots, 1)
            unit = jnp.argmin(jnp.where(left, price, jnp.inf))
            spent = spent + price[unit]
            costs = jnp.where(jnp.any(left), costs.at[unit].set(spent), costs)
            column = inverse[:, unit] / pivots[unit]
            W = W - jnp.outer(column, W[unit])
            inverse = inverse - jnp.outer(column, inverse[unit])
            return left.at[unit].set(False), W.at[unit].set(0), inverse, spent, costs

        n = on.shape[0]
        start = on, W, inverse, jnp.zeros((), W.dtype), jnp.zeros(n, W.dtype)
        return lax.fori_loop(0, jnp.sum(on), remove, start)[4] / _positive(whole)


@pytree_dataclass
class Submodular(Criterion):
    r"""Keep the units from which the next layer can be rebuilt best [1]_: forward selection, layer by layer.

    .. math:: F(S) = \lVert H W \rVert^2 - \min_{\tilde W} \lVert H W - H_S \tilde W \rVert^2

    over centred activations, grown greedily: a Cholesky factorisation of their covariance with the pivot of largest
    gain. A unit's value is minus the share of :math:`\lVert H W \rVert^2` that is not explained without it and all that
    were chosen after it.

    References
    ----------
    .. [1] M. El Halabi, S. Srinivas, S. Lacoste-Julien (2022). Data-efficient structured pruning via submodular
       optimization. NeurIPS. arXiv 2203.04940.
    """

    name: ClassVar[str] = "submodular"

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Choose the units of each layer one by one."""
        return state, scores_without_pulls(jnp.concatenate([-self._costs(layer) for layer in layers(problem, active)]))

    def _costs(self, layer: Layer) -> jax.Array:
        on = layer.active
        gram = jnp.where(on[:, None] & on, layer.covariance, 0)
        W = jnp.where(on[:, None], layer.outgoing, 0)
        target = gram @ W
        whole = jnp.sum(W * target)
        first = jnp.diagonal(gram)

        def choose(_, carry):
            left, gram, target, missing, costs = carry
            pivots = jnp.diagonal(gram)
            usable = left & (pivots > SMALLEST_PIVOT * first)
            gains = jnp.sum(jnp.square(target), axis=1) / jnp.where(usable, pivots, 1)
            unit = jnp.argmax(jnp.where(usable, gains, jnp.where(left, -1, -jnp.inf)))
            costs = jnp.where(jnp.any(left), costs.at[unit].set(missing), costs)
            root = jnp.sqrt(jnp.where(usable[unit], pivots[unit], 1))
            u = jnp.where(usable[unit], gram[:, unit] / root, 0)
            c = jnp.where(usable[unit], target[unit] / root, 0)
            missing = jnp.maximum(missing - jnp.sum(jnp.square(c)), 0)
            return left.at[unit].set(False), gram - jnp.outer(u, u), target - jnp.outer(u, c), missing, costs

        n = on.shape[0]
        start = on, gram, target, whole, jnp.zeros(n, W.dtype)
        return lax.fori_loop(0, jnp.sum(on), choose, start)[4] / _positive(whole)


def _positive(x: jax.Array) -> jax.Array:
    return jnp.where(x > 0, x, 1)
