"""Training and scores of the pairs, on rows that are made here."""

import itertools
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.deep import cache
from benchmarks.deep.pairs import PAIRS, dense
from benchmarks.deep.pairs import train as training
from benchmarks.deep.pairs.pair import Parts, Rows
from benchmarks.deep.pairs.train import rate_at, scores, train


def blobs(seed, n=96):
    """Draw rows of three classes that can be told apart."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n).astype(np.int32)
    return Rows((np.eye(5, dtype=np.float32)[y] * 3 + rng.normal(size=(n, 5))).astype(np.float32), y)


def parts(seed):
    return Parts(*(blobs(4 * seed + i) for i in range(4)))


@pytest.fixture
def pair():
    small = {"shapes": lambda found: dense.shapes(found, hidden=(8,)), "parts": parts}
    return PAIRS["mlp-mnist"]._replace(name="mlp-blobs", epochs=8, rate=1e-2, batch_size=16, **small)


@pytest.fixture
def start(pair):
    return pair.draw(jax.random.key(0), pair.shapes(parts(0)))


def equal(a, b):
    return all(jax.tree.leaves(jax.tree.map(lambda x, y: bool((np.asarray(x) == np.asarray(y)).all()), a, b)))


def test_training_lowers_the_loss_of_other_rows_and_changes_no_argument(pair, start):
    before = jax.tree.map(np.array, start)
    trained = train(pair, start, blobs(0), epochs=8, rate=1e-2, seed=0)
    assert equal(before, start)
    assert scores(pair, trained, blobs(1))["log_loss"] < 0.5 * scores(pair, start, blobs(1))["log_loss"]


def test_a_seed_gives_one_network_and_another_seed_another(pair, start):
    once, again, other = (train(pair, start, blobs(0), epochs=2, rate=1e-2, seed=seed) for seed in (0, 0, 1))
    assert equal(once, again)
    assert not equal(once, other)


def test_a_step_is_compiled_once_for_a_shape(pair, start):
    stepper = training.stepper(pair.train_apply, pair.weight_decay)[1]
    train(pair, start, blobs(0), epochs=1, rate=1e-2, seed=0)
    before = stepper._cache_size()
    train(pair, start, blobs(0, n=80), epochs=3, rate=5e-3, seed=1)
    assert stepper._cache_size() == before
    smaller = pair.draw(jax.random.key(0), dense.shapes(parts(0), hidden=(5,)))
    train(pair, smaller, blobs(0), epochs=1, rate=1e-2, seed=0)
    assert stepper._cache_size() == before + 1


def test_scores_are_those_of_all_rows(pair, start):
    rows = blobs(0, n=training.SCORED + 17)
    logits = np.asarray(pair.apply(start, rows.X), float)
    chance = np.exp(logits - logits.max(1, keepdims=True))
    chance /= chance.sum(1, keepdims=True)
    found = scores(pair, start, rows)
    assert found["accuracy"] == (logits.argmax(1) == rows.y).mean()
    assert found["log_loss"] == pytest.approx(-np.log(chance[np.arange(len(rows.y)), rows.y]).mean(), rel=1e-5)
    assert scores(pair.apply, start, rows) == found


def test_the_rate_rises_and_falls_to_nothing():
    rates = [rate_at(step, 100, 0.5) for step in range(101)]
    np.testing.assert_allclose(rates[:5], [0.1, 0.2, 0.3, 0.4, 0.5])
    assert max(rates) == rates[5] == 0.5
    assert all(a > b for a, b in itertools.pairwise(rates[5:]))
    assert rates[100] == pytest.approx(0, abs=1e-12)


def test_weights_decay_by_the_rate(pair, start):
    # Rows of zeros and a class that is certain: the gradient of a first layer is 0, its weights decay alone.
    rows = Rows(np.zeros((16, 5), np.float32), np.zeros(16, np.int32))
    trained = train(pair._replace(weight_decay=0.5), start, rows, epochs=1, rate=0.1, seed=0)
    kernel = np.asarray(start["dense1"]["kernel"])
    np.testing.assert_allclose(trained["dense1"]["kernel"], kernel * (1 - 0.1 * 0.5), rtol=1e-5)


def test_a_dense_network_is_trained_once_and_anew_when_something_changes(pair, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "FOLDER", tmp_path)
    first, again = training.dense(pair, 0), training.dense(pair, 0)
    assert len(list(tmp_path.glob("*.npz"))) == 1
    assert first.seconds == again.seconds  # read, not measured anew
    assert equal(first.params, again.params)
    assert first.scores == again.scores
    assert first.scores["report"] == scores(pair, first.params, parts(0).report)
    assert first.epochs == pair.epochs
    for changed, seed in ((pair, 1), (pair._replace(rate=2e-2), 0), (pair._replace(parts=lambda seed: parts(5)), 0)):
        before = len(list(tmp_path.glob("*.npz")))
        assert not equal(training.dense(changed, seed).params, first.params)
        assert len(list(tmp_path.glob("*.npz"))) == before + 1
