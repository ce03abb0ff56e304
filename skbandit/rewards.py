r"""Rewards: maps from damages to [0, 1]; higher = safer to remove.

The damage :math:`d` of a pull is paired: it is the loss of the network with one unit masked minus the loss of the
network, *on the same mini-batch*. The scale of a reward is measured once, on the opening sweep of a round, and then
fixed; otherwise the rewards would depend on the order of the pulls. Policies learn from rewards. The decision which
units are removed uses the mean damage itself, because a monotone map of a random variable does not keep the order of
means.
"""

from __future__ import annotations

import abc
from typing import ClassVar

import jax
import jax.numpy as jnp

from skbandit._core.constraints import POSITIVE, Number
from skbandit._core.pytree import ParamsMixin, pytree_dataclass


class Reward(ParamsMixin, abc.ABC):
    """Interface of a reward: a scale that is measured once, and a fixed map."""

    @abc.abstractmethod
    def scale(self, damage: jax.Array, active: jax.Array) -> jax.Array:
        """Return the scale of the damages f[n] of the active units bool[n]."""

    @abc.abstractmethod
    def __call__(self, damage: jax.Array, scale: jax.Array) -> jax.Array:
        """Return the rewards, in [0, 1], of damages of any shape."""


@pytree_dataclass
class SmoothReward(Reward):
    r"""Smooth bounded reward :math:`r = 1 / (1 + e^{d / s})` with a robust scale :math:`s = c \, \mathrm{median}|d|`.

    Parameters
    ----------
    width : float, default=1.0
        The factor :math:`c`. A damage of :math:`s` gives a reward of 0.27, a damage of 0 gives 0.5.

    Notes
    -----
    Smooth, bounded rewards of paired damages are those of arXiv 2609.05448. The map and its scale are our own.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> reward, damage = SmoothReward(), jnp.array([-0.1, 0.0, 0.1, 10.0])
    >>> scale = reward.scale(damage, jnp.ones(4, bool))
    >>> [round(float(r), 2) for r in reward(damage, scale)]
    [0.73, 0.5, 0.27, 0.0]
    """

    constraints: ClassVar = {"width": (POSITIVE,)}

    width: float = 1.0

    def scale(self, damage: jax.Array, active: jax.Array) -> jax.Array:
        """Return the lower median of the non-zero absolute damages, times ``width``; 1 if all damages are 0.

        Damages of exactly 0 are those of dead units.
        """
        counts = active & (damage != 0)
        ordered = jnp.sort(jnp.where(counts, jnp.abs(damage), jnp.inf))
        n = jnp.sum(counts)
        median = ordered[jnp.maximum(n - 1, 0) // 2]
        return jnp.where(n > 0, self.width * median, 1.0)

    def __call__(self, damage: jax.Array, scale: jax.Array) -> jax.Array:
        """Return the logistic function of ``-damage / scale``."""
        return jax.nn.sigmoid(-damage / scale)


@pytree_dataclass
class OffsetClipReward(Reward):
    r"""Clipped reward with an offset: :math:`r = \mathrm{clip}(\tau - d, 0, 1)`.

    This reward reproduces the public code that precedes arXiv 2606.07615, which uses a change of accuracy in place of
    :math:`-d`. Its rewards differ as little as the damages themselves, by a few hundredths. The exploration term of
    UCB1 outweighs such differences, so that UCB1 becomes a round robin.

    Parameters
    ----------
    offset : float, default=0.2
        The reward :math:`\tau` of a unit without damage.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> OffsetClipReward()(jnp.array([-1.0, 0.0, 0.05, 0.5]), 1.0)
    Array([1.  , 0.2 , 0.15, 0.  ], dtype=float32)
    """

    constraints: ClassVar = {"offset": (Number(0, 1, closed="both"),)}

    offset: float = 0.2

    def scale(self, damage: jax.Array, active: jax.Array) -> jax.Array:
        """Return 1: this reward has no scale."""
        return jnp.ones((), damage.dtype)

    def __call__(self, damage: jax.Array, scale: jax.Array) -> jax.Array:
        """Return ``offset - damage``, clipped to [0, 1]."""
        return jnp.clip(self.offset - damage, 0.0, 1.0)
