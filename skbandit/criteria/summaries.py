r"""Summaries of damages: what units are ranked by.

A unit has one damage on each mini-batch on which it is masked, :math:`d_b`, and the mini-batch a weight :math:`w_b`,
the summed weight of its rows. The smaller the summary, the safer the unit:

``"mean"``
    The mean :math:`\bar d = \sum_b w_b d_b / \sum_b w_b`: the rise of the loss, if the unit leaves alone.
``"absolute"``
    :math:`|\bar d|`: how much the loss changes, whether it rises or falls.
``"rms"``
    :math:`\sqrt{\sum_b w_b d_b^2 / \sum_b w_b}`, the root of the mean square: how much the loss changes on a
    mini-batch, also where changes cancel out over the rows.
``"curvature"``
    The mean of :math:`d_b - s_b`, where :math:`s_b = -g_j \partial L_b / \partial g_j` is the first-order part of the
    damage of unit :math:`j` with gate :math:`g_j`: how much more the loss rises than its slope says. It is what optimal
    brain damage [2]_ estimates by half the second derivative, measured to all orders.

Near a minimum of the loss, a damage below zero is mostly the slope that training has left, with its noise. Each unit of
negative damage then lowers the loss a little when it leaves alone; many of them go along the same direction, and raise
it when they leave together. The absolute damage [1]_ and the mean square do not prefer such units. The curvature is
what is left without that slope. At a minimum over the parameters that scale a unit, the expected slope is 0: the
curvature then has the expectation of the damage, without the noise of the slope.

References
----------
.. [1] P. Molchanov et al. (2017). Pruning convolutional neural networks for resource efficient inference. ICLR.
.. [2] Y. LeCun, J. Denker, S. Solla (1989). Optimal brain damage. NeurIPS.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

SUMMARIES = ("mean", "absolute", "rms", "curvature")


class Sums(NamedTuple):
    """Sums over the mini-batches on which each unit was masked."""

    weight: jax.Array
    """f[n]: of the weights of their rows."""
    damage: jax.Array
    """f[n]: of the damages, each times the weight of the mini-batch."""
    square: jax.Array | None
    """f[n]: of the squares of the damages over a scale, weighted alike; None where no summary needs them."""
    curvature: jax.Array | None
    """f[n]: of the damages without their first-order part; None where no summary needs them."""

    @classmethod
    def zeros(cls, n: int, dtype: jax.typing.DTypeLike, by: str) -> Sums:
        """Return the sums over no mini-batch, for the summary ``by``."""
        zeros = jnp.zeros(n, dtype)
        return cls(zeros, zeros, zeros if by == "rms" else None, zeros if by == "curvature" else None)

    def add(
        self,
        pulled: jax.Array,
        damage: jax.Array,
        weight: jax.Array,
        scale: jax.Array,
        slope: jax.Array | None = None,
    ) -> Sums:
        """Add the damages f[n] of the units bool[n] on a mini-batch of weight f[].

        Squares are those of damages over ``scale`` f[], which must be the same in all calls: squares of small damages
        are beyond the range of float32. ``slope`` f[n] is the first-order part of the damages, for ``"curvature"``.
        """
        damage = jnp.where(pulled, damage, 0)
        square = None if self.square is None else self.square + weight * jnp.square(damage / scale)
        curvature = self.curvature
        if curvature is not None:
            assert slope is not None
            curvature += weight * jnp.where(pulled, damage - slope, 0)
        return Sums(self.weight + weight * pulled, self.damage + weight * damage, square, curvature)

    def mean(self) -> jax.Array:
        """Return the mean damage f[n]; 0 for units that were never masked."""
        mean: jax.Array = self.damage / self._weight
        return mean

    def summary(self, by: str, scale: jax.Array) -> jax.Array:
        """Return the summary f[n], a name of `SUMMARIES`; ``scale`` is that of the squares."""
        if by == "curvature":
            assert self.curvature is not None
            curvature: jax.Array = self.curvature / self._weight
            return curvature
        square = None if self.square is None else self.square / self._weight
        return summary_of(self.mean(), square, scale, by)

    def slope(self) -> jax.Array:
        """Return the mean first-order part f[n] of the damages; only for the summary ``"curvature"``."""
        assert self.curvature is not None
        slope: jax.Array = (self.damage - self.curvature) / self._weight
        return slope

    @property
    def _weight(self) -> jax.Array:
        return jnp.where(self.weight > 0, self.weight, 1)


def summary_of(mean: jax.Array, square: jax.Array | None, scale: jax.Array, by: str) -> jax.Array:
    """Return a summary f[n] of mean damages and, for ``"rms"``, of mean squares of damages over a scale f[].

    That of ``"curvature"`` is the mean of other numbers: damages without their first-order part.
    """
    if by == "mean":
        return mean
    if by == "absolute":
        return jnp.abs(mean)
    assert square is not None
    return scale * jnp.sqrt(square)


def damage_of_pull(damage: jax.Array, scale: jax.Array, by: str) -> jax.Array:
    """Return what a policy learns from a pull, f[n]: a number in the units of damages, the smaller the safer.

    Its mean is what ranks units, or orders them in the same way: the damage for ``"mean"``, its square over the scale
    for ``"rms"``. For ``"absolute"`` it is the absolute damage, whose mean is no less than the absolute mean.

    Parameters
    ----------
    damage : f[n]
        Without its first-order part for ``"curvature"``.
    scale : f[]
        Of the damages, positive.
    by : str
        A name of `SUMMARIES`.
    """
    if by == "absolute":
        return jnp.abs(damage)
    return damage * (damage / scale) if by == "rms" else damage


def from_policy(value: jax.Array, scale: jax.Array, by: str) -> jax.Array:
    """Return minus the summary, f[n], of a policy's estimate of minus what it learned, over the scale.

    Parameters
    ----------
    value : f[n]
    scale : f[]
    by : {"mean", "rms", "curvature"}
    """
    # An estimate of squares may be positive, where prior knowledge has moved it: it keeps its order.
    return scale * (jnp.sign(value) * jnp.sqrt(jnp.abs(value)) if by == "rms" else value)
