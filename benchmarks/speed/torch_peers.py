"""The peers that PyTorch users have: a training loop and a bandit loop as one writes them by hand, and Torch-Pruning.

Each is the fastest simple form we know: float32, no data loader, ``no_grad`` where nothing is learned, the fused Adam,
and one thread where that is faster than all of them (tried on a small share of the work before anything is timed).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.common.timing import best_of

BATCH_SIZE = 200
ALPHA = 1e-4


def best_threads(trial: Callable[[], Any]) -> int:
    """One thread, or all of them: whichever runs ``trial`` faster.

    Small products gain little from a second thread, and waiting for one whose core is busy costs much.
    """
    return min((1, torch.get_num_threads()), key=lambda n: best_of(on_threads(n, trial), repeats=3))


def on_threads(n_threads: int, function: Callable[[], Any]) -> Callable[[], Any]:
    """Return ``function`` as it runs on so many of PyTorch's threads."""

    def call() -> Any:
        everyone = torch.get_num_threads()
        torch.set_num_threads(n_threads)
        try:
            return function()
        finally:
            torch.set_num_threads(everyone)

    return call


def network(sizes: Sequence[int]) -> nn.Sequential:
    """Dense layers with ReLU between them; ``sizes`` are inputs, hidden widths, outputs."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def from_estimator(model: Any) -> nn.Sequential:
    """Return the network of a fitted scikit-learn-like MLP, in float32."""
    sizes = [model.coefs_[0].shape[0], *(W.shape[1] for W in model.coefs_)]
    net = network(sizes)
    with torch.no_grad():
        for layer, W, b in zip(net[::2], model.coefs_, model.intercepts_, strict=True):
            layer.weight.copy_(torch.from_numpy(np.asarray(W, np.float32).T))
            layer.bias.copy_(torch.from_numpy(np.asarray(b, np.float32)))
    return net


def tensors(X: np.ndarray, y: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(X.astype(np.float32)), torch.from_numpy(y.astype(np.float32))[:, None]


def half_squared_error(net: nn.Module, X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The loss of all sides: half the mean squared error."""
    return 0.5 * nn.functional.mse_loss(net(X), y)


def train(X: np.ndarray, y: np.ndarray, hidden: Sequence[int], epochs: int) -> nn.Sequential:
    """Adam on mini-batches, in a new order each epoch, with scikit-learn's L2 term: its α is divided by the batch."""
    torch.manual_seed(0)
    net = network((X.shape[1], *hidden, 1))
    optimizer = torch.optim.Adam(net.parameters(), weight_decay=ALPHA / BATCH_SIZE, fused=True)
    X_all, y_all = tensors(X, y)
    for _ in range(epochs):
        order = torch.randperm(len(X_all))
        for rows in order.split(BATCH_SIZE):
            optimizer.zero_grad()
            half_squared_error(net, X_all[rows], y_all[rows]).backward()
            optimizer.step()
    return net


# ---------------------------------------------------------------------- bandit


class TextbookBandit:
    """UCB1 over hidden units, one arm at a time, statistics in NumPy.

    A pull samples a mini-batch, evaluates the loss, sets the unit's outgoing weights to zero, evaluates the loss on the
    same mini-batch, and puts the weights back. The reward is ours: ``1 / (1 + exp(damage / s))``, with ``s`` the median
    absolute damage of the opening sweep. In the end the units of smallest mean damage are masked.

    Parameters
    ----------
    hoist : bool
        Instead of sampling, take the mini-batches of a partition in turn, cut and evaluated without a mask once,
        before the loop: half of the forward passes.
    """

    def __init__(self, net: nn.Sequential, X: np.ndarray, y: np.ndarray, width: int, hoist: bool = False) -> None:
        self.net = copy.deepcopy(net)
        self.X, self.y = tensors(X, y)
        self.width, self.hoist = width, hoist
        self.outgoing = [(layer.weight, j) for layer in self.net[2::2] for j in range(layer.in_features)]

    @torch.no_grad()
    def run(self, n_pulls: int, ratio: float) -> list[int]:
        """Spend the pulls, mask the share ``ratio`` of the units, and return them."""
        n = len(self.outgoing)
        damage, reward, counts, scale = np.zeros(n), np.zeros(n), np.zeros(n), 1.0
        batches = self._batches()
        for t in range(n_pulls):
            index = reward / np.maximum(counts, 1) + np.sqrt(2 * np.log(max(t, 1)) / np.maximum(counts, 1))
            arm = t if t < n else int(np.argmax(index))
            X, y, base = next(batches)
            rise = self._masked_loss(arm, X, y) - base
            damage[arm] += rise
            counts[arm] += 1
            if t == min(n, n_pulls) - 1:
                scale = float(np.median(np.abs(damage))) or 1.0
                reward = 1 / (1 + np.exp(np.clip(damage / scale, -50, 50)))
            elif t >= n:
                reward[arm] += 1 / (1 + np.exp(np.clip(rise / scale, -50, 50)))
        removed = np.argsort(damage / np.maximum(counts, 1))[: int(ratio * n)]
        for arm in removed:
            weight, j = self.outgoing[arm]
            weight[:, j] = 0
        return removed.tolist()

    def _batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, float]]:
        """Mini-batches with the loss of the network as it is."""
        rng = np.random.default_rng(0)
        if self.hoist:
            parts = torch.from_numpy(rng.permutation(len(self.X))).split(self.width)
            ready = [(self.X[rows], self.y[rows]) for rows in parts]
            losses = [half_squared_error(self.net, *batch).item() for batch in ready]
            while True:
                yield from ((*batch, loss) for batch, loss in zip(ready, losses, strict=True))
        while True:
            rows = torch.from_numpy(rng.integers(len(self.X), size=self.width))
            X, y = self.X[rows], self.y[rows]
            yield X, y, half_squared_error(self.net, X, y).item()

    def _masked_loss(self, arm: int, X: torch.Tensor, y: torch.Tensor) -> float:
        weight, j = self.outgoing[arm]
        kept = weight[:, j].clone()
        weight[:, j] = 0
        loss = half_squared_error(self.net, X, y).item()
        weight[:, j] = kept
        return loss


def loss_of(net: nn.Module, X: np.ndarray, y: np.ndarray) -> float:
    """Loss on all rows."""
    with torch.no_grad():
        return half_squared_error(net, *tensors(X, y)).item()


# ---------------------------------------------------------------------- Torch-Pruning


def torch_pruning_removal(net: nn.Sequential, X: np.ndarray, y: np.ndarray, width: int, ratio: float) -> nn.Module:
    """Taylor importance from the gradients of one pass over the rows, then removal of the share ``ratio`` for good."""
    import torch_pruning

    net = copy.deepcopy(net)
    X_all, y_all = tensors(X, y)
    for X_batch, y_batch in zip(X_all.split(width), y_all.split(width), strict=True):
        half_squared_error(net, X_batch, y_batch).backward()
    pruner = torch_pruning.pruner.BasePruner(
        net,
        X_all[:1],
        importance=torch_pruning.importance.GroupTaylorImportance(),
        global_pruning=True,
        pruning_ratio=ratio,
        ignored_layers=[net[-1]],
    )
    pruner.step()
    return net
