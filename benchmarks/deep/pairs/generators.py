"""Data sets that are generated: MNIST-1D, sums modulo a prime, and ListOps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

# --- MNIST-1D ---------------------------------------------------------------------------------------------------------

#: Ten drawings of a digit as a line of 12 points (Greydanus & Kobak 2020, arXiv:2011.14439).
DIGITS = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)
#: Zeros behind a drawing, at least and at most; points of a signal before the last step, and behind it.
ZEROS, LONG, LENGTH = (36, 60), 72, 40
#: Of a digit: its height varies by this, it moves by less than this, and it is sheared by up to half of this.
HEIGHT, MOVE, SHEAR = 0.4, 48, 0.75
#: Noise where there is no digit, smoothed over two points, and noise everywhere.
SMOOTH_NOISE, NOISE = 0.25, 0.02


def mnist1d(n: int = 5000, seed: int = 42) -> tuple[np.ndarray, np.ndarray]:
    """Return signals f32[n, 40] and digits i32[n]; of the defaults, the published set: 4 000 to train on come first.

    Random numbers are drawn in the order of the published procedure, from the same generator.
    """
    rng = np.random.RandomState(seed)
    y = np.repeat(np.arange(10), n // 10)
    X = np.stack([_signal(rng, drawing) for drawing in _drawings()[y]])
    order = rng.permutation(len(y))
    X = X[order]
    return ((X - X.mean()) / X.std()).astype(np.float32), y[order].astype(np.int32)


def _drawings() -> np.ndarray:
    """Return the drawings f64[10, 12], of one variance before each is moved to begin at 0, and divided by six."""
    x = np.array(DIGITS)
    x = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
    return (x - x[:, :1]) / 6


def _signal(rng: np.random.RandomState, drawing: np.ndarray) -> np.ndarray:
    """Pad, stretch, scale and turn round a drawing, add noise, shear, and keep 40 points."""
    low, high = ZEROS
    zeros = np.zeros(low + int(rng.rand() * (high - low + 1)))
    x = _stretched(np.concatenate([drawing + 1e-8, zeros]), LONG)
    x = x * (1 + HEIGHT * (rng.rand() - 0.5))
    x = np.roll(x, rng.choice(MOVE))
    noise = gaussian_filter(SMOOTH_NOISE * rng.randn(LONG), 2)
    x = np.where(x != 0, x, noise) + NOISE * rng.randn(LONG)
    x = x - SHEAR * (rng.rand() - 0.5) * np.linspace(-0.5, 0.5, LONG)
    return _stretched(x, LENGTH)


def _stretched(x: np.ndarray, n: int) -> np.ndarray:
    """Interpolate linearly between points that are equally far apart."""
    return np.interp(np.linspace(0, 1, n), np.linspace(0, 1, len(x)), x)


# --- sums modulo a prime ----------------------------------------------------------------------------------------------


def modular_sums(prime: int = 97) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs (a, b) as tokens i32[p², 3], a, b and the sign = (which is p), and (a + b) mod p."""
    a, b = np.divmod(np.arange(prime**2, dtype=np.int32), prime)
    return np.stack([a, b, np.full_like(a, prime)], 1), ((a + b) % prime).astype(np.int32)


# --- ListOps ----------------------------------------------------------------------------------------------------------

OPERATORS = ("[MIN", "[MAX", "[MED", "[SM")
BRANCH, MAX_ARGUMENTS, MAX_DEPTH = 0.25, 5, 20
#: Token numbers; 0 is padding.
TOKENS = {token: i for i, token in enumerate((*map(str, range(10)), *OPERATORS, "]"), start=1)}


class Expression(NamedTuple):
    """An expression in the notation of ListOps, and its value from 0 to 9."""

    text: str
    value: int


def list_operation(rng: np.random.Generator, depth: int = 1) -> Expression:
    """Draw an expression by the published grammar (Nangia & Bowman 2018, arXiv:1804.06028).

    An operator has two to five arguments, and is drawn with a probability of one quarter; else, and always at the
    greatest depth, there is a digit.
    """
    if depth >= MAX_DEPTH or rng.random() >= BRANCH:
        digit = int(rng.integers(10))
        return Expression(str(digit), digit)
    operator = OPERATORS[rng.integers(len(OPERATORS))]
    parts = [list_operation(rng, depth + 1) for _ in range(rng.integers(2, MAX_ARGUMENTS + 1))]
    text = " ".join([operator, *(part.text for part in parts), "]"])
    return Expression(text, operate(operator, [part.value for part in parts]))


def operate(operator: str, values: list[int]) -> int:
    """Apply an operator to digits; the median is cut to a whole number."""
    if operator == "[SM":
        return sum(values) % 10
    return int({"[MIN": np.min, "[MAX": np.max, "[MED": np.median}[operator](values))


def value_of(text: str) -> int:
    """Compute the value of an expression."""
    stack: list[list] = [[]]
    for token in text.split():
        if token in OPERATORS:
            stack.append([token])
        elif token == "]":
            operator, *values = stack.pop()
            stack[-1].append(operate(operator, values))
        else:
            stack[-1].append(int(token))
    return stack[0][0]


def list_operations(n: int, seed: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw different expressions of at most ``length`` tokens; return their tokens i32[n, length] and values i32[n]."""
    rng = np.random.default_rng(seed)
    found: dict[str, int] = {}
    while len(found) < n:
        one = list_operation(rng)
        if one.text.count(" ") < length:
            found[one.text] = one.value
    return numbered(list(found), length), np.array(list(found.values()), np.int32)


def numbered(texts: list[str], length: int) -> np.ndarray:
    """Return token numbers i32[n, length] of expressions, padded with 0."""
    X = np.zeros((len(texts), length), np.int32)
    for row, text in zip(X, texts, strict=True):
        tokens = [TOKENS[token] for token in text.split()]
        row[: len(tokens)] = tokens
    return X
