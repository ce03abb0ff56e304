r"""Damage → reward in [0, 1], higher = safer to remove.

The damage :math:`d` of a pull is paired: the loss of the masked network minus that of the unmasked one, *on the same
mini-batch*. A reward has a scale that is measured once, on the opening sweep of a round, and then frozen: a moving
scale would make the rewards depend on the order of the pulls. The reward drives the policy; the decision which units
leave uses the mean damage itself, because a monotone map of a random variable does not keep the order of means.
"""

from __future__ import annotations

import abc
from typing import ClassVar

import jax
import jax.numpy as jnp

from skbandit._core.constraints import POSITIVE, Number
from skbandit._core.pytree import ParamsMixin, pytree_dataclass


class Reward(ParamsMixin, abc.ABC):
    """Interface of a reward: a scale measured once, then a fixed map."""

    @abc.abstractmethod
    def scale(self, damage: jax.Array, active: jax.Array) -> jax.Array:
        """Measure the scale on the damages f[n] of the active units bool[n]."""

    @abc.abstractmethod
    def __call__(self, damage: jax.Array, scale: jax.Array) -> jax.Array:
        """Map damages of any shape to rewards in [0, 1]."""


@pytree_dataclass
class SmoothReward(Reward):
    r"""Smooth bounded reward :math:`r = 1 / (1 + e^{d / s})`, with a robust scale :math:`s = c \, \mathrm{median}|d|`.

    Parameters
    ----------
    width : float, default=1.0
        The factor :math:`c`. A damage of :math:`s` gives a reward of 0.27, none gives 0.5.

    Notes
    -----
    Smooth, bounded rewards from paired damages are the form of arXiv 2609.05448; the map and its scale are our own.

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
        """Lower median of the active units' absolute damages that are not 0 (dead units'); 1 if all are."""
        counts = active & (damage != 0)
        ordered = jnp.sort(jnp.where(counts, jnp.abs(damage), jnp.inf))
        n = jnp.sum(counts)
        median = ordered[jnp.maximum(n - 1, 0) // 2]
        return jnp.where(n > 0, self.width * median, 1.0)

    def __call__(self, damage: jax.Array, scale: jax.Array) -> jax.Array:
        """Logistic of -damage/scale."""
        return jax.nn.sigmoid(-damage / scale)


@pytree_dataclass
class OffsetClipReward(Reward):
    r"""Offset and clip: :math:`r = \mathrm{clip}(\tau - d, 0, 1)`.

    The form of the public code that precedes arXiv 2606.07615 (there with a change of accuracy for :math:`-d`), to
    reproduce it. Its rewards differ by the size of the damages themselves, a few hundredths, so that UCB1's
    exploration term outweighs them and the policy is a round robin.

    Parameters
    ----------
    offset : float, default=0.2
        The reward :math:`\tau` of a unit that does no damage.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> OffsetClipReward()(jnp.array([-1.0, 0.0, 0.05, 0.5]), 1.0)
    Array([1.  , 0.2 , 0.15, 0.  ], dtype=float32)
    """

    constraints: ClassVar = {"offset": (Number(0, 1, closed="both"),)}

    offset: float = 0.2

    def scale(self, damage: jax.Array, active: jax.Array) -> jax.Array:
        """1: this reward has no scale."""
        return jnp.ones((), damage.dtype)

    def __call__(self, damage: jax.Array, scale: jax.Array) -> jax.Array:
        """Clip ``offset - damage`` to [0, 1]."""
        return jnp.clip(self.offset - damage, 0.0, 1.0)
