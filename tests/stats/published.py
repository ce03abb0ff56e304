"""Published tables of scores that the tests know the ranks of, and random ones."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

FEW = settings(max_examples=25, deadline=None, derandomize=True)

#: Demšar (2006), table 6: AUC of four variants of C4.5. On voting the paper ranks the third before the fourth, though
#: both are printed as .975: hence the .97501.
C45 = np.array([
    [0.763, 0.768, 0.771, 0.798],  # adult
    [0.599, 0.591, 0.590, 0.569],  # breast cancer
    [0.954, 0.971, 0.968, 0.967],  # breast cancer Wisconsin
    [0.628, 0.661, 0.654, 0.657],  # cmc
    [0.882, 0.888, 0.886, 0.898],  # ionosphere
    [0.936, 0.931, 0.916, 0.931],  # iris
    [0.661, 0.668, 0.609, 0.685],  # liver disorders
    [0.583, 0.583, 0.563, 0.625],  # lung cancer
    [0.775, 0.838, 0.866, 0.875],  # lymphography
    [1.000, 1.000, 1.000, 1.000],  # mushroom
    [0.940, 0.962, 0.965, 0.962],  # primary tumor
    [0.619, 0.666, 0.614, 0.669],  # rheum
    [0.972, 0.981, 0.97501, 0.975],  # voting
    [0.957, 0.978, 0.946, 0.970],  # wine
])  # fmt: skip
C45_NAMES = ["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"]

#: Accuracies of pruned deep networks, 14 tasks, from the tables published with the bandit pruning papers.
DEEP_NAMES = ["model", "eps", "dec eps", "softmax", "dec softmax", "ucb1", "ts", "hedge", "exp3", "magnitude", "greedy"]
DEEP = np.array([
    [0.786, 0.79, 0.79, 0.79, 0.79, 0.79, 0.79, 0.79, 0.79, 0.75, 0.74],
    [0.98, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.99, 0.97, 0.95],
    [0.50, 0.57, 0.57, 0.55, 0.55, 0.58, 0.58, 0.53, 0.54, 0.53, 0.57],
    [0.56, 0.58, 0.58, 0.56, 0.56, 0.57, 0.57, 0.56, 0.56, 0.55, 0.54],
    [0.81, 0.82, 0.82, 0.82, 0.82, 0.82, 0.82, 0.82, 0.82, 0.81, 0.80],
    [0.43, 0.45, 0.45, 0.44, 0.45, 0.45, 0.45, 0.44, 0.44, 0.43, 0.41],
    [0.87, 0.89, 0.89, 0.88, 0.89, 0.89, 0.89, 0.89, 0.88, 0.83, 0.84],
    [0.96, 0.97, 0.97, 0.97, 0.97, 0.97, 0.97, 0.97, 0.97, 0.90, 0.92],
    [0.99, 1.00, 0.99, 0.99, 0.99, 1.00, 1.00, 0.99, 0.99, 0.93, 0.93],
    [0.80, 0.81, 0.81, 0.81, 0.81, 0.81, 0.81, 0.81, 0.81, 0.79, 0.78],
    [0.82, 0.84, 0.83, 0.83, 0.83, 0.84, 0.84, 0.83, 0.80, 0.80, 0.81],
    [0.82, 0.83, 0.83, 0.83, 0.83, 0.83, 0.83, 0.83, 0.80, 0.80, 0.80],
    [0.86, 0.87, 0.88, 0.87, 0.87, 0.88, 0.87, 0.87, 0.88, 0.81, 0.83],
    [0.96, 0.97, 0.95, 0.98, 0.97, 0.98, 0.97, 0.98, 0.98, 0.90, 0.92],
])  # fmt: skip
MODEL, UCB1, TS, MAGNITUDE, GREEDY = (DEEP_NAMES.index(name) for name in ("model", "ucb1", "ts", "magnitude", "greedy"))
POLICIES = slice(1, 9)


@st.composite
def tables(draw, least=(2, 3)):
    """Scores in twentieths, so that ties are frequent and sums are inexact."""
    shape = draw(st.tuples(st.integers(least[0], 8), st.integers(least[1], 5)))
    return draw(arrays(int, shape, elements=st.integers(0, 20))) / 20


def continuous(shape=(12, 4), seed=0):
    return np.random.default_rng(seed).normal(size=shape) + 0.3 * np.arange(shape[1])
