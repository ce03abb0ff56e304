"""A network whose damages are known, and the compiled step that all tests of the criteria share."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skbandit._core.rows import Batches
from skbandit.criteria import Problem
from skbandit.networks import Group, Groups, Slice

#: Units; real rows, in batches of 8: five to a sweep.
N, N_ROWS, WIDTH = 6, 40, 8


@dataclasses.dataclass(frozen=True)
class Table:
    """The damage of unit j on a batch is ``params["damage"][j]`` plus the batch's weighted mean of ``X[:, j]``.

    The latter is its first-order part.
    """

    @property
    def groups(self):
        return Groups([Group("arms", N, [Slice("damage", 0)])])

    def batch_loss(self, params, gates, emissions, X, y, weight):
        return jnp.sum(jnp.abs(params["damage"])) + (1 - gates[0]) @ (weight @ X)

    def damages(self, params, gates, emissions, X, y, weight, arms):
        return jnp.where(arms, params["damage"] + weight @ X, 0)


@dataclasses.dataclass(frozen=True)
class Bench:
    """A problem over a `Table`, and what the host knows of it."""

    damage: np.ndarray
    X: np.ndarray
    weight: np.ndarray
    n: int = N_ROWS
    seed: int = 0

    def problem(self, budget):
        rng, n = np.random.default_rng(self.seed), self.n
        batches = Batches.partition(rng, self.X[:n], self.X[:n, :1], self.weight[:n], "float32", WIDTH)
        return Problem(
            params={"damage": jnp.asarray(self.damage)},
            gates=(np.ones(N, np.float32),),
            emissions=(np.zeros(N, np.float32),),
            batches=batches,
            budget=np.int32(budget),
            n_remove=np.int32(N // 2),
            room=np.array([N - 1], np.int32),
            network=Table(),
            arms_per_step=2,
        )

    def batch_damages(self):
        """f[batches, units]"""
        return np.array([self.damage + np.average(self.X[p], axis=0, weights=self.weight[p]) for p in self.parts()])

    def parts(self):
        """Indices of the rows of each batch: those of a random order, cut into nearly equal pieces."""
        order = np.random.default_rng(self.seed).permutation(self.n)
        return np.array_split(order, -(-self.n // WIDTH))


@pytest.fixture(scope="session")
def bench():
    """Make a bench from damages, the size of the batches' noise, and other fields."""

    def make(damage=None, noise=0.1, seed=0, **fields):
        rng = np.random.default_rng(seed)
        X = noise * rng.normal(size=(N_ROWS, N))
        damage = rng.exponential(size=N) if damage is None else np.asarray(damage)
        weight = fields.pop("weight", np.ones(N_ROWS))
        return Bench(damage.astype("float32"), X.astype("float32"), weight.astype("float32"), **fields)

    return make


@pytest.fixture(scope="session")
def score():
    """``score(criterion, seed, problem, active)``, compiled quickly: small arrays gain nothing from optimisation."""

    def step(criterion, seed, problem, active):
        key = jax.random.key(seed)
        return criterion.step(key, criterion.init(key, problem), problem, active)[1]

    return jax.jit(step, compiler_options={"xla_backend_optimization_level": 0})
