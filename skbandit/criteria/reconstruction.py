r"""Criteria of reconstruction: how well the input of the next layer can be reconstructed from the remaining units.

Let :math:`H` be the activations of a layer on the calibration rows, and :math:`W` the weights of the next layer. The
set :math:`S` of remaining units reconstructs :math:`H W` by :math:`H_S \tilde W`, where :math:`\tilde W` is fitted by
least squares, with a free bias: all activations are centred. The criteria need no labels. They pass over the rows to
measure the covariance of each layer, and then only compute with that.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._core.constraints import OneOf
from skbandit._core.pytree import pytree_dataclass, static
from skbandit._core.ranking import choose, ranks_in_groups
from skbandit.criteria.activation import Layer, layers, positive
from skbandit.criteria.base import Criterion, Problem, Scores, scores_without_pulls
from skbandit.networks.capabilities import ACTIVATIONS, DENSE_LAYERS, OUTGOING, Capability

#: Ridge of an inverted covariance, as a share of its mean diagonal entry: the same as in the repair after a removal.
RIDGE = 1e-2
#: A pivot below this share of its initial value is rounding.
SMALLEST_PIVOT = 1e-6
#: A share of the whole below this multiple of the machine epsilon counts as 0; otherwise rounding would decide.
ROUNDING = 100
#: Number of shares of a layer at which the loss is measured for ``budgets="accuracy"``.
N_LEVELS = 8


@pytree_dataclass
class OBS(Criterion):
    r"""Layer-wise optimal brain surgeon on units: remove one unit, refit the others, and repeat [1]_ [2]_.

    If unit :math:`j` is removed and the others are refitted by least squares, the error rises by
    :math:`\lVert w_j \rVert^2 / [G^{-1}]_{jj}`, with :math:`G` the covariance of the activations plus a small ridge.
    The weights of the others and the inverse are updated exactly, so that the costs of a sequence sum to the residual
    of the least-squares fit on the remaining units. The value of a unit is minus this sum, as a share of the layer's
    variation.

    References
    ----------
    .. [1] B. Hassibi, D. Stork (1992). Second order derivatives for network pruning: optimal brain surgeon. NeurIPS.
    .. [2] X. Dong, S. Chen, S. Pan (2017). Learning to prune deep neural networks via layer-wise optimal brain surgeon.
       NeurIPS. arXiv 1705.07565.
    """

    name: ClassVar[str] = "obs"
    needs: ClassVar = (ACTIVATIONS, OUTGOING)

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Remove the units of each layer one by one."""
        return state, scores_without_pulls(jnp.concatenate([-self._costs(layer) for layer in layers(problem, active)]))

    def _costs(self, layer: Layer) -> jax.Array:
        on = layer.active
        both = on[:, None] & on
        gram = jnp.where(both, layer.covariance, 0)
        size = jnp.trace(gram) / positive(jnp.sum(on))
        # Inactive units are uncorrelated with all others, and their pivot is never chosen.
        gram = gram + jnp.diag(jnp.where(on, RIDGE * size + jnp.finfo(gram.dtype).tiny, 1))
        inverse = jnp.linalg.inv(gram)
        W = jnp.where(on[:, None], layer.outgoing, 0)
        whole = jnp.sum(W * (gram @ W))

        def remove(_: jax.Array, carry: Any) -> Any:
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
        costs: jax.Array = lax.fori_loop(0, jnp.sum(on), remove, start)[4]
        return costs / positive(whole)


def greedy_selection(gram: jax.Array, target: jax.Array, whole: jax.Array, on: jax.Array) -> jax.Array:
    r"""Choose the units of a layer one by one, each time the unit that explains most of the unexplained target.

    The algorithm is a Cholesky factorisation of :math:`B^\top B`, with the pivot of largest gain, that updates
    :math:`B^\top T` as well.

    Parameters
    ----------
    gram : f[n, n]
        :math:`B^\top B`, with :math:`B` the centred activations of the units.
    target : f[n, m]
        :math:`B^\top T`, with :math:`T` the target.
    whole : f[]
        :math:`\lVert T \rVert^2`.
    on : bool[n]
        Units to choose from.

    Returns
    -------
    costs : f[n]
        The share of ``whole`` that is not explained without the unit and all units chosen after it. The first chosen
        unit has the largest cost; once the target is explained, the other units have a cost of 0.
    """
    first, nothing = jnp.diagonal(gram), ROUNDING * jnp.finfo(gram.dtype).eps * whole

    def step(_: jax.Array, carry: Any) -> Any:
        left, gram, target, missing, costs = carry
        pivots = jnp.diagonal(gram)
        usable = left & (pivots > SMALLEST_PIVOT * first)
        gains = jnp.sum(jnp.square(target), axis=1) / jnp.where(usable, pivots, 1)
        gains = jnp.where(gains > nothing, gains, 0)
        gains = jnp.where(usable, gains, jnp.where(left, -1, -jnp.inf))
        # In the last remaining direction all units explain the same. The size of the pivot decides then, not rounding.
        best = jnp.max(gains)
        near = gains >= best - jnp.sqrt(jnp.finfo(gains.dtype).eps) * jnp.abs(best)
        unit = jnp.argmax(jnp.where(near, pivots, -jnp.inf))
        costs = jnp.where(jnp.any(left), costs.at[unit].set(missing), costs)
        root = jnp.sqrt(jnp.where(usable[unit], pivots[unit], 1))
        u = jnp.where(usable[unit], gram[:, unit] / root, 0)
        c = jnp.where(usable[unit], target[unit] / root, 0)
        missing = missing - jnp.sum(jnp.square(c))
        missing = jnp.where(missing > nothing, missing, 0)
        return left.at[unit].set(False), gram - jnp.outer(u, u), target - jnp.outer(u, c), missing, costs

    start = on, gram, target, whole, jnp.zeros(on.shape[0], gram.dtype)
    costs: jax.Array = lax.fori_loop(0, jnp.sum(on), step, start)[4]
    return costs / positive(whole)


@pytree_dataclass
class Submodular(Criterion):
    r"""Forward selection of the units from which the next layer can be reconstructed best [1]_.

    .. math:: F(S) = \lVert A W \rVert^2 - \min_{\tilde W} \lVert A W - B_S \tilde W \rVert^2

    is maximised greedily in each layer. The value of a unit is minus the share of :math:`\lVert A W \rVert^2` that is
    not explained without the unit and all units chosen after it.

    Parameters
    ----------
    form : {"layer", "sequential", "asymmetric"}, default="layer"
        ``"layer"``: each layer separately; :math:`A = B` are the present activations. The other forms go from the first
        layer to the last; :math:`B` are the activations after units of the earlier layers have been removed and their
        next layers refitted. ``"sequential"`` reconstructs from these (:math:`A = B`). ``"asymmetric"`` reconstructs
        the input of the next layer before any removal, and so corrects the errors of earlier layers.
    budgets : {"share", "equal", "accuracy"}, default="share"
        How the removals of the round are distributed over the layers. ``"share"``: by the share that is not explained.
        ``"equal"``: the same share of the units of each layer. ``"accuracy"``: units are removed from each layer alone,
        an eighth at a time, the next layer is refitted and the loss is measured; layers lose units up to an equal loss
        [2]_.

    References
    ----------
    .. [1] M. El Halabi, S. Srinivas, S. Lacoste-Julien (2022). Data-efficient structured pruning via submodular
       optimization. NeurIPS. arXiv 2203.04940.
    .. [2] A. Kuzmin, M. Nagel, S. Pitre, S. Pendyam, T. Blankevoort, M. Welling (2019). Taxonomy and evaluation of
       structured compression of convolutional neural networks. arXiv 1912.09802.
    """

    name: ClassVar[str] = "submodular"
    needs: ClassVar = (ACTIVATIONS, OUTGOING)
    constraints: ClassVar = {
        "form": (OneOf(("layer", "sequential", "asymmetric")),),
        "budgets": (OneOf(("share", "equal", "accuracy")),),
    }

    form: str = static(default="layer")
    budgets: str = static(default="share")

    def required(self) -> tuple[Capability[Any], ...]:
        """Return `DenseLayers` if layers are refitted, otherwise `ShowsActivations`."""
        refits = self.form != "layer" or self.budgets == "accuracy"
        return (*self.needs, DENSE_LAYERS) if refits else self.needs

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Choose the units of each layer one by one."""
        groups = problem.network.groups
        measured = layers(problem, active)
        costs = [self._costs(layer) for layer in measured]
        if self.budgets == "share":
            value = -jnp.concatenate(costs)
        elif self.budgets == "equal":
            value = jnp.concatenate([self._place(c, layer.active) for c, layer in zip(costs, measured, strict=True)])
        else:
            value = -jnp.concatenate(self._losses(problem, measured, costs))
        if self.form != "layer":
            group = jnp.asarray(groups.group_of(), jnp.int32)
            leave = choose(value, active, problem.n_remove, group, problem.room)
            value = self._in_turn(problem, measured, groups.split(leave))
        return state, scores_without_pulls(value)

    def _costs(self, layer: Layer) -> jax.Array:
        on = layer.active
        gram = jnp.where(on[:, None] & on, layer.covariance, 0)
        W = jnp.where(on[:, None], layer.outgoing, 0)
        return greedy_selection(gram, gram @ W, jnp.sum(W * (gram @ W)), on)

    def _place(self, costs: jax.Array, on: jax.Array) -> jax.Array:
        """Return minus the place of each unit in the order of removal, as a share of the layer."""
        place = ranks_in_groups(-costs, on, jnp.zeros(costs.shape[0], jnp.int32), 1)
        return -(place + 1) / positive(jnp.sum(on))

    def _losses(self, problem: Problem, measured: list[Layer], costs: list[jax.Array]) -> list[jax.Array]:
        """Return, for each layer alone, the loss after removing a unit and all units before it, f[n_g]."""
        pairs = zip(measured, costs, strict=True)
        return [self._losses_of_layer(problem, i, layer, cost) for i, (layer, cost) in enumerate(pairs)]

    def _losses_of_layer(self, problem: Problem, i: int, layer: Layer, cost: jax.Array) -> jax.Array:
        on, mean = layer.active, layer.mean
        n_on = jnp.sum(on)
        order = ranks_in_groups(-cost, on, jnp.zeros(on.shape[0], jnp.int32), 1)  # 0 leaves first
        gram = jnp.where(on[:, None] & on, layer.covariance, 0)
        W = jnp.where(on[:, None], layer.outgoing, 0)

        def loss_at(level: jax.Array) -> jax.Array:
            stays = on & (order >= level / N_LEVELS * n_on)
            params = refit(problem.params, i, stays, gram, gram @ W, mean, mean @ W)
            gates = list(problem.gates)
            gates[i] = jnp.where(stays, gates[i], 0)
            return problem.mean_loss(params, tuple(gates))

        losses = lax.cummax(lax.map(loss_at, jnp.arange(N_LEVELS)))
        # Linear interpolation between levels; the last eighth is extrapolated and ranks last.
        at = N_LEVELS * (order + 1) / positive(n_on)
        low = jnp.clip(at.astype(int), 0, N_LEVELS - 1)
        high = jnp.minimum(low + 1, N_LEVELS - 1)
        between = losses[low] + (at - low) * (losses[high] - losses[low])
        beyond = at > N_LEVELS - 1
        last = losses[N_LEVELS - 1] + (at - (N_LEVELS - 1)) * jnp.maximum(
            losses[N_LEVELS - 1] - losses[N_LEVELS - 2], jnp.finfo(losses.dtype).eps
        )
        return jnp.where(beyond, last, between)

    def _in_turn(self, problem: Problem, measured: list[Layer], leave: tuple[jax.Array, ...]) -> jax.Array:
        """Select again, from the first layer to the last, after the removals in the layers before."""
        params, gates = jax.tree.map(jnp.asarray, problem.params), list(problem.gates)
        values = []
        for i, layer in enumerate(measured):
            repaired = dataclasses.replace(problem, params=params, gates=tuple(gates))
            means, gram, cross, before = self._moments(problem, repaired, i)
            on, W = layer.active, jnp.where(layer.active[:, None], layer.outgoing, 0)
            gram = jnp.where(on[:, None] & on, gram, 0)
            target = jnp.where(on[:, None], cross @ W, 0)
            costs = greedy_selection(gram, target, jnp.sum(W * (before @ W)), on)
            one_group, n_leave = jnp.zeros(on.shape[0], jnp.int32), jnp.sum(leave[i], dtype=jnp.int32)
            gone = on & (ranks_in_groups(-costs, on, one_group, 1) < n_leave)
            # Units to remove rank before all units that stay, in every layer.
            values.append(jnp.where(gone, 1 - costs, -1 - costs))
            params = refit(params, i, on & ~gone, gram, target, means[0], means[1] @ W)
            gates[i] = jnp.where(gone, 0, gates[i])
        return jnp.concatenate(values)

    def _moments(
        self, problem: Problem, repaired: Problem, i: int
    ) -> tuple[tuple[jax.Array, jax.Array], jax.Array, jax.Array, jax.Array]:
        """Return the moments of a layer's activations, in the repaired network and in the one to reconstruct.

        Parameters
        ----------
        problem : Problem
            The round; with ``form="asymmetric"`` its network is the one to reconstruct.
        repaired : Problem
            The same with the repaired network.
        i : int
            Index of the layer.

        Returns
        -------
        means : tuple of f[n_i]
            Means of the repaired activations and of those to reconstruct.
        gram, cross, before : f[n_i, n_i]
            Covariance of the repaired activations, their covariance with those to reconstruct, and that of the latter.
        """

        def both(X: jax.Array) -> tuple[jax.Array, jax.Array]:
            now = repaired.activations(X)[i]
            return now, problem.activations(X)[i] if self.form == "asymmetric" else now

        def mean(X: jax.Array, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array]:
            now, before = both(X)
            return weight @ now, weight @ before

        means: tuple[jax.Array, jax.Array] = problem.mean(mean)

        def products(X: jax.Array, y: jax.Array, weight: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            now, before = (h - m for h, m in zip(both(X), means, strict=True))
            now_weighted = now * weight[:, None]
            return now_weighted.T @ now, now_weighted.T @ before, (before * weight[:, None]).T @ before

        return means, *problem.mean(products)


def refit(
    params: Any,
    i: int,
    stays: jax.Array,
    gram: jax.Array,
    target: jax.Array,
    mean: jax.Array,
    target_mean: jax.Array,
) -> Any:
    """Refit the layer after a hidden layer by least squares, in a chain of dense layers.

    Parameters
    ----------
    params : tuple of (W, b, ...)
        Parameters of the layers.
    i : int
        Index of the hidden layer; layer ``i + 1`` is refitted.
    stays : bool[n_i]
        Units that stay.
    gram : f[n_i, n_i]
        Covariance of the activations of the hidden layer.
    target : f[n_i, n_next]
        Covariance of these activations with the target, the wanted pre-activation of the next layer without its bias.
    mean : f[n_i]
        Mean of the activations.
    target_mean : f[n_next]
        Mean of the target.

    Returns
    -------
    params : tuple of (W, b, ...)
        Parameters with new weights and bias; the weights of removed units are 0.
    """
    ridge = RIDGE * jnp.trace(gram) / positive(jnp.sum(jnp.diagonal(gram) > 0)) + jnp.finfo(gram.dtype).tiny
    both = stays[:, None] & stays
    system = jnp.where(both, gram, 0) + jnp.diag(jnp.where(stays, ridge, 1))
    old, b, *rest = params[i + 1]
    old = jnp.where(stays[:, None], old, 0)
    # The ridge pulls towards the old weights, as in the repair.
    W = jnp.linalg.solve(system, jnp.where(stays[:, None], target, 0) + ridge * old)
    W = jnp.where(stays[:, None], W, 0)
    return (*params[: i + 1], (W, b + target_mean - mean @ W, *rest), *params[i + 2 :])
