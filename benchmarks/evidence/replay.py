"""Bandits on a recorded matrix of damages: the package's own code, at none of the cost of its pulls.

The damage of a unit on a mini-batch does not depend on when it is measured. The matrix of all of them, f[D, n], is
measured once for each network; `Recorded` is a network that looks its damages up there. A policy then makes the same
pulls, and the same choice, as on the network itself.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import spearmanr

from benchmarks.evidence.methods import Method
from skbandit import rank_units
from skbandit.criteria import Criterion, Problem, Scores, pytree_dataclass
from skbandit.networks import Group, Groups, Slice


@pytree_dataclass
class Record(Criterion):
    """Measure every unit on every mini-batch.

    ``info`` has the damages f[D, n], their first-order parts f[D, n], and the losses f[D] without removal.
    """

    def step(self, key: jax.Array, state: Any, problem: Problem, active: jax.Array) -> tuple[Any, Scores]:
        """Go once over the mini-batches."""

        def of(t: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            X, y, weight, _ = problem.batches.take(t)
            loss = problem.loss(problem.params, problem.gates, X, y, weight)
            return problem.pull(t, active)[0], problem.slopes(X, y, weight), loss

        damages, slopes, losses = jax.lax.map(of, jnp.arange(problem.batches.total.shape[0], dtype=jnp.int32))
        mean = jnp.mean(damages, axis=0)
        n_pulls = problem.batches.n_batches * jnp.sum(active, dtype=jnp.int32)
        return state, Scores(-mean, n_pulls, mean, info={"damages": damages, "slopes": slopes, "losses": losses})


#: The arrays of a matrix, by name.
ARRAYS = ("damages", "slopes", "losses")


class Matrix(NamedTuple):
    """What is recorded of a network."""

    damages: np.ndarray
    """f[D, n]: rise of the loss on each mini-batch when a unit is masked."""
    slopes: np.ndarray
    """f[D, n]: the first-order part of it."""
    losses: np.ndarray
    """f[D]: the loss on each mini-batch."""

    @property
    def exact(self) -> np.ndarray:
        """The damages f[n] over all rows."""
        return self.damages.mean(axis=0)

    def reliability(self) -> float:
        """Return the rank correlation of the damages on the even and on the odd mini-batches."""
        return float(spearmanr(self.damages[::2].mean(axis=0), self.damages[1::2].mean(axis=0)).statistic)


def record(network: Any, params: Any, X: Any, y: Any, *, batch_size: int, random_state: int) -> Matrix:
    """Measure the matrix; the number of rows must be a multiple of ``batch_size``."""
    scores = rank_units(network, params, X, y, policy=Record(), batch_size=batch_size, random_state=random_state)
    n = len(y) // batch_size  # behind them there may be mini-batches of padding
    return Matrix(*(np.asarray(scores.info[name][:n]) for name in ARRAYS))


@dataclasses.dataclass(frozen=True)
class Recorded:
    """A network whose damages are known: a row is the number of a mini-batch."""

    groups: Groups

    @classmethod
    def of(cls, sizes: Sequence[int]) -> Recorded:
        """Return the network whose groups have such sizes."""
        of = np.repeat(np.arange(len(sizes)), sizes)
        first = np.cumsum([0, *sizes[:-1]])

        def group(g: int, size: int) -> Group:
            """Its units own their columns of the matrix."""
            labels = np.where(of == g, np.arange(len(of)) - first[g], -1)
            return Group(f"group{g}", size, incoming=[Slice("damages", 1, labels)])

        return cls(Groups([group(g, size) for g, size in enumerate(sizes)]))

    def batch_loss(self, params: Any, gates: Any, emissions: Any, X: Any, y: Any, weight: Any) -> jax.Array:
        """Return the loss of the mini-batch: to first order, what the gates make of it."""
        removed = 1 - jnp.concatenate(gates)
        loss: jax.Array = weight @ (params["losses"][X] + params["slopes"][X] @ removed)
        return loss

    def damages(self, params: Any, gates: Any, emissions: Any, X: Any, y: Any, weight: Any, arms: Any) -> jax.Array:
        """Return the damages of the mini-batch."""
        return jnp.where(arms, weight @ params["damages"][X], 0)


def rank(matrix: Matrix, sizes: Sequence[int], method: Method, *, ratio: float, random_state: int) -> Scores:
    """Rank the units by a bandit, or by exact damages, as `skbandit.rank_units` would on the network.

    ``random_state`` is that of the policy: the order of the mini-batches is the one that was recorded.
    """
    n = len(matrix.damages)
    # Rows are shuffled into mini-batches: the one that is taken at step t must be row t of the matrix.
    rows = np.argsort(np.random.default_rng(random_state).permutation(n)).astype(np.int32)
    params = matrix._asdict()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of units that the pulls do not tell apart
        return rank_units(
            Recorded.of(sizes),
            params,
            rows,
            np.zeros(n, np.float32),
            policy=method.policy,
            budget=method.budget,
            pruning_ratio=ratio,
            scope="layer",
            batch_size=1,
            random_state=random_state,
        )


# ---------------------------------------------------------------------- what a choice is worth


def quotas(sizes: Sequence[int], n_remove: int) -> np.ndarray:
    """Return how many units of each group leave under ``scope="layer"``: the same share of each, and never all."""
    of = np.asarray(sizes)
    n_remove = min(n_remove, int(of.sum()) - len(of))
    exact = n_remove * of / of.sum()
    quota = np.minimum(np.floor(exact).astype(int), of - 1)
    while quota.sum() < n_remove:
        quota[np.argmax(np.where(quota < of - 1, exact - quota, -np.inf))] += 1
    return quota


def chosen(order: Any, sizes: Sequence[int], ratio: float) -> np.ndarray:
    """Return the units bool[n] that leave at a ratio: of each group the first ones of the order, i[n]."""
    group, order = np.repeat(np.arange(len(sizes)), sizes), np.asarray(order)
    removed = np.zeros(len(group), bool)
    for g, quota in enumerate(quotas(sizes, int(ratio * len(group) + 1e-9))):
        removed[order[group[order] == g][:quota]] = True
    return removed


def order_of(value: np.ndarray) -> np.ndarray:
    """Return the units by their values, safest first; NaN last."""
    return np.argsort(np.where(np.isnan(value), np.inf, -value), kind="stable")


def regret(order: Any, damage: np.ndarray, sizes: Sequence[int], ratio: float) -> float:
    """Return the summed damages of a choice over those of the best one, as a share of what a random choice has."""
    best = damage[chosen(order_of(-damage), sizes, ratio)].sum()
    offsets = np.cumsum([0, *sizes[:-1]])
    means = np.add.reduceat(damage, offsets) / np.asarray(sizes)
    by_chance = float(quotas(sizes, int(ratio * len(damage) + 1e-9)) @ means) - best
    return float((damage[chosen(order, sizes, ratio)].sum() - best) / by_chance) if by_chance > 0 else 0.0
