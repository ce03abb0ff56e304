r"""The protocol of the public code that precedes the paper, with its confounds, on the tables of the suite.

A network of one hidden ReLU layer is trained. A pull masks the incoming weights of a unit (its bias stays, so that it
emits :math:`\max(0, b)`), and the reward is :math:`\max(0, 0.2 + a_\text{masked} - a)`, of accuracies on *all* hold-out
rows. Units leave in the order of their *summed* rewards, which count how often a unit was pulled, and the smaller
network is scored on the *same* rows that chose it. Policies are as they were coded: Thompson sampling draws from
:math:`\mathrm{Beta}(1 + \bar r, 1 + n - \bar r)`, with the mean where the sum belongs.

Beside it, each confound alone: the order by mean rewards (``NAME_by_mean``), the score on rows that chose nothing
(``fresh``), and UCB1 with one unit removed where the others have six removed (``ucb1_one_unit``, as in six of the
sixteen tables of that code).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score

from benchmarks.common import datasets
from benchmarks.common.records import Record
from benchmarks.evidence.cells import Cell, Runner, quietly
from benchmarks.evidence.design import PAPER
from benchmarks.tabular import protocol
from skbandit import BanditPrunedMLPClassifier

N_UNITS = 40
PULLS_PER_UNIT = 3
OFFSET = 0.2
#: Six units, as in most of those tables, and half of them, as in the controlled comparison.
REMOVED = {0.15: 6, 0.5: 20}
ONE_UNIT = "ucb1_one_unit"

#: Of the policies, as they were coded.
EPSILON, TEMPERATURE, HEDGE_TEMPERATURE, EXP3_GAMMA = 0.9, 0.9, 0.9, 0.2


def summed_rewards(name: str, rewards: np.ndarray, horizon: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Run a policy on the rewards f[n] of units, which do not change; return sums f[n] and pulls i[n]."""
    n = len(rewards)
    counts, means, sums, weights = np.zeros(n, int), np.zeros(n), np.zeros(n), np.ones(n)
    for t in range(horizon):
        probabilities = np.full(n, 1 / n)
        if name == "epsilon_greedy":
            arm = int(np.argmax(means)) if rng.random() > EPSILON else int(rng.integers(n))
        elif name == "ucb1":
            unseen = np.flatnonzero(counts == 0)
            arm = int(unseen[0]) if unseen.size else int(np.argmax(means + np.sqrt(2 * np.log(t) / counts)))
        elif name == "thompson":
            arm = int(np.argmax(rng.beta(1 + means, 1 + counts - means)))
        else:
            probabilities = _probabilities(name, means, sums, weights)
            arm = int(rng.choice(n, p=probabilities))
        counts[arm] += 1
        sums[arm] += rewards[arm]
        means[arm] += (rewards[arm] - means[arm]) / counts[arm]
        weights[arm] *= np.exp(EXP3_GAMMA / n * rewards[arm] / probabilities[arm])
    return sums, counts


def _probabilities(name: str, means: np.ndarray, sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    if name == "exp3":
        return (1 - EXP3_GAMMA) * weights / weights.sum() + EXP3_GAMMA / len(weights)
    logits = means / TEMPERATURE if name == "softmax" else sums / HEDGE_TEMPERATURE
    shares = np.exp(logits - logits.max())
    return shares / shares.sum()


class Network:
    """A trained network of one hidden ReLU layer, as arrays."""

    def __init__(self, model: Any) -> None:
        (self.W, self.out), (self.b, self.bias) = model.coefs_, model.intercepts_

    def predict(self, X: np.ndarray, removed: Sequence[int] = ()) -> np.ndarray:
        """Return the classes, with the incoming weights of some units at 0."""
        W = self.W.copy()
        W[:, list(removed)] = 0
        z = np.maximum(X @ W + self.b, 0) @ self.out + self.bias
        return (z[:, 0] > 0).astype(int) if z.shape[1] == 1 else z.argmax(axis=1)


class Case:
    """The network of a data set and seed, and its two sets of rows that it was not trained on."""

    def __init__(self, table: protocol.Table, seed: int) -> None:
        train, test = protocol.split(table, seed, seed % protocol.N_FOLDS)
        front = datasets.preprocessing().fit(table.X.iloc[train])
        X = np.asarray(front.transform(table.X), float)
        options: dict[str, Any] = {"hidden_layer_sizes": (N_UNITS,), "pruning_ratio": 0, "random_state": seed}
        model = BanditPrunedMLPClassifier.from_preset("plain", **options)
        self.network = Network(quietly(model.fit, X[train], table.y[train]))
        test = np.random.default_rng(seed).permutation(test)
        hold_out, fresh = test[: len(test) // 2], test[len(test) // 2 :]
        self.rows = {"report": (X[hold_out], table.y[hold_out]), "fresh": (X[fresh], table.y[fresh])}
        X_reward, y_reward = self.rows["report"]
        accuracy = accuracy_score(y_reward, self.network.predict(X_reward))
        masked = [accuracy_score(y_reward, self.network.predict(X_reward, [unit])) for unit in range(N_UNITS)]
        self.rewards = np.maximum(0, OFFSET + np.asarray(masked) - accuracy)
        self.seed = seed

    def scores(self, removed: Sequence[int]) -> dict[str, dict[str, float]]:
        """Return accuracies without some units: on the rows that chose them, and on fresh ones."""
        return {
            name: {"accuracy": float(accuracy_score(y, self.network.predict(X, removed)))}
            for name, (X, y) in self.rows.items()
        }

    def pruned(self, name: str, n_remove: int) -> Record:
        """Choose units by a policy and score without them."""
        policy = name.removesuffix("_by_mean").removesuffix("_one_unit")
        rng = np.random.default_rng([self.seed, PAPER.index(policy)])
        sums, counts = summed_rewards(policy, self.rewards, PULLS_PER_UNIT * N_UNITS, rng)
        value = sums / np.maximum(counts, 1) if name.endswith("_by_mean") else sums
        order = np.argsort(-value, kind="stable")
        pulls = {"pulls": int(counts.sum()), "fewest": int(counts.min()), "most": int(counts.max())}
        return {"scores": self.scores(order[: 1 if name == ONE_UNIT else n_remove].tolist()), **pulls}


def cells(runner: Runner, table: protocol.Table, seed: int) -> None:
    """Do the cells of a data set and seed."""
    made: list[Case] = []

    def case() -> Case:
        if not made:
            made.append(Case(table, seed))
        return made[0]

    def do(kind: str, method: str, measure: Callable[[], Record], ratio: float | None = None) -> None:
        fields: dict[str, Any] = {"method": method, "ratio": ratio, "stage": "raw", "protocol": "2017"}
        cell = Cell(kind, "tabular", table.name, seed, scope="layer", **fields)
        runner.do(cell, measure, data=table.name, architecture=f"mlp {N_UNITS}", task=table.task)

    do("control", "unpruned", lambda: {"scores": case().scores([])})
    for ratio, n_remove in REMOVED.items():
        for name in (*PAPER, *(f"{policy}_by_mean" for policy in PAPER)):
            do("outcome", name, lambda name=name, n=n_remove: case().pruned(name, n), ratio)
    do("outcome", ONE_UNIT, lambda: case().pruned(ONE_UNIT, 1), min(REMOVED))
