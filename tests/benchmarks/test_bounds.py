"""Bounds of dense networks, against sampled points and against the exact minimum over all activation patterns."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linprog

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.evidence.bounds import (
    attack,
    ball,
    certify,
    crown_bounds,
    crown_margins,
    interval_bounds,
    interval_margins,
    margins,
    outputs,
)

SEEDS = range(5)


def network(seed, *sizes, dtype=float):
    """Draw layers of which about half of the ReLUs are on."""
    rng = np.random.default_rng(seed)
    return [
        (
            (rng.normal(size=(a, b)) * np.sqrt(2 / a)).astype(dtype),
            (0.1 * rng.normal(size=b)).astype(dtype),
        )
        for a, b in itertools.pairwise(sizes)
    ]


def rows(seed, n, n_inputs, n_classes, dtype=float):
    rng = np.random.default_rng(100 + seed)
    return rng.uniform(size=(n, n_inputs)).astype(dtype), rng.integers(0, n_classes, n)


def pre_activations(layers, X):
    found = []
    for W, b in layers[:-1]:
        found.append(X @ W + b)
        X = np.maximum(found[-1], 0)
    return found


def points_of(box, n, rng):
    """Draw points of each row's box, f[n, rows, n_inputs]: half of them are corners."""
    u = rng.uniform(size=(n, *box.low.shape))
    u[: n // 2] = np.round(u[: n // 2])
    return box.low + u * (box.high - box.low)


def exact_margins(layers, low, high, y):
    """Return the least margin over each other class: a linear program for each pattern of ReLUs."""
    (W, b), (V, c) = layers
    n_classes = len(c)
    least = np.full(n_classes, np.inf)
    for pattern in itertools.product((0, 1), repeat=len(b)):
        on = np.array(pattern)
        sign = 1 - 2 * on  # on: W x + b >= 0
        for j in range(n_classes):
            if j == y:
                continue
            direction = V[:, y] - V[:, j]
            found = linprog(
                (W * on) @ direction, A_ub=(W * sign).T, b_ub=-sign * b, bounds=list(zip(low, high, strict=True))
            )
            if found.status == 0:
                least[j] = min(least[j], found.fun + (on * b) @ direction + c[y] - c[j])
    return least


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("within", [None, (0, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bounds_hold_at_sampled_points(seed, within, dtype):
    layers = network(seed, 6, 16, 12, 8, 3, dtype=dtype)
    X, y = rows(seed, 20, 6, 3, dtype)
    box = ball(X, 0.1, within)
    plain, crown = interval_bounds(layers, box), crown_bounds(layers, box)
    least = [
        interval_margins(layers, plain, y),
        interval_margins(layers, crown, y),
        crown_margins(layers, crown, y, box),
    ]
    tolerance = 1e-4 if dtype == np.float32 else 1e-10  # rounding of pre-activations of size 1
    n_beside = 0
    for points in points_of(box, 200, np.random.default_rng(seed)).astype(dtype):
        for z, *bounds in zip(pre_activations(layers, points), plain, crown, strict=True):
            for low, high in bounds:
                assert (z >= low - tolerance).all()
                assert (z <= high + tolerance).all()
        found = margins(outputs(layers, points), y)
        for bound in least:
            assert np.all(found >= bound - tolerance)
        n_beside += int((found <= least[-1] + 0.2).sum())
    assert n_beside  # the bounds are not so wide that the test could not fail


def test_a_wrong_slope_is_found_by_sampling(monkeypatch):
    from benchmarks.evidence import bounds

    layers = network(0, 6, 16, 12, 8, 3)
    X, y = rows(0, 20, 6, 3)
    box = ball(X, 0.1)
    hidden = crown_bounds(layers, box)
    narrower = [bounds.Box(0.5 * low, 0.5 * high) for low, high in hidden]
    wrong = crown_margins(layers, narrower, y, box)
    points = points_of(box, 200, np.random.default_rng(0))
    assert any((margins(outputs(layers, p), y) < wrong - 1e-10).any() for p in points)


@pytest.mark.parametrize("seed", SEEDS)
def test_crown_is_below_the_exact_margin_and_the_attack_above(seed):
    layers = network(seed, 2, 4, 2)
    X, y = rows(seed, 8, 2, 2)
    box = ball(X, 0.2, (0, 1))
    exact = np.array([exact_margins(layers, *pair, c) for *pair, c in zip(*box, y, strict=True)])
    hidden = crown_bounds(layers, box)
    crown, plain = crown_margins(layers, hidden, y, box), interval_margins(layers, hidden, y)
    attacked = attack(layers, X, y, box, 0.05)
    assert np.all(crown <= exact + 1e-8)
    assert np.all(plain <= exact + 1e-8)
    assert np.all(attacked >= exact.min(axis=1) - 1e-8)
    assert np.median(attacked - exact.min(axis=1)) < 1e-6  # in two dimensions it finds the minimum
    # Where no ReLU is unstable the network is linear on the box, and CROWN exact.
    stable = ~np.any([(low < 0) & (high > 0) for low, high in hidden], axis=(0, 2))
    np.testing.assert_allclose(crown[stable], exact[stable], atol=1e-7)


def test_a_certificate_by_hand():
    # z = (x, -x): ReLUs relu(x), relu(-x); outputs relu(x) and relu(-x) + 0.1.
    layers = [(np.array([[1.0, -1.0]]), np.zeros(2)), (np.eye(2), np.array([0.0, 0.1]))]
    X, y = np.array([[0.5]]), np.array([0])
    # All x in [0.3, 0.7]: the margin is x - 0.1 and least at 0.3.
    box = ball(X, 0.2)
    np.testing.assert_allclose(crown_margins(layers, crown_bounds(layers, box), y, box), [[np.inf, 0.2]])
    # All x in [-0.1, 1.1]. First ReLU: l = -0.1, u = 1.1, below by the line z, whose least value is -0.1. Second:
    # l = -1.1, u = 0.1, above by (z + 1.1) / 12 of z = -x. The sum x - (1.1 - x) / 12 - 0.1 is least at x = -0.1:
    # -0.1 - 0.1 - 0.1.
    box = ball(X, 0.6)
    np.testing.assert_allclose(crown_margins(layers, crown_bounds(layers, box), y, box), [[np.inf, -0.3]])
    # Inside of [0, 1] the second ReLU is dead, and the margin x - 0.1 is least at 0.
    box = ball(X, 0.6, (0, 1))
    np.testing.assert_allclose(crown_margins(layers, crown_bounds(layers, box), y, box), [[np.inf, -0.1]])


@pytest.mark.parametrize("seed", SEEDS)
def test_intervals_are_never_tighter(seed):
    layers = network(seed, 6, 16, 12, 8, 3)
    X, y = rows(seed, 20, 6, 3)
    box = ball(X, 0.05)
    tighter = 0
    for plain, crown in zip(interval_bounds(layers, box), crown_bounds(layers, box), strict=True):
        assert np.all(crown.low >= plain.low - 1e-12)
        assert np.all(crown.high <= plain.high + 1e-12)
        tighter += int((crown.high < plain.high - 0.01).sum())
    assert tighter
    certificate = certify(layers, X, y, 0.05)
    assert np.all(certificate.interval <= certificate.crown)


@pytest.mark.parametrize("seed", SEEDS)
def test_certificates_are_ordered(seed):
    layers = network(seed, 6, 16, 12, 3)
    X, _ = rows(seed, 60, 6, 3)
    y = outputs(layers, X).argmax(axis=1)
    y[:5] = (y[:5] + 1) % 3  # a few are wrong
    before = None
    for epsilon in (0.01, 0.03, 0.1):
        found = certify(layers, X, y, epsilon, (0, 1), rows_at_once=7)
        assert np.all(found.interval <= found.crown)
        assert np.all(found.crown <= found.attacked)
        assert np.all(found.attacked <= found.clean)
        assert not found.clean[:5].any()
        if before is not None:
            assert found.crown.sum() <= before.crown.sum()
            assert np.all(found.unstable >= before.unstable - 1e-12)
        before = found
    assert 0 < before.crown.mean() < 1


def test_an_epsilon_of_zero_gives_the_clean_accuracy():
    layers = network(0, 6, 16, 12, 3)
    X, y = rows(0, 60, 6, 3)
    found = certify(layers, X, y, 0.0, (0, 1))
    assert 0 < found.clean.mean() < 1
    for part in (found.attacked, found.crown, found.interval):
        np.testing.assert_array_equal(part, found.clean)
    assert found.unstable.max() == 0
