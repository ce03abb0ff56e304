r"""Weights and biases before training, drawn on the host: nothing is compiled.

Each function takes the layer sizes (input features, hidden widths, outputs), the name of the hidden activation, a
random state, rows as the first layer reads them, f[n, n_features], and their weights, f[n]; it returns
``((W, b), ...)``, with W of shape (fan in, fan out).

With ``parametrization="ntk"`` (Jacot et al., 2018) a layer is thought of as :math:`z = W x / \sqrt{d} + b` for
:math:`d` inputs. Here the arrays hold :math:`W / \sqrt{d}`, and the rates of training (`leaf_rates`) make Adam move
them as it would :math:`W`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from skbandit._tabular.network.activations import ACTIVATIONS

Layers = tuple[tuple[np.ndarray, np.ndarray], ...]

#: Rows that `data_driven` should be given at most: a standard deviation over so many is good to a percent. Of wide rows
#: so many values, but not so few rows that it would be off by more than some percent.
MOST_ROWS, MOST_VALUES, FEWEST_ROWS = 4096, 2**22, 512
#: A bias is drawn between the pre-activations of so many rows.
_BIAS_ROWS = 5


def glorot_uniform(
    sizes: tuple[int, ...],
    activation: str,
    rng: np.random.RandomState,
    features: np.ndarray | None,
    weight: np.ndarray | None = None,
) -> Layers:
    """Uniform within Glorot and Bengio's (2010) bound, weights and biases, as scikit-learn's MLP draws them.

    From one ``random_state`` both start with the same network.
    """
    factor = 2.0 if activation == "logistic" else 6.0
    layers = []
    for fan_in, fan_out in pairwise(sizes):
        bound = np.sqrt(factor / (fan_in + fan_out))
        layers.append((rng.uniform(-bound, bound, (fan_in, fan_out)), rng.uniform(-bound, bound, fan_out)))
    return tuple(layers)


def normal(
    sizes: tuple[int, ...],
    activation: str,
    rng: np.random.RandomState,
    features: np.ndarray | None,
    weight: np.ndarray | None = None,
) -> Layers:
    r"""Hidden layers :math:`W \sim N(0, 1 / d)`, :math:`b \sim N(0, 1)`; the last layer is 0 (RealMLP-TD-S)."""
    layers = [
        (rng.standard_normal((fan_in, fan_out)) / np.sqrt(fan_in), rng.standard_normal(fan_out))
        for fan_in, fan_out in pairwise(sizes[:-1])
    ]
    return (*layers, (np.zeros(sizes[-2:]), np.zeros(sizes[-1])))


@np.errstate(over="ignore", invalid="ignore")  # rows beyond floats: training says that it cannot learn from them
def data_driven(
    sizes: tuple[int, ...],
    activation: str,
    rng: np.random.RandomState,
    features: np.ndarray | None,
    weight: np.ndarray | None = None,
) -> Layers:
    """Scale each unit to the data (RealMLP-TD, with the "he+5" biases of Steinwart, 2019, arXiv 1903.11482).

    Weights are normal, and scaled so that a unit's pre-activation has standard deviation 1 over the rows. A bias is
    minus a random mean of the pre-activations of five rows, so that the unit bends where there is data.

    Parameters
    ----------
    features : f[n, n_features]
        Training rows as the first layer reads them.
    weight : f[n], optional
        Their weights; none given, all rows count the same.
    """
    assert features is not None
    h = np.asarray(features, np.float64)
    filled = np.cumsum(np.ones(len(h)) if weight is None else weight)
    share_of_row = (np.diff(filled, prepend=0.0) / filled[-1])[:, None]
    layers: list[tuple[np.ndarray, np.ndarray]] = []
    for fan_in, fan_out in pairwise(sizes):
        if layers:
            h = ACTIVATIONS[activation](np, h @ layers[-1][0] + layers[-1][1])
        W = rng.standard_normal((fan_in, fan_out)) / np.sqrt(fan_in)
        z = h @ W
        spread = np.sqrt(np.sum(share_of_row * np.square(z - np.sum(share_of_row * z, axis=0)), axis=0))
        W = W / np.where(spread > 1e-6, spread, 1)
        drawn = np.searchsorted(filled, rng.uniform(size=(_BIAS_ROWS, fan_out)) * filled[-1], side="right")
        rows = np.minimum(drawn, len(h) - 1)
        share = rng.exponential(size=(_BIAS_ROWS, fan_out))
        pre = np.einsum("kjd,dj->kj", h[rows], W)
        layers.append((W, -np.sum(share / share.sum(axis=0) * pre, axis=0)))
    return tuple(layers)


#: By the names of ``weight_init``.
INITIALIZERS: dict[str, Callable[..., Layers]] = {
    "glorot_uniform": glorot_uniform,
    "normal": normal,
    "data_driven": data_driven,
}


def init_params(
    sizes: tuple[int, ...],
    activation: str,
    rng: np.random.RandomState,
    dtype: str,
    weight_init: str = "glorot_uniform",
    features: np.ndarray | None = None,
    weight: np.ndarray | None = None,
) -> Layers:
    """Draw the layers of a network.

    Parameters
    ----------
    sizes : tuple of int
        Input features, hidden widths, outputs.
    activation : str
        A name of `ACTIVATIONS`.
    rng : numpy.random.RandomState
    dtype : {"float32", "float64"}
        Of the result; it is drawn in float64.
    weight_init : str
        A name of `INITIALIZERS`.
    features : f[n, n_features], optional
        Training rows as the first layer reads them; only ``"data_driven"`` needs them.
    weight : f[n], optional
        Their weights.

    Returns
    -------
    layers : tuple of (W, b)
        f[fan_in, fan_out] and f[fan_out].
    """
    layers = INITIALIZERS[weight_init](sizes, activation, rng, features, weight)
    return tuple((W.astype(dtype), b.astype(dtype)) for W, b in layers)
