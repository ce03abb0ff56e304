r"""What a network learns about its inputs: embeddings of columns, and a scale for each feature.

The columns of ``X`` are those of `skbandit._tabular.features.encoder.FeatureEncoder`: numbers that may be embedded,
other dense columns, then the codes of large categorical columns. The features that the first layer reads are, in this
order,

* for each embedded number :math:`x` the number itself and a learned projection of its expansion :math:`e(x)`:
  :math:`(x, W^\top e(x) + b)`;
* the other dense columns;
* for each code a row of a learned table;

each times a learned scale :math:`s`. Expansions: ``"periodic"``, :math:`e_k(x) = \cos(2 \pi f_k x + \phi_k)` with
learned frequencies and phases, RealMLP's "PBLD" (Holzmüller et al., 2024, arXiv 2407.04491); ``"piecewise_linear"``,
the share of each bin between quantiles that lies below :math:`x` (Gorishniy et al., 2022, arXiv 2203.05556), not
learned.

After training the scale goes into the first layer's weights, and the rest is a fixed map that prediction evaluates in
NumPy: what is pruned is a plain network on these features.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skbandit._core.addresses import saved

Params = dict[str, Any]

#: Features of an embedded number: the number itself and three more.
WIDTH = 4
#: Terms of an expansion: frequencies, or bins.
TERMS = 16
#: Standard deviation of the frequencies before training, for inputs of order 1.
FREQUENCY_SCALE = 0.1
#: Features of an embedded category.
EMBEDDING_DIM = 8

#: Terms of expansions that NumPy computes at a time: they stay in the cache, in 512 kB of float32. Of 256 rows of 1 000
#: numbers a seventh of the time of all at once.
BLOCK_TERMS = 2**17
#: Rows of a block at least, where there are so many: NumPy's inner loops run over them.
BLOCK_ROWS = 256
#: Values that quantiles are computed of at a time.
BLOCK_VALUES = 2**18

NUMERIC_EMBEDDINGS = ("periodic", "piecewise_linear")


@saved
@dataclasses.dataclass(frozen=True)
class Inputs:
    """What is static about a network's inputs. Hashable, so that it can be part of a compiled program's key.

    Parameters
    ----------
    n_dense : int
        Columns that are numbers; the rest are codes.
    n_embedded : int
        How many of those, from the first on, are embedded.
    embedding : {None, "periodic", "piecewise_linear"}
    cardinalities : tuple of int
        Rows of each code column's table.
    scaled : bool
        Whether each feature has a learned scale.
    """

    n_dense: int
    n_embedded: int = 0
    embedding: str | None = None
    cardinalities: tuple[int, ...] = ()
    scaled: bool = False

    @property
    def n_columns(self) -> int:
        """Columns that are read: numbers, and a code for each embedded category."""
        return self.n_dense + len(self.cardinalities)

    @property
    def n_features(self) -> int:
        """Features that the first layer reads."""
        return self.n_dense + (WIDTH - 1) * self.n_embedded + EMBEDDING_DIM * len(self.cardinalities)

    @property
    def is_identity(self) -> bool:
        """Whether the features are the columns, but for the scale."""
        return self.n_embedded == 0 and not self.cardinalities

    @property
    def n_parameters(self) -> int:
        """Learned numbers that prediction needs; the scale goes into the first layer."""
        of_terms = 2 * TERMS if self.embedding == "periodic" else TERMS + 1
        return self.n_embedded * (of_terms + (TERMS + 1) * (WIDTH - 1)) + EMBEDDING_DIM * sum(self.cardinalities)

    @property
    def looks_at_rows(self) -> bool:
        """Whether `init` needs rows: for the quantiles of piecewise-linear bins."""
        return self.n_embedded > 0 and self.embedding == "piecewise_linear"

    def init(
        self, rng: np.random.RandomState, dtype: str, X: np.ndarray | None = None, weight: np.ndarray | None = None
    ) -> Params:
        """Draw the parameters on the host.

        Parameters
        ----------
        rng : numpy.random.RandomState
        dtype : {"float32", "float64"}
            Of the parameters.
        X : f[n, n_columns], optional
            Training rows, where it `looks_at_rows`.
        weight : f[n], optional
            Their weights; none given, all rows count the same.

        Returns
        -------
        params : dict
            Those that there are of ``frequency`` and ``phase`` f[n_embedded, TERMS], ``edges`` f[n_embedded, TERMS +
            1], ``weight`` f[n_embedded, TERMS, WIDTH - 1] and ``bias`` f[n_embedded, WIDTH - 1], ``tables`` (one
            f[cardinality, EMBEDDING_DIM] for each code), and ``scale`` f[n_features].
        """
        params: Params = {}
        m, out = self.n_embedded, WIDTH - 1
        if m and self.embedding == "periodic":
            params["frequency"] = FREQUENCY_SCALE * rng.standard_normal((m, TERMS))
            params["phase"] = rng.uniform(-np.pi, np.pi, (m, TERMS))
        elif m:
            assert X is not None
            shares = np.linspace(0, 1, TERMS + 1)
            width = max(BLOCK_VALUES // max(len(X), 1), 1)
            params["edges"] = np.concatenate(
                [
                    np.quantile(X[:, at : min(at + width, m)], shares, axis=0, weights=weight, method="inverted_cdf").T
                    for at in range(0, m, width)
                ]
            )
        if m:
            bound = TERMS**-0.5  # as of a dense layer with so many inputs
            params["weight"] = rng.uniform(-bound, bound, (m, TERMS, out))
            params["bias"] = rng.uniform(-bound, bound, (m, out))
        if self.cardinalities:
            params["tables"] = tuple(rng.standard_normal((n, EMBEDDING_DIM)) for n in self.cardinalities)
        if self.scaled:
            params["scale"] = np.ones(self.n_features)
        return {name: _cast(value, dtype) for name, value in params.items()}

    def features(self, xp: Any, params: Params, X: Any) -> Any:
        """Return what the first layer reads, but for the scale.

        Parameters
        ----------
        xp : module
            ``jax.numpy`` or ``numpy``; NumPy computes in the dtype of ``X``.
        params : dict
            As `init` returns them.
        X : f[n, n_columns]
            Encoded rows.

        Returns
        -------
        features : f[n, n_features]
            ``X`` itself where nothing is embedded.
        """
        if self.is_identity:
            return X
        if xp is np:
            return features_on_host([(self, params)], X)[0]
        parts = []
        m = self.n_embedded
        if m:
            parts.append(self._embed(xp, params, X[:, :m].T).reshape(m * WIDTH, X.shape[0]).T)
        parts.append(X[:, m : self.n_dense])
        codes = X[:, self.n_dense :].astype(np.int32)
        parts += [table[codes[:, column]] for column, table in enumerate(params.get("tables", ()))]
        return xp.concatenate(parts, axis=1)

    def _embed(self, xp: Any, params: Params, X: Any) -> Any:
        """Return numbers f[m, n] and the projections of their expansions, f[m, WIDTH, n].

        The values of a feature lie side by side. With a row's terms side by side, XLA's loops on a CPU were over 16
        terms, and over 3 projections, and took more than twice the time.
        """
        from jax import lax

        x = X[:, None, :]
        if self.embedding == "periodic":
            turns = x * params["frequency"][:, :, None] + params["phase"][:, :, None] * (0.5 / np.pi)
            terms = _cosine_of_turns(xp, turns)
        else:
            edges = lax.stop_gradient(params["edges"])  # they are not learned
            terms = shares_of_bins(xp, x, edges[:, :-1, None], edges[:, 1:, None])
        projected = xp.einsum("mtn,mtd->mdn", terms, params["weight"]) + params["bias"][:, :, None]
        return xp.concatenate([x, projected], axis=1)

    def _expansion(self, params: Params, columns: slice, dtype: Any) -> Callable[[np.ndarray], np.ndarray]:
        """Return the expansion of some columns: from their numbers, f[m, 1, n], to f[m, TERMS, n], in NumPy."""
        if self.embedding == "periodic":
            frequency = 2 * np.pi * params["frequency"][columns, :, None].astype(dtype)
            phase = params["phase"][columns, :, None].astype(dtype)

            def cosines(x: np.ndarray) -> np.ndarray:
                # NumPy's own cosine: of float32 a twentieth of the time of the polynomial that XLA evaluates.
                terms: np.ndarray = x * frequency
                terms += phase
                np.cos(terms, out=terms)
                return terms

            return cosines
        edges = params["edges"][columns, :, None].astype(dtype)
        return lambda x: shares_of_bins(np, x, edges[:, :-1], edges[:, 1:])


def features_on_host(networks: Sequence[tuple[Inputs, Params]], X: np.ndarray) -> list[np.ndarray]:
    """Return the features of several networks, each f[n, n_features]: in NumPy, in the dtype of ``X``.

    The values of a feature lie side by side: NumPy's inner loops are then over rows, not over the `TERMS` of an
    expansion, and BLAS reads the transpose as it is. Networks with the same bins share their expansions.

    Parameters
    ----------
    networks : sequence of (Inputs, dict)
        They read the same columns.
    X : f[n, n_columns]
        Encoded rows.
    """
    n, features = X.shape[0], []
    alike: list[list[tuple[Inputs, Params, np.ndarray]]] = []
    for inputs, params in networks:
        if inputs.is_identity:
            features.append(X)
            continue
        m, out = inputs.n_embedded, np.empty((inputs.n_features, n), X.dtype)
        if m:
            embedded = inputs, params, out[: m * WIDTH].reshape(m, WIDTH, n)
            group = next((group for group in alike if _expand_alike(group[0], embedded)), None)
            alike.append([embedded]) if group is None else group.append(embedded)
        at = WIDTH * m + inputs.n_dense - m
        out[WIDTH * m : at] = X[:, m : inputs.n_dense].T
        for column, table in enumerate(params.get("tables", ()), start=inputs.n_dense):
            out[at : at + EMBEDDING_DIM] = table[X[:, column].astype(np.intp)].T
            at += EMBEDDING_DIM
        features.append(out.T)
    for group in alike:
        _embed_in_blocks(group, X[:, : group[0][0].n_embedded].T)
    return features


def _expand_alike(one: tuple[Inputs, Params, Any], other: tuple[Inputs, Params, Any]) -> bool:
    """Say whether two networks have the same expansions: the same bins of the same numbers."""
    bins = one[0].embedding == other[0].embedding == "piecewise_linear"
    return bins and np.array_equal(one[1]["edges"], other[1]["edges"])


def _embed_in_blocks(networks: Sequence[tuple[Inputs, Params, np.ndarray]], x: np.ndarray) -> None:
    """Write numbers f[m, n] and the projections of their expansions into f[m, WIDTH, n], of each network.

    An expansion is `TERMS` times as large as its number: it is computed for some rows of some columns at a time.
    """
    m, n = x.shape
    width = max(min(m, BLOCK_TERMS // (TERMS * max(min(n, BLOCK_ROWS), 1))), 1)
    step = max(BLOCK_TERMS // (TERMS * width), 1)
    for *_, out in networks:
        out[:, 0] = x
    inputs, params, numbers = networks[0]
    for left in range(0, m, width):
        columns = slice(left, left + width)
        expand = inputs._expansion(params, columns, x.dtype)
        projections = [
            (
                of["weight"][columns].transpose(0, 2, 1).astype(x.dtype, copy=False),
                of["bias"][columns][:, :, None],
                out[columns, 1:],
            )
            for _, of, out in networks
        ]
        for start in range(0, n, step):
            rows = slice(start, start + step)
            terms = expand(numbers[columns, :1, rows])
            for weight, bias, out in projections:
                projected = out[:, :, rows]
                np.matmul(weight, terms, out=projected)
                projected += bias


def shares_of_bins(xp: Any, x: Any, low: Any, high: Any) -> Any:
    """Return the share of each bin, from ``low`` to ``high``, that lies below x, elementwise."""
    width = high - low
    # An empty bin (tied quantiles) becomes a ramp of width 1: a step at a value that many rows have would turn rounding
    # between the precisions of training and prediction into a jump.
    return xp.clip((x - low) / xp.where(width > 0, width, 1), 0, 1)


def _cosine_of_turns(xp: Any, t: Any) -> Any:
    r"""Return cos(2 π t), as :math:`1 - 2 \sin^2(\pi r)` with r the distance to the nearest whole number.

    XLA's cosine was more than half of a training step on a CPU: with it the embedding of 200 x 10 numbers took 2.1 ms
    a step, with a polynomial in r 0.8 ms. At r = ½ sin's series leaves 7e-10 after x^13, for float32, and 1e-18 after
    x^21, for float64: less than rounding.
    """
    x = np.pi * (t - xp.round(t))
    square = x * x
    n_terms = 11 if t.dtype == np.float64 else 7
    sine = xp.ones_like(x)
    for k in range(n_terms - 1, 0, -1):
        sine = 1 - square / (2 * k * (2 * k + 1)) * sine
    sine = x * sine
    return 1 - 2 * sine * sine


def fold_scale(params: Params, layers: Any) -> tuple[Params, Any]:
    """Move the learned scale into the first layer's weights: the network computes the same, and its scale is 1."""
    if "scale" not in params:
        return params, layers
    (W, *rest), *others = layers
    return unit_scale(params), ((params["scale"][:, None] * W, *rest), *others)


def unit_scale(params: Params) -> Params:
    """Return the parameters with a scale of 1, where they have one."""
    return params | {"scale": np.ones_like(params["scale"])} if "scale" in params else params


def parameter_arrays(params: Params) -> list[np.ndarray]:
    """Return all arrays of the parameters."""
    return [a for value in params.values() for a in (value if isinstance(value, tuple) else (value,))]


def _cast(value: Any, dtype: str) -> Any:
    """Convert an array, or each of a tuple of arrays."""
    return tuple(v.astype(dtype) for v in value) if isinstance(value, tuple) else value.astype(dtype)
