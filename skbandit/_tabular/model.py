"""A fitted network in NumPy: what predicts, is pickled and is exported. Needs neither JAX nor scikit-learn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skbandit._core.addresses import saved
from skbandit._tabular.features.embeddings import Inputs, features_on_host
from skbandit._tabular.features.encoder import FeatureEncoder
from skbandit._tabular.features.sparse_rows import dense
from skbandit._tabular.network import accounting
from skbandit._tabular.network.inference import Forward, JoinedForward, in_chunks
from skbandit._tabular.network.losses import LOSSES

Layers = Sequence[Sequence[np.ndarray]]

#: Rows of a small call, at most. It is computed in the precision of the rows: then the result of a row is the same to
#: the last digits whatever its neighbours are, on every processor.
SMALL_CALL = 256


@saved
@dataclasses.dataclass(frozen=True, eq=False)
class Architecture:
    """What a network is, apart from its numbers.

    Parameters
    ----------
    encoder : FeatureEncoder or None
        From the columns of X to what the network's inputs read; None where they read X.
    inputs : Inputs
        From there to what the first layer reads.
    hidden_layer_sizes : tuple of int
        Units of each hidden layer, before any was pruned.
    n_outputs : int
    activation : str
        A key of `ACTIVATIONS`.
    parametric : bool
        Whether each hidden unit's activation has a slope.
    loss : str
        A key of `LOSSES`.
    """

    encoder: FeatureEncoder | None
    inputs: Inputs
    hidden_layer_sizes: tuple[int, ...]
    n_outputs: int
    activation: str
    parametric: bool
    loss: str

    def with_embedding(self, embedding: str | None) -> Architecture:
        """Return the network that reads the same columns, but embeds their numbers otherwise, or not at all."""
        if embedding == self.inputs.embedding:
            return self
        assert self.encoder is not None
        n_embedded = 0 if embedding is None else self.encoder.n_embeddable
        inputs = dataclasses.replace(self.inputs, embedding=embedding, n_embedded=n_embedded)
        return dataclasses.replace(self, inputs=inputs)

    @property
    def out_activation(self) -> str:
        """Name of the function from the output layer's pre-activation to a prediction."""
        return LOSSES[self.loss].out_activation

    @property
    def reads_raw_rows(self) -> bool:
        """Whether the first layer reads the columns of X as they are."""
        return self.encoder is None and self.inputs.is_identity

    def encode(self, X: Any, dtype: Any = None) -> Any:
        """Return what the network's inputs read, f[n, n_columns], of dense or CSR rows; X itself without an encoder.

        It is computed in float64, and rounded to ``dtype``, by default that of X.
        """
        return X if self.encoder is None else self.encoder.transform(X, dtype)

    def write(self, X: Any, out: np.ndarray) -> None:
        """Write what `encode` returns into ``out`` f[n, n_columns], in its dtype."""
        if self.encoder is not None:
            self.encoder.write(X, out)
        else:
            with np.errstate(over="ignore"):
                out[...] = dense(X)

    def layer_sizes(self, hidden: Sequence[int] | None = None) -> tuple[int, ...]:
        """Return features, hidden widths (those before pruning by default) and outputs."""
        return (self.inputs.n_features, *(self.hidden_layer_sizes if hidden is None else hidden), self.n_outputs)

    def n_parameters(self, hidden: Sequence[int] | None = None) -> int:
        """Return the number of parameters of a network of these hidden widths, those of its inputs among them."""
        sizes = self.layer_sizes(hidden)
        of_slopes = sum(sizes[1:-1]) if self.parametric else 0
        return accounting.n_parameters(sizes) + self.inputs.n_parameters + of_slopes

    def n_macs(self, hidden: Sequence[int] | None = None) -> int:
        """Return the multiply-accumulates of the layers for one row."""
        return accounting.n_macs(self.layer_sizes(hidden))


@saved
@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A network that predicts.

    Parameters
    ----------
    architecture : Architecture
    input_params : dict
        Parameters of the inputs (`Inputs.init`). Their scale is part of the first layer's weights already; it is kept,
        so that training can go on.
    coefs : list of f[fan_in, fan_out]
        Weights of each layer. The last one's carry the scale of the target.
    intercepts : list of f[fan_out]
        Biases; the last one's carry the mean of the target, in float64.
    slopes : list of f[n_units] or None
        Of a parametric activation.
    """

    architecture: Architecture
    input_params: dict[str, Any]
    coefs: list[np.ndarray]
    intercepts: list[np.ndarray]
    slopes: list[np.ndarray] | None = None

    @classmethod
    def of_layers(
        cls,
        architecture: Architecture,
        input_params: dict[str, Any],
        layers: Layers,
        target: tuple[np.ndarray, np.ndarray] | None = None,
        dtype: str = "float32",
    ) -> Model:
        """Make a model of what was trained; ``target``, mean and scale f[n_outputs], goes into the last layer.

        Parameters
        ----------
        layers : tuple of (W, b) or (W, b, slope)
            The inputs' scale is in the first one.
        dtype : {"float32", "float64"}
            Of the weights that carry the target's scale.
        """
        coefs, intercepts = [layer[0] for layer in layers], [layer[1] for layer in layers]
        if target is not None:
            mean, scale = target
            coefs[-1] = (coefs[-1] * scale).astype(dtype)
            # float64, always: a mean far from zero in float32 would cost the digits that the scale is about.
            intercepts[-1] = intercepts[-1].astype(np.float64) * scale + mean
        slopes = [slope for layer in layers for slope in layer[2:]] or None
        return cls(architecture, input_params, coefs, intercepts, slopes)

    def to_layers(
        self, target: tuple[np.ndarray, np.ndarray] | None, dtype: str
    ) -> tuple[dict[str, Any], tuple[tuple[np.ndarray, ...], ...]]:
        """Return the parameters of the inputs and the layers as training left them, the reverse of `of_layers`.

        They are those of a network of the encoded target, and the inputs' scale is not in the first layer.
        """
        coefs, intercepts = [*self.coefs], [*self.intercepts]
        if target is not None:
            mean, scale = target
            coefs[-1], intercepts[-1] = coefs[-1] / scale, (intercepts[-1] - mean) / scale
        if "scale" in self.input_params:
            s = self.input_params["scale"][:, None]
            coefs[0] = np.divide(coefs[0], s, out=np.zeros_like(coefs[0]), where=s != 0)
        slopes = [[slope] for slope in self.slopes or ()] or [[] for _ in coefs[1:]]
        layers = tuple(
            tuple(np.asarray(a, dtype) for a in (W, b, *slope))
            for W, b, slope in zip(coefs, intercepts, [*slopes, []], strict=True)
        )
        return {name: _as_dtype(value, dtype) for name, value in self.input_params.items()}, layers

    @property
    def hidden_layer_sizes(self) -> tuple[int, ...]:
        """Units that are left in each hidden layer."""
        return tuple(W.shape[1] for W in self.coefs[:-1])

    @property
    def n_parameters(self) -> int:
        """Parameters that prediction needs."""
        return self.architecture.n_parameters(self.hidden_layer_sizes)

    @property
    def n_macs(self) -> int:
        """Multiply-accumulates of the layers for one row."""
        return self.architecture.n_macs(self.hidden_layer_sizes)

    def embed(self, encoded: Any) -> Any:
        """Return what the first layer reads of encoded rows, f[n, n_features]; CSR where nothing is embedded."""
        inputs = self.architecture.inputs
        return encoded if inputs.is_identity else inputs.features(np, self.input_params, dense(encoded))

    def raw_output(self, X: Any) -> np.ndarray:
        """Return the output layer's pre-activation f[n, n_outputs] of rows f[n, n_columns of X], dense or CSR."""
        return RawOutputs([self], X).map(lambda raw: raw[0])

    def precision(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype that many rows of ``dtype`` are computed in: the same, but where numbers are embedded.

        Embeddings take most of the time, and those of float32 weights have no more digits than float32, whatever the
        rows. But numbers are rounded after they were scaled: that is where the digits of a time stamp matter.
        """
        encoder, weights = self.architecture.encoder, self.coefs[0].dtype
        scaled = encoder is not None and encoder.clip
        return weights if self.architecture.inputs.n_embedded and scaled and weights < dtype else dtype

    def forward(self, dtype: Any, *, encoded: bool = False) -> Forward:
        """Return what computes the output layer's pre-activation of rows of X, or of rows that are encoded.

        It computes in ``dtype``, which is that of the rows; of rows that are to be encoded, it may be another.
        """
        architecture = self.architecture
        features: Callable[[Any], Any] | None = None
        if not architecture.reads_raw_rows:
            features = self.embed if encoded else lambda X: self.embed(architecture.encode(X, dtype))
        return Forward.of(dtype, self.coefs, self.intercepts, architecture.activation, self.slopes, features)


class RawOutputs:
    """The raw outputs of models for rows: computed when they are asked for, a chunk of rows at a time.

    Outputs may be many more than what is made of them: of 10 000 classes one is predicted.

    Parameters
    ----------
    models : sequence of Model
        An encoder that they share encodes once.
    X : f[n, n_columns of X], dense or CSR
    rows : i[m], optional
        Which rows of X; by default all.
    weights : sequence of float, optional
        Of the models in a mean of what they predict; by default they are equal.
    """

    def __init__(
        self,
        models: Sequence[Model],
        X: Any,
        rows: np.ndarray | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.models, self.X, self.rows, self.weights = models, X, rows, weights

    def map(self, of: Callable[[list[np.ndarray]], np.ndarray]) -> np.ndarray:
        """Return an array with a row for each of them.

        Parameters
        ----------
        of : callable (list of f[m, n_outputs]) → array of shape (m, ...)
            From the raw outputs of each model for some rows to theirs.
        """
        models, X, rows = self.models, self.X, self.rows
        architecture = models[0].architecture
        shared = len(models) > 1 and all(model.architecture.encoder is architecture.encoder for model in models)
        # Of several members that of the lowest precision: the others have no more digits in their weights.
        dtype = min((model.precision(X.dtype) for model in models), key=lambda dtype: dtype.itemsize)
        n = X.shape[0] if rows is None else len(rows)
        if n <= SMALL_CALL:
            dtype = X.dtype
        forward = [model.forward(dtype, encoded=shared) for model in models]
        joined = joined_forward(models, forward) if shared else None

        def of_chunk(rows: Any) -> np.ndarray:
            read = architecture.encode(rows, dtype) if shared else rows
            raw = [one(read) for one in forward] if joined is None else joined(read)
            # What is made of outputs has the precision of the rows: that probabilities add up to 1, say.
            return of(raw if dtype == X.dtype else [z.astype(np.result_type(z, X), copy=False) for z in raw])

        if joined is not None and n > 1:
            step = joined.chunk_rows(X)
        else:
            step = 1 if n == 1 else min(one.chunk_rows(X, len(forward)) for one in forward)
        return in_chunks(X, step, of_chunk) if rows is None else in_chunks(rows, step, lambda rows: of_chunk(X[rows]))

    def whole(self) -> list[np.ndarray]:
        """Return the raw outputs f[n, n_outputs] of each model."""
        stacked = self.map(lambda raw: np.stack(raw, axis=1))
        return [stacked[:, k] for k in range(len(self.models))]


def joined_forward(models: Sequence[Model], forward: Sequence[Forward]) -> JoinedForward | None:
    """Return the networks side by side, from encoded rows; None where they differ in depth, activation or slopes."""
    kinds = {(len(one.coefs), one.activation, one.slopes[0] is None) for one in forward}
    if len(kinds) > 1 or len(forward[0].coefs) < 2:
        return None
    networks = [(model.architecture.inputs, model.input_params) for model in models]

    def features(encoded: Any) -> list[Any]:
        if all(inputs.is_identity for inputs, _ in networks):
            return [encoded] * len(networks)
        return features_on_host(networks, dense(encoded))

    return JoinedForward.of(forward, features)


def raw_outputs(models: Sequence[Model], X: Any, weights: np.ndarray | None = None) -> RawOutputs:
    """Return the raw outputs of several models for rows, dense or CSR; those of weight 0 are left out."""
    if weights is not None:
        models, weights = [models[int(k)] for k in np.flatnonzero(weights)], weights[weights > 0]
    if weights is None or np.ptp(weights) == 0:
        return RawOutputs(models, X)
    return RawOutputs(models, X, weights=weights.tolist())


def _as_dtype(value: Any, dtype: str) -> Any:
    return tuple(np.asarray(v, dtype) for v in value) if isinstance(value, tuple) else np.asarray(value, dtype)
