"""Transformer encoders, normalised before each layer, for sentences and for questions on stories.

The positions of words are sines and cosines that are added to the word vectors. Sentences of a story are bags of
words, weighted by position (Sukhbaatar et al. 2015, arXiv:1503.08895), with a learned vector for each age.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from benchmarks.deep.pairs.dense import layer, linear
from benchmarks.deep.pairs.pair import Params, Parts, Shapes, dropout, keys, vectors

DROPOUT = 0.3
WIDTH, HEADS, HIDDEN, BLOCKS = 64, 8, 128, 2


def stack(width: int = WIDTH, heads: int = HEADS, hidden: int = HIDDEN, blocks: int = BLOCKS) -> Shapes:
    """Return the shapes of blocks, and of the norm behind them."""
    projections = dict.fromkeys(("query", "key", "value"), (width, heads, width // heads))
    norm = {"scale": (width,), "bias": (width,)}
    found: Shapes = {}
    for i in range(1, blocks + 1):
        found[f"before{i}"] = norm
        found[f"heads{i}"] = {**projections, "mix": (heads, width // heads, width)}
        found[f"between{i}"] = norm
        found[f"hidden{i}"] = layer(width, hidden)
        found[f"down{i}"] = layer(hidden, width)
    return {**found, "after": norm}


def normalised(p: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Normalise the last axis, scale and shift."""
    x = x - x.mean(-1, keepdims=True)
    return x * jax.lax.rsqrt((x**2).mean(-1, keepdims=True) + 1e-6) * p["scale"] + p["bias"]


def attended(p: dict[str, jax.Array], x: jax.Array, mask: jax.Array) -> jax.Array:
    """Mix positions f[n, length, width] by attention to those of ``mask`` b[n, length]."""
    query, key, value = (jnp.einsum("nld,dhk->nhlk", x, p[name]) for name in ("query", "key", "value"))
    scores = jnp.einsum("nhqk,nhmk->nhqm", query, key) / math.sqrt(query.shape[-1])
    weights = jax.nn.softmax(jnp.where(mask[:, None, None], scores, -1e9))
    return jnp.einsum("nhqk,hkd->nqd", jnp.einsum("nhqm,nhmk->nhqk", weights, value), p["mix"])


def encoded(params: Params, x: jax.Array, mask: jax.Array, key: jax.Array | None, rate: float) -> jax.Array:
    """Apply all blocks and the last norm."""
    blocks = sum(name.startswith("heads") for name in params)
    own = keys(key, 2 * blocks)
    for i in range(1, blocks + 1):
        x = x + dropout(own.pop(), attended(params[f"heads{i}"], normalised(params[f"before{i}"], x), mask), rate)
        hidden = jax.nn.relu(linear(params[f"hidden{i}"], normalised(params[f"between{i}"], x)))
        x = x + dropout(own.pop(), linear(params[f"down{i}"], hidden), rate)
    return normalised(params["after"], x)


# --- sentences --------------------------------------------------------------------------------------------------------


def shapes(parts: Parts, **sizes: int) -> Shapes:
    """Return the shapes of an encoder of sentences."""
    width = sizes.get("width", WIDTH)
    words = {"embedding": (parts.n_tokens, width)}
    return {"words": words, **stack(**sizes), "out": layer(width, parts.n_classes)}


def waves(length: int, width: int) -> jax.Array:
    """Return f[length, width]: sines and cosines of positions, of ten thousand wave lengths at most."""
    angles = jnp.arange(length)[:, None] * 1e4 ** (-(jnp.arange(width) // 2 * 2) / width)
    return jnp.where(jnp.arange(width) % 2 == 0, jnp.sin(angles), jnp.cos(angles))


def train_apply(params: Params, X: jax.Array, key: jax.Array | None, rate: float = DROPOUT) -> jax.Array:
    """Return logits of sentences i32[n, length]; with a key, there is dropout."""
    of_words, of_blocks = keys(key, 2)
    embedding, mask = params["words"]["embedding"], X > 0
    x = math.sqrt(embedding.shape[1]) * vectors(embedding, X) + waves(X.shape[1], embedding.shape[1])
    x = encoded(params, dropout(of_words, x, rate), mask, of_blocks, rate) * mask[..., None]
    return linear(params["out"], x.sum(1) / jnp.maximum(mask.sum(1), 1)[:, None])


def apply(params: Params, X: jax.Array) -> jax.Array:
    """Return logits of sentences i32[n, length]."""
    return train_apply(params, X, None)


# --- sums -------------------------------------------------------------------------------------------------------------


def sum_shapes(parts: Parts, **sizes: int) -> Shapes:
    """Return the shapes of an encoder of two numbers and a sign; each place has a learned vector."""
    found = shapes(parts, **sizes)
    return {"places": {"embedding": (parts.fit.X.shape[1], *found["words"]["embedding"][1:])}, **found}


def sum_train_apply(params: Params, X: jax.Array, key: jax.Array | None) -> jax.Array:
    """Return logits of i32[n, 3], read where the sign is; there is no dropout."""
    embedding = params["words"]["embedding"]
    counted = jnp.arange(embedding.shape[1]) >= 0  # as in `vectors`
    x = jax.nn.one_hot(X, embedding.shape[0]) @ embedding + params["places"]["embedding"]
    x = encoded(params, jnp.where(counted, x, 0), jnp.ones(X.shape, bool), None, 0.0)
    return linear(params["out"], x[:, -1])


def sum_apply(params: Params, X: jax.Array) -> jax.Array:
    """Return logits of sums i32[n, 3]."""
    return sum_train_apply(params, X, None)


# --- questions on stories ---------------------------------------------------------------------------------------------


def story_shapes(parts: Parts, **sizes: int) -> Shapes:
    """Return the shapes of an encoder of a question and the sentences before it."""
    width = sizes.get("width", WIDTH)
    words = {"embedding": (parts.n_tokens, width)}
    ages = {"embedding": (parts.fit.X.shape[1], width)}
    return {"words": words, "ages": ages, **stack(**sizes), "out": layer(width, parts.n_classes)}


def bags(embedding: jax.Array, X: jax.Array) -> jax.Array:
    """Return one vector f[..., width] for the words i32[..., words] of each sentence, weighted by their positions."""
    n_tokens, width = embedding.shape
    j, k = (1 + jnp.arange(X.shape[-1])) / X.shape[-1], (1 + jnp.arange(width)) / width
    # The weight of a dimension k in word j is (1 - j) - k (1 - 2 j). For few tokens, products are faster than look-ups.
    words = jax.nn.one_hot(X, n_tokens) * (X > 0)[..., None]
    first, second = (jnp.einsum("...jv,j->...v", words, a) @ embedding for a in (1 - j, 1 - 2 * j))
    return first - k * second


def story_train_apply(params: Params, X: jax.Array, key: jax.Array | None, rate: float = 0.1) -> jax.Array:
    """Return logits of i32[n, 1 + sentences, words], read where the question is; with a key, there is dropout."""
    x = 10 * (bags(params["words"]["embedding"], X) + params["ages"]["embedding"])
    x = encoded(params, x, (X > 0).any(-1), key, rate)
    return linear(params["out"], x[:, 0])


def story_apply(params: Params, X: jax.Array) -> jax.Array:
    """Return logits of questions and stories i32[n, 1 + sentences, words]."""
    return story_train_apply(params, X, None)
