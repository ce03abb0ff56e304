"""From parameters and columns to what a network is to be, and what later calls cannot change about it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from skbandit._core.constraints import shown
from skbandit._core.memory import available_memory
from skbandit._tabular.features.embeddings import Inputs
from skbandit._tabular.features.encoder import FeatureEncoder
from skbandit._tabular.features.renewal import renewed
from skbandit._tabular.model import Architecture
from skbandit.estimators._kinds import as_embeddings, as_sizes

Parameters = Mapping[str, Any]

#: Bytes of a network that need no look at what is available.
_SMALL = 2**28

#: Parameters that describe the network and what it reads, as opposed to how it is trained and pruned.
NETWORK_PARAMETERS = (
    "hidden_layer_sizes",
    "activation",
    "parametric_activation",
    "preprocessing",
    "categorical_features",
    "categories",
    "numeric_embedding",
    "input_scaling",
    "n_members",
    "loss",
)


def architecture_of(
    params: Parameters, X: Any, weight: np.ndarray, categories: tuple[int, ...], n_outputs: int, loss: str
) -> Architecture:
    """Learn how columns become what a network reads, and lay out the network: the first member of several.

    Parameters
    ----------
    params : mapping
        Parameters of the estimator.
    X, weight : f[n, n_features], f[n]
        X dense or CSR.
    categories : tuple of int
        Number of categories of each column, 0 for numbers; empty where no column has any.
    n_outputs, loss : int, str
        Those of the target.
    """
    encoder, inputs = None, Inputs(n_dense=X.shape[1], scaled=bool(params["input_scaling"]))
    if params["preprocessing"] is not None or categories or any(_embeddings_of(params)):
        encoder = _encoder_of(params, X, weight, categories)
        inputs = _inputs_of(params, encoder)
    hidden, parametric = as_sizes(params["hidden_layer_sizes"]), bool(params["parametric_activation"])
    architecture = Architecture(encoder, inputs, hidden, n_outputs, params["activation"], parametric, loss)
    for embedding in dict.fromkeys(_embeddings_of(params)):
        _require_memory(architecture.with_embedding(embedding))
    return architecture


def architecture_on(
    architecture: Architecture,
    past: tuple[Any, np.ndarray],
    at_hand: tuple[Any, np.ndarray],
    params: Parameters,
    categories: tuple[int, ...],
    *,
    rescale: bool,
) -> Architecture:
    """Learn on how columns become what the network reads; returns the same architecture where nothing changes.

    Parameters
    ----------
    architecture : Architecture
        It has an encoder.
    past, at_hand : tuple of f[n, n_features], f[n]
        Rows that stand for those of earlier calls, and for all so far, and their weights.
    params : mapping
        Parameters of the estimator.
    categories : tuple of int
        As in `architecture_of`; the codes of those that were there before are the same.
    rescale : bool
        Whether numbers that have a scale may get another one.
    """
    assert architecture.encoder is not None
    latest = _encoder_of(params, *at_hand, categories)
    encoder = renewed(architecture.encoder, latest, *past, rescale=rescale)
    if encoder is architecture.encoder:
        return architecture
    return dataclasses.replace(architecture, encoder=encoder, inputs=_inputs_of(params, encoder))


def _require_memory(architecture: Architecture) -> None:
    """Raise MemoryError for a network that does not fit into memory once, as it is drawn: in float64."""
    needed = 8 * architecture.n_parameters()
    available = available_memory() if needed > _SMALL else None
    if available is not None and needed > available:
        raise MemoryError(
            f"With 'hidden_layer_sizes'={shown(architecture.hidden_layer_sizes)} the network has "
            f"{architecture.n_parameters():.3g} parameters, which take {needed / 1e9:.3g} GB as they are drawn; about "
            f"{available / 1e9:.3g} GB are available."
        )


def _encoder_of(params: Parameters, X: np.ndarray, weight: np.ndarray, categories: tuple[int, ...]) -> FeatureEncoder:
    # One encoder for all members: numbers that some of them embed come first.
    embedded = any(_embeddings_of(params))
    return FeatureEncoder.fit(X, weight, categories, scale=params["preprocessing"] is not None, embed=embedded)


def _inputs_of(params: Parameters, encoder: FeatureEncoder) -> Inputs:
    # Tables are rounded up, so that folds with a category more or less share their programs.
    rows = tuple(1 << (n - 1).bit_length() for n in encoder.cardinalities)
    embedding, scaled = _embeddings_of(params)[0], bool(params["input_scaling"])
    return Inputs(encoder.n_dense, encoder.n_embeddable if embedding else 0, embedding, rows, scaled)


def _embeddings_of(params: Parameters) -> tuple[str | None, ...]:
    return as_embeddings(params["numeric_embedding"], int(params["n_members"]))


def describe(params: Parameters) -> dict[str, Any]:
    """Return the parameters that describe the network, so that they can be compared."""
    described = {name: _plain(params[name]) for name in NETWORK_PARAMETERS if name in params}
    return described | {"hidden_layer_sizes": as_sizes(params["hidden_layer_sizes"])}


def check_unchanged(description: Mapping[str, Any], params: Parameters) -> None:
    """Raise ValueError if a parameter asks for another network than the one that was described."""
    for name, value in describe(params).items():
        if value != description[name]:
            raise ValueError(
                f"The {name!r} parameter was {description[name]!r} when the network was made, and a network that is "
                f"trained on cannot change it. Got {value!r}: use a new estimator, or warm_start=False."
            )


def _plain(value: Any) -> Any:
    """Return a parameter so that it can be compared: NumPy's scalars and arrays as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: _plain(items) for key, items in value.items()}
    return list(value) if np.iterable(value) and not isinstance(value, str) else value
