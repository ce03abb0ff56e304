"""An end-to-end memory network for questions on stories (Sukhbaatar et al. 2015, arXiv:1503.08895).

In each of three hops, the state meets the sentences by attention. It is then moved by what was found, and by a layer of
rectified units that reads both; these units, and those of a layer before the output, can be pruned. Word vectors are
tied from hop to hop: those that a hop answers with are those that the next one compares with.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from benchmarks.deep.pairs.attention import bags
from benchmarks.deep.pairs.dense import layer, linear
from benchmarks.deep.pairs.pair import Params, Parts, Shapes, dropout, keys

HOPS, DROPOUT = 3, 0.1


def shapes(parts: Parts, width: int = 48, units: int = 64, hidden: int = 128) -> Shapes:
    """Return the shapes of a network with so many units in each hop, and in the layer before the output."""
    found: Shapes = {}
    for i in range(HOPS + 1):
        found[f"words{i}"] = {"embedding": (parts.n_tokens, width)}
        found[f"ages{i}"] = {"embedding": (parts.fit.X.shape[1] - 1, width)}
    for i in range(1, HOPS + 1):
        found[f"hop{i}"] = layer(2 * width, units)
        found[f"moved{i}"] = layer(units, width)
    return {**found, "hidden": layer(width, hidden), "out": layer(hidden, parts.n_classes)}


def train_apply(params: Params, X: jax.Array, key: jax.Array | None) -> jax.Array:
    """Return logits of i32[n, 1 + sentences, words], the question first; with a key, there is dropout."""
    own = keys(key, HOPS + 1)
    question, story = X[:, 0], X[:, 1:]
    mask = (story > 0).any(-1)
    memories = [
        bags(params[f"words{i}"]["embedding"], story) + params[f"ages{i}"]["embedding"] for i in range(HOPS + 1)
    ]
    u = bags(params["words0"]["embedding"], question)
    for i in range(1, HOPS + 1):
        scores = jnp.einsum("nd,nsd->ns", u, memories[i - 1])
        weights = jax.nn.softmax(jnp.where(mask, scores, -1e9))
        o = jnp.einsum("ns,nsd->nd", weights, memories[i])
        units = jax.nn.relu(linear(params[f"hop{i}"], jnp.concatenate([u, o], -1)))
        u = u + o + linear(params[f"moved{i}"], dropout(own.pop(), units, DROPOUT))
    hidden = jax.nn.relu(linear(params["hidden"], u))
    return linear(params["out"], dropout(own.pop(), hidden, DROPOUT))


def apply(params: Params, X: jax.Array) -> jax.Array:
    """Return logits of questions and stories i32[n, 1 + sentences, words]."""
    return train_apply(params, X, None)
