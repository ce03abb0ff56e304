r"""Learning rates: over time, and for each array of the parameters.

Over time, with :math:`t` the share of training that is over (RealMLP, Holzmüller et al., 2024, arXiv 2407.04491):

* ``"coslog4"``: :math:`\frac{1}{2} (1 - \cos(2 \pi \log_2(1 + 15 t)))`, four waves that get longer, from 0 to 0;
* ``"flat_cosine"``, of dropout and weight decay: 1 for the first half, then
  :math:`\frac{1}{2} (1 + \cos(\pi (2 t - 1)))`.

For each array: with :math:`z = W x / \sqrt{d} + b` (``parametrization="ntk"``, neural tangent kernel) Adam moves each
entry of :math:`W` by the learning rate whatever the width, and so the weight :math:`W / \sqrt{d}`, which is what the
arrays hold, by the learning rate times :math:`1 / \sqrt{d}`; plain gradient descent by :math:`1 / d` times the
gradient. So the parametrisation is nothing but a factor for each array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

#: Factors of the learning rate in the NTK parametrisation, of RealMLP.
BIAS_RATE = 0.1
SCALE_RATE = 6.0
EMBEDDING_RATE = 0.1

#: Under "coslog4", fine-tuning begins at this share of the highest learning rate.
FINE_TUNE_SHARE = 0.1


class Rates(NamedTuple):
    """Factors for each array of the parameters, f[] each, in the tree of the parameters."""

    rate: Any
    """Factors of the learning rate; 0 for what is not trained."""
    decay: Any
    """Factors of the learning rate times the decoupled weight decay."""


def coslog4(t: np.ndarray) -> np.ndarray:
    """Go through four cosine waves on a logarithmic axis, f[...] → f[...] in [0, 1]."""
    waves: np.ndarray = 0.5 * (1 - np.cos(2 * np.pi * np.log2(1 + 15 * np.minimum(t, 1))))
    return waves


def cosine(t: np.ndarray) -> np.ndarray:
    """Fall from 1 to 0 along half a wave, f[...] → f[...] in [0, 1]."""
    wave: np.ndarray = 0.5 * (1 + np.cos(np.pi * np.minimum(t, 1)))
    return wave


def flat_cosine(t: np.ndarray) -> np.ndarray:
    """Stay at 1 for the first half, then fall to 0 along half a wave, f[...] → f[...] in [0, 1]."""
    return cosine(np.maximum(2 * np.minimum(t, 1) - 1, 0))


#: From the share of training that is over to the share of the rate that is on.
SCHEDULES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "coslog4": coslog4,
    "cosine": cosine,
    "flat_cosine": flat_cosine,
}


def leaf_rates(params: Any, parametrization: str, solver: Any, frozen_inputs: bool = False) -> Rates:
    """Return the factors for each array of a network.

    Parameters
    ----------
    params : tuple (inputs, layers)
        As training begins with them; their shapes and their dtype count.
    parametrization : {"standard", "ntk"}
    solver : str or optax.GradientTransformation
        Gradient descent wants another factor than the solvers whose steps do not depend on the gradient's size.
    frozen_inputs : bool
        Whether the parameters of the inputs stay as they are.

    Returns
    -------
    rates : Rates
        NumPy scalars in the dtype of the network.
    """
    inputs, layers = params
    ntk = parametrization == "ntk"
    by_size = isinstance(solver, str) and solver.startswith("sgd")

    def weight(W: np.ndarray) -> float:
        return (1 / W.shape[0]) ** (1.0 if by_size else 0.5) if ntk else 1.0

    bias = BIAS_RATE if ntk else 1.0
    learned = {"scale": SCALE_RATE if ntk else 1.0, "tables": 1.0, "edges": 0.0}
    of_inputs = {name: 0.0 if frozen_inputs else learned.get(name, EMBEDDING_RATE if ntk else 1.0) for name in inputs}
    rate = (_spread(inputs, of_inputs), tuple((weight(W), *(bias for _ in rest)) for W, *rest in layers))
    # RealMLP's code applies an array's factor to weight decay twice, and its constants were tuned with that; the
    # weights have factor 1 there, and biases do not decay.
    decay = (
        _spread(inputs, {name: factor**2 for name, factor in of_inputs.items()}),
        tuple((1.0, *(0.0 for _ in rest)) for _, *rest in layers),
    )
    dtype = layers[0][0].dtype
    return Rates(*jax.tree.map(lambda factor: np.asarray(factor, dtype), (rate, decay)))


def _spread(inputs: dict[str, Any], factors: dict[str, float]) -> dict[str, Any]:
    """Give each array of an entry the entry's factor."""
    return {name: jax.tree.map(lambda _, f=factors[name]: f, value) for name, value in inputs.items()}
