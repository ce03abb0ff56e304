r"""A network that computes the same of columns that are written anew.

Where an encoder is learned on (`skbandit._tabular.features.renewal`), the features :math:`z` that the first layer reads
become :math:`z'`. The old ones are affine in the new ones, :math:`z = A z' + c`, so that the first layer
:math:`W^\top z + b` becomes :math:`W'^\top z' + b'` with

.. math:: W' = A^\top W, \qquad b' = b + W^\top c.

* A number that has another centre and scale: exact but for its smooth clip. There :math:`a` and :math:`c` are those of
  the least-squares line through the clipped values of the rows that it was trained on. One that is written on another
  scale beside its own: exact, the new feature has weights of 0.
* An embedded number: cosines get other frequencies and phases, and bins other edges, which is exact but for the clip.
  Where bins are empty, the function that they made is interpolated between new edges.
* A column that was constant did not reach the network. It does now, with weights of 0; where the network has seen few
  rows, with those that were drawn.
* An indicator of missing numbers takes up what another median stands for.
* A category that is new is at first what an unknown one was. Categories have linear features: two of them on one axis,
  one-hot columns, or a table of codes. From each of these to the next the map is exact.

The arrays of the optimizer's state are mapped, too: a first moment is one of gradients, a second one of their squares.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from skbandit._tabular.features.columns import OneHot, smooth_clip
from skbandit._tabular.features.embeddings import EMBEDDING_DIM, WIDTH, shares_of_bins
from skbandit._tabular.features.encoder import FeatureEncoder
from skbandit._tabular.features.renewal import binary_columns, code_columns, lines, occurrences, one_hot_columns
from skbandit._tabular.model import Architecture, Model

#: Parameters of the inputs, and the layers; or an array for each of them.
Parameters = tuple[dict[str, Any], Any]
#: A line that is flatter than this tells nothing of the value before.
_FLAT = 1e-6


@dataclasses.dataclass(frozen=True, eq=False)
class Reparametrization:
    """From networks that read what one encoder writes to networks that read what another one does; made by `of`.

    Parameters
    ----------
    before, after : Architecture
        They differ in the encoder and in the inputs.
    slope, offset : f[n_numbers]
        Of the numbers of ``after``, in its order: what the value before is, ``slope * value + offset``.
    rows, weight : f[n, n_columns], f[n]
        Rows at hand, as the encoder of ``after`` writes them.
    """

    before: Architecture
    after: Architecture
    slope: np.ndarray
    offset: np.ndarray
    rows: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(
        cls,
        before: Architecture,
        after: Architecture,
        past: tuple[np.ndarray, np.ndarray],
        at_hand: tuple[np.ndarray, np.ndarray],
        lone: np.ndarray | None = None,
    ) -> Reparametrization:
        """Fit lines from what numbers are to what they were.

        Parameters
        ----------
        before, after : Architecture
        past : tuple of f[n, n_features], f[n]
            Rows that stand for those that the network was trained on, and their weights: lines are fitted to them.
        at_hand : tuple of f[n, n_features], f[n]
            Rows that stand for all, those that it is to be trained on among them.
        lone : f[n_features], optional
            Of columns that were constant the value that they had, where the rest of the network is as good as new: the
            weights of these columns stay then as they were drawn, and the function is the same at that value.
        """
        then, now = _encoder(before), _encoder(after)
        numbers, was = _numbers(now), _places(_numbers(then), _numbers(now))
        known = np.flatnonzero(was >= 0)
        was, columns = was[known], now.columns[known]
        X, weight = past
        old, new = then.transform(X, np.float64)[:, was], now.transform(X, np.float64)[:, known]
        a, c, _ = lines(new, old, ~np.isnan(X[:, columns]) * weight[:, None])
        # Where these rows are all alike, the line about 0, where nothing is clipped.
        (centre, scale), (new_centre, new_scale) = (
            (e.centre[at], e.scale[at]) for e, at in ((then, was), (now, known))
        )
        lost = (a < _FLAT) & (scale > 0) & (new_scale > 0)
        near = (new_centre - centre) * scale
        a = np.where(lost, scale / np.where(new_scale > 0, new_scale, 1.0), a)
        c = np.where(lost, smooth_clip(near.copy()) if then.clip else near, c)
        same = (centre == new_centre) & (scale == new_scale)
        a, c = np.where(same, 1.0, a), np.where(same, 0.0, c)
        if lone is not None:
            drawn = (scale == 0) & (new_scale > 0)
            a, c = np.where(drawn, 1.0, a), np.where(drawn, -now.transform(lone[None], np.float64)[0, known], c)
        slope, offset = np.zeros(numbers.size), np.zeros(numbers.size)
        slope[known], offset[known] = a, c
        return cls(before, after, slope, offset, now.transform(at_hand[0], np.float64), at_hand[1])

    def for_embedding(self, embedding: str | None) -> Reparametrization:
        """Return it for networks that read the same columns, but embed their numbers otherwise, or not at all."""
        before, after = self.before.with_embedding(embedding), self.after.with_embedding(embedding)
        return self if before is self.before else dataclasses.replace(self, before=before, after=after)

    def model(self, model: Model, rng: np.random.RandomState) -> Model:
        """Return the network that computes the same; what is drawn for new columns does not reach it yet."""
        W, b, old = model.coefs[0], model.intercepts[0], model.input_params
        new = self._input_params(old, W.dtype, rng)
        n_features, mix = self.after.inputs.n_features, self._mix(old, new)
        if "scale" in old:
            new["scale"] = _gathered(old["scale"], mix.lines(n_features)[0], 1.0)
        return dataclasses.replace(
            model,
            architecture=self.after,
            input_params=new,
            coefs=[mix.weights(W, n_features).astype(W.dtype), *model.coefs[1:]],
            intercepts=[(b + mix.bias(W)).astype(b.dtype), *model.intercepts[1:]],
        )

    def moments(self, moments: Parameters, order: int, network: Parameters) -> Parameters:
        """Map moments of the gradients of a network's parameters.

        The gradient of a weight of :math:`z'` is that of the weight of :math:`z`, less :math:`c` times that of the
        bias, divided by :math:`a`. Second moments are mapped as if these two were independent, and those of cosines
        and their phases as if these were. New features begin with a first moment of 0 and the mean second moment of
        their unit.

        Parameters
        ----------
        moments : tuple (inputs, layers)
            Before.
        order : {1, 2}
            Of gradients, or of their squares.
        network : tuple (inputs, layers)
            After.
        """
        (inputs, ((W, b, *slopes), *others)), (new, ((new_W, *_), *_)) = moments, network
        origin, slope, offset = self._mix(None, None).lines(len(new_W))
        mapped = {name: self._moments_of(name, inputs.get(name), array, origin, order) for name, array in new.items()}
        factor = np.ones(len(new_W))
        if "scale" in new:
            factor = new["scale"]
            mapped["scale"] = mapped["scale"] + ((-offset / slope)[:, None] * new_W) ** order @ b
        first = _gathered(W, origin, W.mean(axis=0) if order == 2 else 0.0)
        first = (first + (-offset * factor)[:, None] ** order * b) / slope[:, None] ** order
        return mapped, ((first, b, *slopes), *others)

    def _moments_of(self, name: str, moments: Any, parameter: Any, origin: np.ndarray, order: int) -> Any:
        """Map the moments of an array of the inputs; ``origin`` is that of the features."""
        if name == "tables":
            known = dict(zip(code_columns(_encoder(self.before)), moments or (), strict=True))
            columns = code_columns(_encoder(self.after))
            return tuple(_padded(known.get(j), table, order) for j, table in zip(columns, parameter, strict=True))
        if moments is None:
            return np.zeros_like(parameter)
        origin = origin if name == "scale" else self._embedded_before()
        mapped = _gathered(moments, origin, moments.mean(axis=0) if order == 2 else 0.0)
        if name == "frequency":
            slope = self.slope[: len(mapped), None]
            mapped = mapped / np.where(slope > 0, slope, 1.0) ** order
        return mapped.astype(parameter.dtype)

    # ------------------------------------------------------------------ the parameters of the inputs

    def _embedded_before(self) -> np.ndarray:
        """Return which embedded number each embedded number was, i[n_embedded]; -1 where it was none."""
        then, now = (_encoder(a).columns[: a.inputs.n_embedded] for a in (self.before, self.after))
        return _places(then, now)

    def _input_params(self, old: dict[str, Any], dtype: np.dtype, rng: np.random.RandomState) -> dict[str, Any]:
        """Return the parameters of the inputs but for their scale."""
        inputs, new = self.after.inputs, dict(old)
        if inputs.is_identity:
            return new
        drawn, before = inputs.init(rng, dtype.name, self.rows, self.weight), self._embedded_before()
        for name in drawn.keys() - {"scale", "tables"}:
            new[name] = drawn[name].copy()
            if name in old:
                new[name][before >= 0] = old[name][before[before >= 0]]
        if "frequency" in new:  # cos(2 π f (a x + c) + φ)
            slope, offset = self.slope[: len(before), None], self.offset[: len(before), None]
            new["phase"] = (new["phase"] + 2 * np.pi * new["frequency"] * offset).astype(dtype)
            new["frequency"] = (new["frequency"] * slope).astype(dtype)
        elif "edges" in new:
            for i in np.flatnonzero((before >= 0) & ((self.slope != 1) | (self.offset != 0))[: len(before)]):
                self._move_edges(int(i), new, drawn["edges"][i])
        if inputs.cardinalities:
            new["tables"] = tuple(self._tables(old.get("tables", ()), drawn["tables"]))
        return new

    def _move_edges(self, i: int, params: dict[str, Any], edges: np.ndarray) -> None:
        """Express the bins of embedded number ``i`` in its new units.

        Where bins are empty, whose ramps have a width of 1 in any units, it gets other edges f[TERMS + 1] instead, and
        the values there that it had.
        """
        if (np.diff(params["edges"][i]) > 0).all():
            params["edges"][i] = (params["edges"][i] - self.offset[i]) / self.slope[i]
            return
        at = (self.slope[i] * edges.astype(np.float64) + self.offset[i])[:, None]
        low, high = params["edges"][i][:-1], params["edges"][i][1:]
        values = shares_of_bins(np, at, low, high) @ params["weight"][i] + params["bias"][i]
        params["edges"][i], params["weight"][i], params["bias"][i] = edges, np.diff(values, axis=0), values[0]

    def _tables(self, old: Sequence[np.ndarray], drawn: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the table of each code."""
        then, now = _encoder(self.before), _encoder(self.after)
        known, sizes = dict(zip(then.codes.tolist(), old, strict=True)), code_columns(then)
        n_linear = {j: hot.n_categories for j, hot in one_hot_columns(then).items()}
        n_linear |= {j: 2 for j, variable in binary_columns(then).items() if variable.scale > 0}
        for j, fresh in zip(now.codes.tolist(), drawn, strict=True):
            table = fresh.copy()
            if j in known:
                table[: len(known[j])] = known[j]
                # A new category is what an unknown one was.
                table[sizes[j] + 1 : code_columns(now)[j] + 1] = known[j][0]
            elif j in n_linear:  # a category is an axis; an unknown one is the origin, and so is a new one
                table[:] = np.eye(len(table), EMBEDDING_DIM, -1)
                table[n_linear[j] + 1 :] = 0
            yield table

    # ------------------------------------------------------------------ the first layer

    def _mix(self, old: dict[str, Any] | None, new: dict[str, Any] | None) -> _Mix:
        """Return what the weights of features become; without the inputs' parameters, but for missing numbers."""
        then, now = _Features(self.before), _Features(self.after)
        mix = _Mix(self.before.inputs.n_features)
        place = _places(_numbers(then.encoder), _numbers(now.encoder))
        known = np.flatnonzero(place >= 0)
        number, was, slope, offset = now.dense(known), then.dense(place[known]), self.slope[known], self.offset[known]
        mix.add(number, was, slope)
        mix.shift(was, offset)
        mix.keep(number, was, slope, offset)

        before = self._embedded_before()
        kept = np.flatnonzero(before >= 0)
        more = np.arange(1, WIDTH)
        mix.keep((WIDTH * kept[:, None] + more).ravel(), (WIDTH * before[kept, None] + more).ravel())

        # A missing number was 0 and is 0 now, which is another value.
        flag, was_flag = now.indicators(), then.indicators()
        of = _places(now.encoder.indicators, now.encoder.columns[known])
        mix.add(flag[of[of >= 0]], was[of >= 0], -offset[of >= 0])
        there = _places(then.encoder.indicators, now.encoder.indicators)
        mix.keep(flag[there >= 0], was_flag[there[there >= 0]])
        if old is not None and new is not None and kept.size:
            was_zero = self.before.inputs.features(np, old, then.nothing)[0]
            zero = self.after.inputs.features(np, new, now.nothing)[0]
            of = _places(now.encoder.indicators, now.encoder.columns[kept])
            for i, j in zip(kept[of >= 0], of[of >= 0], strict=True):
                f, was_f = WIDTH * i + more, WIDTH * before[i] + more
                mix.add(flag[j], was_f, was_zero[was_f] - zero[f])
        self._mix_categories(mix, then, now)
        return mix

    def _mix_categories(self, mix: _Mix, then: _Features, now: _Features) -> None:
        """Take the columns of categories up into what the weights of features become."""
        was_two, was_hot, was_code = then.two(), then.one_hot(), then.codes()
        for j, (feature, _) in now.two().items():
            if j in was_two:
                mix.keep(feature, was_two[j][0])
        for j, (features, hot) in now.one_hot().items():
            high = hot.high - hot.low
            if j in was_hot:
                of, old = was_hot[j]
                n, n_before = hot.n_categories, old.n_categories
                mix.keep(features[:n_before], of[:n_before])
                if old.missing:
                    mix.keep(features[n], of[n_before])
                    # A new category is what an unknown one was.
                    mix.add(features[n_before:n], of[n_before], (old.high - old.low)[n_before] / high[n_before:n])
            elif j in was_two:
                of_two, values = was_two[j]
                share = (values[:2] - values[2]) / high[:2]
                mix.add(features[:2], of_two, share)
                mix.shift(of_two, values[2] - hot.low[:2] @ share)
        for j, features in now.codes().items():
            if j in was_code:
                mix.keep(features, was_code[j])
            elif j in was_hot:
                of, old = was_hot[j]
                n, high = old.n_categories, old.high - old.low
                mix.add(features[:n], of[:n], high[:n])
                mix.shift(of, old.low)
                if old.missing:
                    mix.add(features[:n], of[n], -high[n])
                    mix.shift(of[n], high[n])
            elif j in was_two:
                of_two, values = was_two[j]
                mix.add(features[:2], of_two, values[:2] - values[2])
                mix.shift(of_two, values[2])


class _Mix:
    """What the weights of features become: each new one a sum of old ones, and the bias too."""

    def __init__(self, n_before: int):
        self.n_before = n_before
        self.entries: list[tuple[np.ndarray, ...]] = []
        self.kept: list[tuple[np.ndarray, ...]] = []
        self.shifts = np.zeros(n_before)

    def add(self, new: Any, old: Any, factor: Any) -> None:
        """Let weights of new features have ``factor`` times those of old ones in them."""
        new, old, factor = np.broadcast_arrays(new, old, factor)
        self.entries.append((new.ravel(), old.ravel(), factor.ravel()))

    def shift(self, old: Any, factor: Any) -> None:
        """Let the bias have ``factor`` times the weights of old features in it."""
        np.add.at(self.shifts, old, factor)

    def keep(self, new: Any, old: Any, slope: Any = None, offset: Any = 0.0) -> None:
        """Note that new features are old ones, of the same values or on the line that is given."""
        if slope is None:
            slope = 1.0
            self.add(new, old, slope)
        self.kept.append(tuple(map(np.ravel, np.broadcast_arrays(new, old, slope, offset))))

    def weights(self, W: np.ndarray, n_features: int) -> np.ndarray:
        """Return the weights of the new features, from f[n_before, n_units]."""
        new, old, factor = (np.concatenate(parts) for parts in zip(*self.entries, strict=True))
        matrix = sparse.coo_array((factor, (new, old)), (n_features, self.n_before)).tocsr()
        mixed: np.ndarray = matrix @ W.astype(np.float64)
        return mixed

    def bias(self, W: np.ndarray) -> np.ndarray:
        """Return what comes to the bias, f[n_units]."""
        shift: np.ndarray = self.shifts @ W.astype(np.float64)
        return shift

    def lines(self, n_features: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return which old feature each new one is (-1: none), and slope and offset from its value to the old one."""
        origin, slope, offset = np.full(n_features, -1), np.ones(n_features), np.zeros(n_features)
        for new, old, of_slope, of_offset in self.kept:
            there = np.abs(of_slope) > _FLAT
            origin[new[there]] = old[there]
            slope[new[there]], offset[new[there]] = of_slope[there], of_offset[there]
        return origin, slope, offset


class _Features:
    """Where the features of a network's first layer are."""

    def __init__(self, architecture: Architecture):
        self.encoder, self.inputs = _encoder(architecture), architecture.inputs
        self.nothing = np.zeros((1, self.encoder.n_outputs))

    def dense(self, place: np.ndarray) -> np.ndarray:
        """Return the features that are dense columns themselves."""
        m = self.inputs.n_embedded
        return np.where(place < m, WIDTH * place, place + (WIDTH - 1) * m)

    def indicators(self) -> np.ndarray:
        """Return the indicators of missing numbers."""
        start = self.encoder.columns.size
        return self.dense(np.arange(start, start + self.encoder.indicators.size))

    def two(self) -> dict[int, tuple[int, np.ndarray]]:
        """Return the feature of each variable of two categories, and its values: of the first, second, and missing."""
        found = {}
        for place, (j, variable) in enumerate(binary_columns(self.encoder).items(), self.encoder.n_numbers):
            if variable.scale > 0:
                values = (np.array([0.0, 1.0]) - variable.centre) * variable.scale
                values = smooth_clip(values) if self.encoder.clip else values
                found[j] = int(self.dense(np.array(place))), np.append(values, variable.fill)
        return found

    def one_hot(self) -> dict[int, tuple[np.ndarray, OneHot]]:
        """Return the features of each one-hot variable."""
        found, start = {}, self.encoder.columns.size + self.encoder.indicators.size
        for j, variable in one_hot_columns(self.encoder).items():
            found[j] = self.dense(np.arange(start, start + variable.low.size)), variable
            start += variable.low.size
        return found

    def codes(self) -> dict[int, np.ndarray]:
        """Return the features of each code."""
        start = self.inputs.n_features - EMBEDDING_DIM * self.encoder.codes.size
        return {
            j: np.arange(start + EMBEDDING_DIM * i, start + EMBEDDING_DIM * (i + 1))
            for i, j in enumerate(self.encoder.codes.tolist())
        }


def _encoder(architecture: Architecture) -> FeatureEncoder:
    assert architecture.encoder is not None
    return architecture.encoder


def _numbers(encoder: FeatureEncoder) -> np.ndarray:
    """Return what tells the numbers of an encoder apart: the column, and which of its scales."""
    columns = encoder.columns[: encoder.n_numbers]
    names: np.ndarray = columns + encoder.n_features * occurrences(columns)
    return names


def _places(among: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return where each of ``columns`` is ``among`` others, i[n]; -1 where it is not."""
    if not among.size:
        return np.full(columns.shape, -1)
    order = np.argsort(among, kind="stable")
    place = order[np.minimum(np.searchsorted(among, columns, sorter=order), among.size - 1)]
    return np.where(among[place] == columns, place, -1)


def _gathered(values: np.ndarray, origin: np.ndarray, otherwise: Any) -> np.ndarray:
    """Return ``values[origin]``, and something else where the origin is -1."""
    there = (origin >= 0).reshape(-1, *[1] * (values.ndim - 1))
    gathered: np.ndarray = np.where(there, values[np.maximum(origin, 0)], otherwise).astype(values.dtype)
    return gathered


def _padded(moments: np.ndarray | None, table: np.ndarray, order: int) -> np.ndarray:
    """Return the moments of a table's rows; those of new ones are 0, or the mean of the others' squares."""
    padded = np.zeros_like(table)
    if moments is not None:
        padded[: len(moments)] = moments
        padded[len(moments) :] = moments.mean() if order == 2 else 0.0
    return padded
