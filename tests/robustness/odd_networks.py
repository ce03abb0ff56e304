"""Small networks of many kinds, and what may go wrong in them: the cases of `test_odd_networks`.

All have few shapes and losses that are equal where they compute the same, so that cases share their compiled programs.
"""

import dataclasses
from collections import namedtuple

import jax
import jax.numpy as jnp
import numpy as np

from skbandit.networks import GatedNetwork, Group, Groups, Slice

N_ROWS, N_FEATURES = 40, 6
#: Labels of four filters, flattened behind four positions.
STRIDE = np.tile(np.arange(4), 4)
FIRST, SECOND = [0, 1, 2, -1, -1, -1, -1], [-1, -1, -1, 0, 1, 2, 3]


def _dense(xp, p, g, X):
    return xp.tanh(X @ p["a"] + p["b"]) * g[0] @ p["c"]


def _deep(xp, p, g, X):
    hidden = xp.tanh(X @ p["a"]) * g[0]
    return xp.maximum(hidden @ p["b"], 0) * g[1] @ p["c"]


def _heads(xp, p, g, X):
    heads = xp.tanh(X @ p["a"]).reshape(len(X), -1, 2) * g[0][:, None]
    return heads.reshape(len(X), -1) @ p["c"]


def _filters(xp, p, g, X):
    windows = xp.stack([X[:, i : i + 3] for i in range(4)], axis=1)  # rows, positions, inputs
    return (xp.tanh(windows @ p["a"]) * g[0]).reshape(len(X), -1) @ p["c"]


def _residual(xp, p, g, X):
    hidden = X @ p["a"] * g[0]
    return (hidden + xp.tanh(hidden @ p["b"]) * g[0]) @ p["c"]


def _side_by_side(xp, p, g, X):
    z = X @ p["a"]
    n = g[0].shape[0]
    return xp.concatenate([xp.tanh(z[:, :n]) * g[0], xp.maximum(z[:, n:], 0) * g[1]], axis=1) @ p["c"]


#: Name -> what it computes, shapes of parameters, and its groups: (size, incoming, outgoing) as (name, axis, labels).
KINDS = {
    "dense": (_dense, {"a": (6, 5), "b": (5,), "c": (5,)}, [(5, [("a", 1), ("b", 0)], [("c", 0)])]),
    "deep": (
        _deep,
        {"a": (6, 5), "b": (5, 4), "c": (4,)},
        [(5, [("a", -1)], [("b", 0)]), (4, [("b", 1)], [("c", 0)])],
    ),
    "heads": (
        _heads,
        {"a": (6, 6), "c": (6,)},
        [(3, [("a", 1, [0, 0, 1, 1, 2, 2])], [("c", 0, np.array([0, 0, 1, 1, 2, 2]))])],
    ),
    "filters": (_filters, {"a": (3, 4), "c": (16,)}, [(4, [("a", 1)], [("c", 0, STRIDE)])]),
    "residual": (
        _residual,
        {"a": (6, 4), "b": (4, 4), "c": (4,)},
        [(4, [("a", 1), ("b", 1)], [("b", 0), ("c", -1)])],
    ),
    "side by side": (
        _side_by_side,
        {"a": (6, 7), "c": (7,)},
        [(3, [("a", 1, FIRST)], [("c", 0, FIRST)]), (4, [("a", 1, SECOND)], [("c", 0, SECOND)])],
    ),
}

Named = namedtuple("Named", ["a", "b", "c"], defaults=[None, None])


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Record:
    a: object
    c: object
    b: object = None


#: Name -> how parameters by name are packed, the way back, and the path to one of them.
CONTAINERS = {
    "dict": (dict, lambda p: p, lambda name: name),
    "nested": (lambda p: {"layers": [p, None]}, lambda p: p["layers"][0], lambda name: ("layers", 0, name)),
    "namedtuple": (lambda p: Named(**p), lambda p: p._asdict(), lambda name: name),
    "dataclass": (lambda p: Record(**p), vars, lambda name: (name,)),
    "tuple": (
        lambda p: tuple(p.get(name) for name in "abc"),
        lambda p: dict(zip("abc", p, strict=True)),
        lambda name: "abc".index(name),
    ),
}
DTYPES = ["float32", "float64", "float16", "bfloat16"]


@dataclasses.dataclass(frozen=True)
class Loss:
    """The squared error of a kind of network; equal if all is."""

    kind: str
    container: str
    fault: str = "none"

    def __call__(self, params, gates, X, y, weight):
        value = self.of(jnp, params, gates, X, y, weight)
        return LOSS_FAULTS[self.fault](value) if self.fault != "none" else value

    def of(self, xp, params, gates, X, y, weight):
        """Compute with NumPy, or JAX."""
        p = CONTAINERS[self.container][1](params)
        errors = KINDS[self.kind][0](xp, p, gates, X) - y
        return (weight * errors**2).sum() / weight.sum()


class OwnError(ValueError):
    """What a user's function raises."""


def _raise(error):
    raise error


#: What a loss may do wrong with its value.
LOSS_FAULTS = {
    "None": lambda value: None,
    "tuple": lambda value: (value, {}),
    "vector": lambda value: value[None],
    "int": lambda value: value.astype(int),
    "complex": lambda value: value * 1j,
    "number": lambda value: 1.0,
    "text": lambda value: "x",
    "bool": lambda value: value > 0,
    "nan": lambda value: value * jnp.nan,
    "raises": lambda value: _raise(OwnError("of the loss itself")),
}


def make(kind, container, dtype, rng, fault="none"):
    """Return a function that makes the network, its parameters, and rows."""
    _, shapes, groups = KINDS[kind]
    pack, _, path = CONTAINERS[container]
    flat = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    if dtype != "float64":  # which JAX has not, by default
        flat = {name: jnp.asarray(leaf, dtype) for name, leaf in flat.items()}
    X = rng.normal(size=(N_ROWS, N_FEATURES))
    y = X[:, 0] - X[:, 1] * X[:, 2]

    def network(groups=groups, **options):
        made = [
            Group(f"group {g}", size, *([Slice(path(s[0]), *s[1:]) for s in side] for side in sides))
            for g, (size, *sides) in enumerate(groups)
        ]
        return GatedNetwork(Loss(kind, container, fault), Groups(made), **options)

    return network, pack(flat), X, y


def compacted_loss(loss, result, X, y, weight):
    """Return the loss of the smaller network, by NumPy in double precision, with all gates at 1."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, float), result.params)
    gates = [np.ones(len(kept)) for kept in result.kept]
    return float(loss.of(np, params, gates, np.asarray(X, float), np.asarray(y, float), weight))
