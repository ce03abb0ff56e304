"""A small network some of whose units feed nothing, and a pruning phase with functions of a test's own."""

import jax
import numpy as np

from skbandit._core.rows import Batches
from skbandit._tabular.network.inference import raw_output
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.network.mlp import MLP
from skbandit.criteria import LeaveOneOut
from skbandit.pruning.engine import Pruner
from skbandit.pruning.goals import goal_of
from skbandit.pruning.task import AnyNetwork

NETWORK = MLP((3, 8, 6, 1), "tanh", "squared_error")
#: Units that feed nothing.
USELESS = np.array([1, 2, 5, 8, 9, 13])


def trained(planted=True, seed=0):
    """A network, and rows on which it makes no error: every unit that feeds something does damage when it leaves."""
    params = init_params(NETWORK.layer_sizes, "tanh", np.random.RandomState(seed), "float32")
    if planted:
        for layer, part in enumerate(NETWORK.groups.split(np.isin(np.arange(14), USELESS))):
            params[layer + 1][0][part] = 0
    X = np.random.default_rng(seed).normal(size=(50, 3)).astype("float32")
    return params, X, output(params, X)


def output(params, X):
    return raw_output(X, [W for W, _ in params], [b for _, b in params], "tanh")


class Phase:
    """A pruning phase; functions given by name stand in for those of the task."""

    def __init__(self, network, batches, criterion, *, n_rounds=4, tolerance=0.01, **options):
        self.task = AnyNetwork(network, batches)
        for name in ("emissions", "repair", "fine_tune", "measure", "guard", "score"):
            if name in options:
                setattr(self.task, name, options.pop(name))
        self.pruner = Pruner(network, batches, criterion, self.task, **options)
        self.goal = {"n_rounds": n_rounds, "tolerance": tolerance, "criterion": criterion}

    def run(self, params, ratio, active=None):
        return self.pruner.run(params, goal_of(ratio, **self.goal), active)


def pruner(planted=True, criterion=None, weight=None, **options):
    params, X, y = trained(planted)
    weight = np.ones(50) if weight is None else weight
    return params, Phase(options.pop("network", NETWORK), batches(X, y, weight), criterion or LeaveOneOut(), **options)


def batches(X, y, weight):
    return Batches.partition(np.random.default_rng(0), X, y, weight, "float32", 16)


def removed_by(result):
    kept = np.concatenate([k + offset for k, offset in zip(result.kept, NETWORK.groups.offsets, strict=True)])
    return np.setdiff1d(np.arange(14), kept)


def assert_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)
