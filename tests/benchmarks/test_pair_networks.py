"""The networks of the pairs: their units, their two forms, and what is left of them after pruning."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.deep.pairs import PAIRS, convolutional
from benchmarks.deep.pairs.pair import Parts, Rows, draw
from benchmarks.deep.pairs.train import loss
from skbandit import prune
from skbandit.networks import infer_groups

#: Of each kind of network, a pair, the shape of its rows, how many tokens they have (None: numbers), and its units.
ENCODER = {"heads1": 8, "heads2": 8, "hidden1": 128, "hidden2": 128}
NETWORKS = [
    ("mlp-mnist", (28, 28, 1), None, {"dense1": 256, "dense2": 128}),
    ("cnn-usps", (16, 16, 1), None, {"conv1": 16, "conv2": 32, "dense": 128}),
    ("cnn-cifar", (32, 32, 3), None, {"conv1": 32, "conv2": 64, "conv3": 64, "dense": 128}),
    ("cnn-mnist1d", (1, 40, 1), None, {"conv1": 32, "conv2": 32, "conv3": 32}),
    ("gru-mnist1d", (1, 40, 1), None, {"gru": 48}),
    ("textcnn-trec", (12,), 30, {"window3": 64, "window4": 64, "window5": 64}),
    ("lstm-sst2", (12,), 30, {"lstm": 96}),
    ("transformer-subj", (12,), 30, ENCODER),
    ("transformer-babi1", (13, 6), 20, ENCODER),
    ("memory-babi12", (8, 6), 20, {"hop1": 64, "hop2": 64, "hop3": 64, "hidden": 128}),
    ("transformer-sums", (3,), 12, {"heads1": 4, "hidden1": 512}),
    ("wide-usps", (16, 16, 1), None, {"conv1": 32, "conv2": 64, "wide": 4928, "narrow": 64, "dense": 4912}),
]
N_CLASSES = 4


def rows_like(shape, n_tokens, n=8):
    """Draw rows; of tokens, the first is a word, and the last of most rows are padding."""
    rng = np.random.default_rng(0)
    y = np.arange(n, dtype=np.int32) % N_CLASSES
    if n_tokens is None:
        return Rows(rng.random((n, *shape), np.float32), y)
    X = rng.integers(1, n_tokens, (n, *shape)).astype(np.int32)
    X[0, ..., -1] = n_tokens - 1
    X[1 : n // 2, ..., 2 * shape[-1] // 3 :] = 0
    return Rows(X, y)


def made(name, shape, n_tokens):
    """Return a pair, its parameters for such rows, and rows."""
    rows = rows_like(shape, n_tokens)
    pair = PAIRS[name]
    return pair, pair.draw(jax.random.key(0), pair.shapes(Parts(rows, rows, rows, rows))), rows


#: They take seconds to compile, and are like others.
LARGE = ("transformer-subj", "memory-babi12", "transformer-sums")


def named(names):
    marks = dict.fromkeys(LARGE, pytest.mark.exhaustive)
    found = [network for network in NETWORKS if network[0] in names]
    return [pytest.param(*network, id=network[0], marks=marks.get(network[0], ())) for network in found]


def halved(params, groups):
    """Keep every second unit of each group: return the smaller parameters, and the full ones with zeros instead."""
    small, zeroed = (jax.tree.map(np.array, params) for _ in range(2))
    kept = {(layer, name): [np.ones(n, bool) for n in a.shape] for layer in params for name, a in params[layer].items()}
    for group in groups.groups:
        for piece in (*group.incoming, *group.outgoing):
            labels = np.arange(group.size) if piece.labels is None else np.asarray(piece.labels)
            kept[piece.path][piece.axis] &= (labels < 0) | (labels % 2 == 0)
    for (layer, name), axes in kept.items():
        small[layer][name] = small[layer][name][np.ix_(*axes)]
        for axis, stays in enumerate(axes):
            np.moveaxis(zeroed[layer][name], axis, -1)[..., ~stays] = 0
    return small, zeroed


@pytest.mark.parametrize(("name", "shape", "n_tokens", "units"), named(PAIRS))
def test_units_are_those_of_the_table_and_sizes_those_of_the_parameters(name, shape, n_tokens, units):
    pair, params, rows = made(name, shape, n_tokens)
    groups = infer_groups(pair.apply, params, rows.X[:4], verify=False)
    assert {group.name: group.size for group in groups.groups} == units
    small, zeroed = halved(params, groups)
    apply = jax.jit(pair.apply)
    np.testing.assert_allclose(apply(small, rows.X), apply(zeroed, rows.X), atol=2e-5)
    # ... and the function in training mode takes new parameters of these shapes.
    drawn = pair.draw(jax.random.key(1), jax.tree.map(np.shape, small))
    logits = jax.jit(pair.train_apply)(drawn, rows.X, jax.random.key(2))
    assert logits.shape == (len(rows.y), N_CLASSES)
    assert np.isfinite(logits).all()


@pytest.mark.parametrize(("name", "shape", "n_tokens", "units"), named(("cnn-usps", "lstm-sst2")))
def test_the_same_function_takes_what_prune_returns(name, shape, n_tokens, units):
    pair, params, rows = made(name, shape, n_tokens)
    groups = infer_groups(pair.apply, params, rows.X)
    given = {"groups": groups, "policy": "magnitude", "n_rounds": 1, "scope": "layer", "batch_size": 8}
    result = prune(pair.apply, params, *rows, loss=loss, **given)
    kept = {group.name: len(kept) for group, kept in zip(groups.groups, result.kept, strict=True)}
    assert kept == {unit: size - size // 2 for unit, size in units.items()}
    found = jax.jit(pair.apply)(result.params, rows.X)
    np.testing.assert_allclose(found, jax.jit(result.apply)(result.params, rows.X), atol=2e-5)


@pytest.mark.parametrize(("name", "shape", "n_tokens", "units"), named(PAIRS))
def test_without_a_key_both_modes_are_equal(name, shape, n_tokens, units):
    pair, params, rows = made(name, shape, n_tokens)
    expected = np.asarray(jax.jit(pair.apply)(params, rows.X))
    assert np.ptp(expected, axis=0).min() > 1e-3
    found = jax.jit(lambda params, X: pair.train_apply(params, X, None))(params, rows.X)
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize(("name", "shape", "n_tokens", "units"), named(("textcnn-trec", "lstm-sst2")))
def test_padding_does_not_change_what_a_sentence_is(name, shape, n_tokens, units):
    pair, params, rows = made(name, shape, n_tokens)
    apply, longer = jax.jit(pair.apply), np.pad(rows.X, ((0, 0), (0, 3)))
    if name == "lstm-sst2":
        np.testing.assert_allclose(apply(params, longer), apply(params, rows.X), atol=2e-5)
    embedding = params["words"]["embedding"]
    moved = {**params, "words": {"embedding": embedding.at[0].set(7.0)}}
    np.testing.assert_array_equal(apply(moved, rows.X), apply(params, rows.X))


def test_derivatives_of_both_forms_of_a_convolution_are_equal():
    pair, params, rows = made("cnn-usps", (16, 16, 1), None)

    def gradient(apply):
        return jax.jit(jax.grad(lambda p: loss(apply(p, rows.X), rows.y).mean()))(params)

    fast = gradient(lambda p, X: pair.train_apply(p, X, None))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), fast, gradient(pair.apply))


def test_images_are_moved_and_mirrored():
    X = np.arange(1, 65, dtype=np.float32).reshape(1, 8, 8, 1).repeat(64, 0)
    moved = np.asarray(jax.jit(convolutional.moved)(jax.random.key(0), jnp.asarray(X)))[..., 0]
    shift, seen = convolutional.SHIFT, set()
    for image in moved:
        matches = [
            (flip, i, j)
            for flip in (1, -1)
            for i in range(2 * shift + 1)
            for j in range(2 * shift + 1)
            if (image == np.pad(X[0, :, ::flip, 0], shift)[i : i + 8, j : j + 8]).all()
        ]
        assert len(matches) == 1
        seen |= set(matches)
    assert {flip for flip, *_ in seen} == {1, -1}
    assert len(seen) > 32


@pytest.mark.parametrize(
    ("name", "shape", "variance"),
    [
        ("kernel", (3, 3, 20, 200), 2 / 180),
        ("mix", (8, 10, 400), 1 / 80),
        ("query", (80, 8, 50), 1 / 80),
        ("gates", (60, 4, 150), 1 / 60),
        ("embedding", (300, 100), 0.01),
    ],
)
def test_the_variance_is_by_the_number_of_inputs(name, shape, variance):
    array = np.asarray(draw(jax.random.key(0), {"layer": {name: shape}})["layer"][name])
    assert array.shape == shape
    # The relative standard error of a variance of n normal numbers is sqrt(2 / n).
    assert abs(array.var() / variance - 1) < 5 * np.sqrt(2 / array.size)


def test_the_table_is_complete():
    assert [pair.number for pair in PAIRS.values()] == list(range(1, 22))
    assert [pair.name for pair in PAIRS.values() if not pair.ranked] == ["wide-usps"]
    assert all(0 < pair.gate < 1 and pair.kind in ("image", "text", "reasoning") for pair in PAIRS.values())
