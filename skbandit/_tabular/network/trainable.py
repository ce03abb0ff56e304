"""The network as training sees it: its inputs, then its layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from skbandit._tabular.features.embeddings import TERMS, Inputs
from skbandit._tabular.network.mlp import MLP, Vectors

#: From so many features on, the scale goes into the weights at each step, not into the rows. Its gradient is then that
#: of the weights times a vector, not a product as large as the layer's: with 20 000 features a step takes half as long.
#: Fewer features stay with the rows: the gain is small there, and results would be rounded in another way than before.
WIDE = 2048
#: A pair: the parameters of the inputs (`skbandit._tabular.features.embeddings`), and the layers.
Params = tuple[Any, Any]
#: From the number of a hidden layer and what it emits, f[n, n_l], to what goes on.
Dropout = Callable[[int, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class Trainable:
    """What is static about a network in training. Hashable."""

    mlp: MLP
    inputs: Inputs
    dropout: bool = False
    """Whether there is code for dropout in the program."""

    @property
    def n_values(self) -> int:
        """Numbers that there are at a time, of each row, on the way through the network."""
        inputs, sizes = self.inputs, self.mlp.layer_sizes
        # An expansion and what it is computed from; pre-activations and activations of a layer.
        return inputs.n_dense + 2 * TERMS * inputs.n_embedded + sizes[0] + 2 * max(sizes[1:])

    def apply(self, params: Params, X: jax.Array, gates: Vectors, dropout: Dropout | None = None) -> jax.Array:
        """Return the output layer's pre-activation of the gated network.

        Parameters
        ----------
        params : tuple (inputs, layers)
        X : f[n, n_columns]
            Encoded rows.
        gates : tuple of f[n_l]
            Of each hidden layer.
        dropout : callable (layer, f[n, n_l]) → f[n, n_l], optional

        Returns
        -------
        z : f[n, n_outputs]
        """
        inputs, layers = params
        features = self.inputs.features(jnp, inputs, X)
        if "scale" in inputs:
            if self.inputs.n_features < WIDE:
                features = features * inputs["scale"]
            else:
                (W, *rest), *others = layers
                layers = ((inputs["scale"][:, None] * W, *rest), *others)
        return self.mlp.apply(layers, features, gates, dropout=dropout)
