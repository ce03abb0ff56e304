r"""Criteria that use derivatives of the loss with respect to the gates.

Removing unit :math:`j` changes its gate :math:`g_j` from 1 to 0. To second order the loss changes by

.. math:: \Delta L_j \approx -\frac{\partial L}{\partial g_j} + \frac{1}{2} \frac{\partial^2 L}{\partial g_j^2}.

The criteria need only a loss that takes gates, and spend no pulls. `Taylor` and `Fisher` take one backward pass for
all units together, which costs about as much as two forward passes; `OBD` takes more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from skbandit._core.constraints import BOOL, OneOf
from skbandit._core.pytree import pytree_dataclass, static
from skbandit.criteria.base import Criterion, Problem, Scores, scores_without_pulls

#: Number of units whose second derivatives are computed at a time.
_TILE = 16


def _loss(problem: Problem, X: jax.Array, y: jax.Array, weight: jax.Array) -> Callable[[Any], jax.Array]:
    return lambda gates: problem.loss(problem.params, gates, X, y, weight)


def _of_rows(problem: Problem, X: jax.Array, y: jax.Array) -> jax.Array:
    """Return the gradient of each row's loss, f[rows, n]."""
    alone = jnp.ones(1, problem.gates[0].dtype)

    def row(x: jax.Array, target: jax.Array) -> jax.Array:
        return jnp.concatenate(jax.grad(_loss(problem, x[None], target[None], alone))(problem.gates))

    of_rows: jax.Array = jax.vmap(row)(X, y)
    return of_rows


@pytree_dataclass
class Taylor(Criterion):
    r"""First-order saliency: the size of the derivative of the loss with respect to a unit's gate.

    Parameters
    ----------
    of : {"squared", "absolute"}, default="squared"
        ``"squared"``: :math:`(\partial L_B / \partial g_j)^2`, averaged over mini-batches :math:`B` [1]_.
        ``"absolute"``: :math:`|\partial l_i / \partial g_j|`, averaged over rows :math:`i` [2]_.

    Notes
    -----
    The normalisation of [2]_ within a layer is left out. The sign is discarded on purpose: in a well-trained network
    the signed mean over all rows is near 0 for every unit, and would rank noise.

    References
    ----------
    .. [1] P. Molchanov, A. Mallya, S. Tyree, I. Frosio, J. Kautz (2019). Importance estimation for neural network
       pruning. CVPR. arXiv 1906.10771.
    .. [2] P. Molchanov, S. Tyree, T. Karras, T. Aila, J. Kautz (2017). Pruning convolutional neural networks for
       resource efficient inference. ICLR. arXiv 1611.06440.
    """

    name: ClassVar[str] = "taylor"
    constraints: ClassVar = {"of": (OneOf(("squared", "absolute")),)}

    of: str = static(default="squared")

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Average the derivatives over mini-batches or rows."""

        def squared(X: jax.Array, y: jax.Array, weight: jax.Array) -> jax.Array:
            return jnp.square(problem.derivatives(X, y, weight))

        def absolute(X: jax.Array, y: jax.Array, weight: jax.Array) -> jax.Array:
            return weight @ jnp.abs(_of_rows(problem, X, y))

        return state, scores_without_pulls(-problem.mean(squared if self.of == "squared" else absolute))


@pytree_dataclass
class Fisher(Criterion):
    r"""Half the diagonal of the empirical Fisher information of the gates.

    .. math:: \tfrac12 \, \mathrm{mean}_i \Big(\frac{\partial l_i}{\partial g_j}\Big)^2

    with :math:`l_i` the loss of row :math:`i`. For a log loss, and a network that predicts the distribution of the
    labels, the expectation of the square equals the second derivative [1]_. It is then a non-negative estimate of the
    damage. For other losses it is a saliency on a scale of its own.

    References
    ----------
    .. [1] L. Theis, I. Korshunova, A. Tejani, F. Huszár (2018). Faster gaze prediction with dense networks and Fisher
       pruning. arXiv 1801.05787.
    """

    name: ClassVar[str] = "fisher"

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Average the squared derivatives over rows."""
        score = problem.mean(lambda X, y, w: 0.5 * (w @ jnp.square(_of_rows(problem, X, y))))
        return state, scores_without_pulls(-score)


@pytree_dataclass
class OBD(Criterion):
    r"""Optimal brain damage [1]_ on gates: half the second derivative of the loss.

    The second derivative along each gate is exact. For every unit it takes the forward derivative of a backward pass,
    about as much work as three pulls of the unit on every mini-batch.

    Parameters
    ----------
    first_order : bool, default=False
        Whether to subtract the first derivative, which is 0 only at a minimum of the loss. The estimate is then exact
        if the loss is quadratic in the gate, as in the last hidden layer with a squared error.

    References
    ----------
    .. [1] Y. LeCun, J. Denker, S. Solla (1989). Optimal brain damage. NeurIPS.
    """

    name: ClassVar[str] = "obd"
    constraints: ClassVar = {"first_order": (BOOL,)}

    first_order: bool = static(default=False)

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Average the second derivatives over mini-batches."""
        groups = problem.network.groups

        def of(X: jax.Array, y: jax.Array, weight: jax.Array) -> jax.Array:
            def slope(flat: jax.Array) -> jax.Array:
                gradient = jax.grad(_loss(problem, X, y, weight))(tuple(groups.split(flat)))
                return jnp.concatenate(gradient)

            flat = jnp.concatenate(problem.gates)

            def along(unit: jax.Array) -> jax.Array:
                towards = jnp.zeros_like(flat).at[unit].set(1)
                first, second = jax.jvp(slope, (flat,), (towards,))
                damage: jax.Array = 0.5 * second[unit] - (first[unit] if self.first_order else 0)
                return damage

            damages: jax.Array = lax.map(along, jnp.arange(flat.shape[0]), batch_size=min(_TILE, flat.shape[0]))
            return damages

        damage = problem.mean(of)
        return state, Scores(-damage, jnp.zeros((), jnp.int32), damage)
