r"""Criteria that train a copy of the network with a learned or imposed gate on every unit.

They were published for weights, channels or filters; here they are applied to the units of the groups. The trained
weights are discarded: all criteria prune the same network. The cost is ``n_steps`` forward and backward passes of a
mini-batch in every round of pruning (DAIS and BiP take two per step).
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._core.constraints import NON_NEGATIVE, Number
from skbandit._core.pytree import pytree_dataclass
from skbandit._core.ranking import choose
from skbandit._core.scope import spread
from skbandit.criteria.base import Criterion, Problem, Scores, scores_without_pulls, trainable
from skbandit.criteria.descent import STEPS, Adam, Variable, descend
from skbandit.criteria.weights import unit_norms
from skbandit.networks.capabilities import COSTS, OUTGOING, offers
from skbandit.networks.groups import Group, Groups

Params = Any
#: A gate of DAIS is σ(α / T). OPEN is the initial α, at T = 1; at the last temperature gates are close to 0 or 1.
OPEN, LAST_TEMPERATURE = 3.0, 1 / 50


@pytree_dataclass
class GateCriterion(Criterion):
    """Base of the criteria of this module.

    Parameters
    ----------
    n_steps : int, default=1000
        Number of steps of Adam, each on a mini-batch.
    learning_rate : float, default=1e-3
        Learning rate of the weights.
    """

    constraints: ClassVar = {"n_steps": (STEPS,), "learning_rate": (NON_NEGATIVE,)}

    n_steps: int = 1000
    learning_rate: float = 1e-3


def _loss(problem: Problem, params: Params, gates: jax.Array, t: jax.Array) -> jax.Array:
    """Return the loss on mini-batch ``t``, modulo their number, with the gates f[n]."""
    *rows, _ = problem.batches.take(lax.rem(t, problem.batches.n_batches))
    split = tuple(problem.network.groups.split(gates))
    return problem.network.batch_loss(params, split, tuple(map(jnp.zeros_like, split)), *spread(*rows))


def _kept(problem: Problem, importance: jax.Array, active: jax.Array) -> jax.Array:
    """Return the units that stay, bool[n], if the round removes the units of least importance."""
    group = jnp.asarray(problem.network.groups.group_of(), jnp.int32)
    return active & ~choose(-importance, active, problem.n_remove, group, problem.room)


@pytree_dataclass
class DAIS(GateCriterion):
    r"""Differentiable annealing indicator search: sigmoid gates that become hard, with a budget of multiplications.

    Gates are :math:`I_j = \sigma(\alpha_j / T)`, with :math:`T` falling from 1 to 1/50. A step of Adam on the weights
    alternates with a step on :math:`\alpha`, on the next mini-batch, to minimise the loss plus

    .. math:: \lambda_1 \, \mathrm{mean}_j I_j + \lambda_2 \, \mathrm{sign}(E - F) \log E, \qquad
        E = \sum_l \Big(\sum_j I_{l-1, j}\Big) \Big(\sum_j I_{l, j}\Big),

    where :math:`E` is the expected number of multiplications for one row, and the budget :math:`F` is their number if
    each layer loses the same share of its units. (For a network that does not offer `Costs`, :math:`E` is the expected
    number of units.) Units are ranked by :math:`\alpha`.

    Parameters
    ----------
    n_steps : int, default=1000
        Number of pairs of steps, each step on a mini-batch.
    learning_rate : float, default=1e-3
        Learning rate of the weights.
    gate_learning_rate : float, default=1e-2
        Learning rate of :math:`\alpha`.
    sparsity : float, default=0.01
        The factor :math:`\lambda_1`.
    budget_weight : float, default=0.1
        The factor :math:`\lambda_2`.

    Notes
    -----
    The schedule and all constants are our own; the code of the paper is not public.

    References
    ----------
    .. [1] Y. Guan, N. Liu, P. Zhao, Z. Che, K. Bian, Y. Wang, J. Tang (2020). DAIS: automatic channel pruning via
       differentiable annealing indicator search. arXiv 2011.02166.
    """

    name: ClassVar[str] = "dais"
    constraints: ClassVar = GateCriterion.constraints | {
        "gate_learning_rate": (NON_NEGATIVE,),
        "sparsity": (NON_NEGATIVE,),
        "budget_weight": (NON_NEGATIVE,),
    }

    gate_learning_rate: float = 1e-2
    sparsity: float = 0.01
    budget_weight: float = 0.1

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Train weights and gates alternately."""
        on = active.astype(problem.gates[0].dtype)
        n_active = jnp.sum(on)
        budget = self._cost(problem, on, 1 - problem.n_remove / n_active)

        def gates_of(alpha: jax.Array, share: jax.Array) -> jax.Array:
            return on * jax.nn.sigmoid(alpha / (1 + share * (LAST_TEMPERATURE - 1)))

        floats, rebuild = trainable(problem.params)

        def loss_of_weights(floats: list[jax.Array], alpha: jax.Array, t: jax.Array, share: jax.Array) -> jax.Array:
            return _loss(problem, rebuild(floats), gates_of(alpha, share), t)

        def loss_of_gates(alpha: jax.Array, floats: list[jax.Array], t: jax.Array, share: jax.Array) -> jax.Array:
            gates = gates_of(alpha, share)
            cost = self._cost(problem, gates)
            towards = jnp.sign(lax.stop_gradient(cost) - budget) * jnp.log(jnp.maximum(cost, 1))
            sparse = self.sparsity * jnp.sum(gates) / n_active
            return _loss(problem, rebuild(floats), gates, t) + sparse + self.budget_weight * towards

        of_weights, of_gates = Adam(self.learning_rate), Adam(self.gate_learning_rate)

        def body(t: jax.Array, share: jax.Array, carry: tuple[Variable, Variable]) -> tuple[Variable, Variable]:
            weights, alpha = carry
            weights = of_weights.step(weights, jax.grad(loss_of_weights)(weights.value, alpha.value, 2 * t, share))
            alpha = of_gates.step(alpha, jax.grad(loss_of_gates)(alpha.value, weights.value, 2 * t + 1, share))
            return weights, alpha

        start = of_weights.begin(floats), of_gates.begin(jnp.full_like(on, OPEN))
        _, alpha = descend(self.n_steps, body, start)
        return state, scores_without_pulls(-alpha.value)

    def _cost(self, problem: Problem, gates: jax.Array, share: Any = 1.0) -> jax.Array:
        """Return the expected multiplications for one row, with ``share`` of the units; or the number of units."""
        network = problem.network
        widths = [share * jnp.sum(part) for part in network.groups.split(gates)]
        return jnp.asarray(network.n_macs(widths) if offers(network, COSTS) else sum(widths))


@pytree_dataclass
class BiP(GateCriterion):
    r"""Bi-level pruning: optimise the mask on the upper level, and the weights for this mask on the lower level.

    Each unit has a mask score; the units of highest mask score are on. A step on the weights, with the mask fixed,
    alternates with a step on the mask scores, on another mini-batch, along the implicit gradient

    .. math:: \frac{dl}{dm_j} = \sum_w \Big(\theta_w - \frac{1}{\gamma} m_j \, \partial_w l\Big) \, \partial_w l

    over the outgoing weights :math:`w` of the unit, with derivatives at the masked weights. The mask :math:`m` is
    treated as if it were equal to the mask scores. Units are ranked by the mask scores.

    Parameters
    ----------
    n_steps : int, default=1000
        Number of pairs of steps, each step on a mini-batch.
    learning_rate : float, default=1e-3
        Learning rate of the weights.
    score_learning_rate : float, default=1e-2
        Learning rate of the mask scores. They start at the norms of the units' weights, divided by the mean norm of the
        layer.
    implicit : float, default=1e-4
        The factor :math:`1/\gamma`; with 0 the weights are treated as constants.

    Notes
    -----
    The paper derives the second term from a penalty on the weights. The steps on the weights leave this penalty out.

    References
    ----------
    .. [1] Y. Zhang, Y. Yao, P. Ram, P. Zhao, T. Chen, M. Hong, Y. Wang, S. Liu (2022). Advancing model pruning via
       bi-level optimization. NeurIPS. arXiv 2210.04092.
    """

    name: ClassVar[str] = "bip"
    needs: ClassVar = (OUTGOING,)
    constraints: ClassVar = GateCriterion.constraints | {
        "score_learning_rate": (NON_NEGATIVE,),
        "implicit": (NON_NEGATIVE,),
    }

    score_learning_rate: float = 1e-2
    implicit: float = 1e-4

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Train weights and mask scores alternately."""
        groups = problem.network.groups
        dtype = problem.gates[0].dtype
        ones = active.astype(dtype)
        of_weights, of_scores = Adam(self.learning_rate), Adam(self.score_learning_rate)
        floats, rebuild = trainable(problem.params)

        def loss(floats: list[jax.Array], gates: jax.Array, t: jax.Array) -> jax.Array:
            return _loss(problem, rebuild(floats), gates, t)

        def body(t: jax.Array, share: jax.Array, carry: tuple[Variable, Variable]) -> tuple[Variable, Variable]:
            weights, scores = carry
            mask = _kept(problem, scores.value, active).astype(dtype)
            weights = of_weights.step(weights, jax.grad(loss)(weights.value, mask, 2 * t))
            params = rebuild(weights.value)
            masked, _ = trainable(groups.scale_outgoing(params, mask))
            slopes = rebuild(jax.grad(loss)(masked, ones, 2 * t + 1))
            gradient = _unit_products(groups, params, slopes)
            gradient = gradient - self.implicit * mask * _unit_products(groups, slopes, slopes)
            return weights, of_scores.step(scores, gradient.astype(dtype))

        norms = unit_norms(groups, rebuild(floats))
        layers = zip(groups.split(norms), groups.split(ones), strict=True)
        means = [jnp.sum(layer * on) / jnp.maximum(jnp.sum(on), 1) for layer, on in layers]
        layers = zip(groups.split(norms), means, strict=True)
        first = jnp.concatenate([layer / jnp.where(mean > 0, mean, 1) for layer, mean in layers])
        _, scores = descend(self.n_steps, body, (of_weights.begin(floats), of_scores.begin(first)))
        return state, scores_without_pulls(-scores.value)


def _unit_products(groups: Groups, a: Params, b: Params) -> jax.Array:
    """Return the inner product f[n] of the outgoing slices of each unit in ``a`` and ``b``."""

    def of_group(group: Group) -> jax.Array:
        sides = ((s.by_unit(a, group.size), s.by_unit(b, group.size)) for s in group.outgoing)
        return sum((jnp.sum(x * y, axis=1) for x, y in sides), jnp.zeros(group.size))

    return jnp.concatenate([of_group(group) for group in groups.groups])


@pytree_dataclass
class IterativeSoftShrinkage(GateCriterion):
    r"""Iterative soft shrinkage: after each step the outgoing weights of the smallest units are shrunk.

    The size of a unit is the product of the norms of its incoming and outgoing weights. The smallest units are chosen
    again after every step, so that a shrunk unit can recover. Units are ranked by their final size.

    Parameters
    ----------
    n_steps : int, default=1000
        Number of steps of Adam, each on a mini-batch.
    learning_rate : float, default=1e-3
        Learning rate of the weights.
    shrinkage : float, default=0.99
        Factor by which a step shrinks the outgoing weights.

    References
    ----------
    .. [1] J. Wang, H. Zhang, H. Wang, Y. Zhang, Y. Fu (2023). Iterative soft shrinkage learning for efficient image
       super-resolution. ICCV. arXiv 2303.09650.
    """

    name: ClassVar[str] = "iss"
    needs: ClassVar = (OUTGOING,)
    constraints: ClassVar = GateCriterion.constraints | {"shrinkage": (Number(0, 1),)}

    shrinkage: float = 0.99

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Train and shrink alternately."""
        groups, gates = problem.network.groups, active.astype(problem.gates[0].dtype)
        adam = Adam(self.learning_rate)
        floats, rebuild = trainable(problem.params)

        def body(t: jax.Array, share: jax.Array, weights: Variable) -> Variable:
            weights = adam.step(weights, jax.grad(lambda new: _loss(problem, rebuild(new), gates, t))(weights.value))
            params = rebuild(weights.value)
            factor = jnp.where(_kept(problem, unit_norms(groups, params), active), 1, self.shrinkage)
            shrunk, _ = trainable(groups.scale_outgoing(params, factor.astype(gates.dtype)))
            return weights._replace(value=shrunk)

        weights = descend(self.n_steps, body, adam.begin(floats))
        return state, scores_without_pulls(-unit_norms(groups, rebuild(weights.value)))


@pytree_dataclass
class MaskDecay(GateCriterion):
    r"""Decaying mask: the gates of the smallest units fall from 1 to 0 during training.

    This is the recipe for N:M sparsity with groups as wide as a layer. The gates are :math:`m + (1 - m)(1 - t/n)`. The
    mask :math:`m` keeps the units of largest size, the product of the norms of incoming and outgoing weights, and is
    computed again at every step. Units are ranked by their final size.

    Parameters
    ----------
    n_steps : int, default=1000
        Number of steps of Adam, each on a mini-batch.
    learning_rate : float, default=1e-3
        Learning rate of the weights.
    decay : float, default=1.0
        Speed of the decay, at least 1: the gates reach 0 after ``1 / decay`` of the steps.

    Notes
    -----
    Gradients are those of the masked network, not of a straight-through estimator as in the paper.

    References
    ----------
    .. [1] S.-C. Kao, A. Yazdanbakhsh, S. Subramanian, S. Agrawal, U. Evci, T. Krishna (2022). Training recipe for N:M
       structured sparsity with decaying pruning mask. arXiv 2209.07617.
    """

    name: ClassVar[str] = "mask_decay"
    constraints: ClassVar = GateCriterion.constraints | {"decay": (Number(1),)}

    decay: float = 1.0

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Train with the decaying mask."""
        groups, on = problem.network.groups, active.astype(problem.gates[0].dtype)
        adam = Adam(self.learning_rate)
        floats, rebuild = trainable(problem.params)

        def body(t: jax.Array, share: jax.Array, weights: Variable) -> Variable:
            kept = _kept(problem, unit_norms(groups, rebuild(weights.value)), active)
            gates = jnp.where(kept, on, on * jnp.maximum(1 - self.decay * share, 0).astype(on.dtype))
            return adam.step(weights, jax.grad(lambda new: _loss(problem, rebuild(new), gates, t))(weights.value))

        weights = descend(self.n_steps, body, adam.begin(floats))
        return state, scores_without_pulls(-unit_norms(groups, rebuild(weights.value)))
