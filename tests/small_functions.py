"""Small functions of JAX that tests prune: each with its parameters, rows and the units that it has."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Example(NamedTuple):
    """A function to prune."""

    apply: Any
    params: Any
    X: Any
    sizes: dict


def drawn(seed, **shapes):
    """Return parameters of generic values."""
    rng = np.random.default_rng(seed)
    return {k: jnp.asarray(rng.normal(size=s) / np.sqrt(s[0]), "float32") for k, s in shapes.items()}


def rows(seed, *shape):
    """Return rows of normal numbers."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), "float32")


def mlp(p, x):
    h = jax.nn.relu(x @ p["A"] + p["a"])
    return jax.nn.sigmoid(h @ p["B"] + p["b"]) @ p["C"]


def lenet(p, x):
    for k in ("c1", "c2"):
        x = jax.lax.conv_general_dilated(x, p[k], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = jax.nn.relu(x + p[k + "b"])
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return jax.nn.relu(x.reshape(x.shape[0], -1) @ p["d"] + p["db"]) @ p["o"]


def normalized(x, scale):
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.var(x, -1, keepdims=True) + 1e-5) * scale


def encoder(p, x):
    h = p["emb"][x] + p["pos"]
    y = normalized(h, p["l1"])
    q, k, v = ((y @ p[n]).reshape(*y.shape[:2], 2, 4) for n in "qkv")
    weights = jax.nn.softmax(jnp.einsum("bshd,bthd->bhst", q, k) / 2, -1)
    h = h + jnp.einsum("bhst,bthd->bshd", weights, v).reshape(*y.shape[:2], 8) @ p["o"]
    h = h + jax.nn.gelu(normalized(h, p["l2"]) @ p["f"] + p["fb"]) @ p["f2"]
    return normalized(h, p["l3"]).mean(1) @ p["out"]


def lstm(p, x):
    def step(carry, x_t):
        h, c = carry
        i, f, g, o = jnp.split(x_t @ p["Wx"] + h @ p["Wh"] + p["b"], 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((x.shape[0], p["Wh"].shape[0]))
    (h, _), _ = jax.lax.scan(step, (zeros, zeros), jnp.swapaxes(x, 0, 1))
    return h @ p["out"]


MLP = Example(mlp, drawn(0, A=(3, 8), a=(8,), B=(8, 6), b=(6,), C=(6, 2)), rows(1, 5, 3), {"A": 8, "B": 6})
LENET = Example(
    lenet,
    drawn(2, c1=(3, 3, 1, 4), c1b=(4,), c2=(3, 3, 4, 6), c2b=(6,), d=(24, 10), db=(10,), o=(10, 3)),
    rows(3, 4, 8, 8, 1),
    {"c1": 4, "c2": 6, "d": 10},
)
ENCODER = Example(
    encoder,
    drawn(
        *(4,),
        **{"emb": (7, 6), "pos": (5, 6), "l1": (6,), "q": (6, 8), "k": (6, 8), "v": (6, 8), "o": (8, 6), "l2": (6,)},
        **{"f": (6, 12), "fb": (12,), "f2": (12, 6), "l3": (6,), "out": (6, 3)},
    ),
    jnp.asarray(np.random.default_rng(5).integers(0, 7, size=(4, 5)), "int32"),
    {"emb": 6, "f": 12, "q": 2},
)
LSTM = Example(lstm, drawn(6, Wx=(3, 20), Wh=(5, 20), b=(20,), out=(5, 3)), rows(7, 4, 6, 3), {"Wh": 5})
EXAMPLES = {"mlp": MLP, "lenet": LENET, "encoder": ENCODER, "lstm": LSTM}


def cross_entropy(outputs, y):
    """Return the loss of each row."""
    return -jnp.take_along_axis(jax.nn.log_softmax(outputs), y[:, None], 1)[:, 0]
