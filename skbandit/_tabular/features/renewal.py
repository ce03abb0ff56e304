"""An encoder that is learned on: what the first rows lacked comes in, and what need not change stays.

Networks read what an encoder writes. So a column keeps its place in the order of things for as long as it can:

* A column of numbers keeps its centre and its scale until they are off by more than `MOST_SHIFT` or `MOST_RATIO`. The
  latest ones take their place where what the column was, for the rows before, is nearly a line in what it is then
  (`LEAST_LINEAR`, `MOST_STEEP`). Otherwise they would clip rows that the old ones told apart, or tell rows far apart
  that were clipped: then the column is written twice, on the old scale and on the latest, so that what was learned of
  the one stays and the other can be learned; up to `MOST_SCALES` times, after which the last scale is the one that
  moves.
* A column that was constant, or had no values, gets centre and scale as soon as there are some.
* An indicator of missing numbers and an embedded number stay so, and others may join them.
* The ends of one-hot columns stay as they were made, which is right within a factor of two whatever the shares of the
  categories; new categories get columns of their own. Two categories (-1 and 1) become one-hot columns when there is
  a third, and one-hot columns become codes when there are too many.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skbandit._tabular.features.columns import Affine, OneHot, smooth_clip
from skbandit._tabular.features.encoder import FeatureEncoder
from skbandit._tabular.features.sparse_rows import dense

#: A centre may be off by this share of the distance between the quartiles, and a scale by this factor.
MOST_SHIFT, MOST_RATIO = 0.25, 1.25
#: Share of the variance of what a column was that a line must explain, and how steep it may be: not so much flatter or
#: steeper than where nothing is clipped.
LEAST_LINEAR, MOST_STEEP = 0.995, 2.0
#: Scales on which a column is written.
MOST_SCALES = 4


def renewed(
    encoder: FeatureEncoder,
    latest: FeatureEncoder,
    X: Any = None,
    weight: np.ndarray | None = None,
    *,
    rescale: bool = True,
) -> FeatureEncoder:
    """Return an encoder of what was learned before and of what ``latest`` has learned since.

    Parameters
    ----------
    encoder, latest : FeatureEncoder
        Of the same columns of X; ``latest`` knows all categories of ``encoder``, by the same codes, and writes each
        column once.
    X, weight : f[n, n_features], f[n], optional
        Rows that stand for those before; without any, each column is written on one scale.
    rescale : bool
        Whether columns that have a scale may get another one.

    Returns
    -------
    renewed : FeatureEncoder
        ``encoder`` itself where nothing changes.
    """
    embeddable = np.union1d(encoder.columns[: encoder.n_embeddable], latest.columns[: latest.n_embeddable])
    numbers = _numbers(encoder, latest, X, weight, rescale)
    order = np.lexsort([numbers[0], ~np.isin(numbers[0], embeddable), occurrences(numbers[0])])
    columns, centre, scale, fill = (values[order] for values in numbers)
    binary, one_hot, codes = _categories(encoder, latest)
    if not (columns.size or binary or one_hot or codes):
        return encoder
    result = FeatureEncoder.of_columns(
        encoder.n_features,
        columns,
        centre,
        scale,
        fill,
        binary,
        np.union1d(encoder.indicators, latest.indicators).astype(np.intp),
        one_hot,
        codes,
        encoder.clip,
        n_embeddable=embeddable.size,
    )
    return encoder if result.same_as(encoder) else result


def occurrences(columns: np.ndarray) -> np.ndarray:
    """Return how often each of the columns, i[n], stands before."""
    order = np.argsort(columns, kind="stable")
    ordered = columns[order]
    count = np.empty(columns.size, np.intp)
    count[order] = np.arange(columns.size) - np.searchsorted(ordered, ordered)
    return count


def _numbers(
    encoder: FeatureEncoder, latest: FeatureEncoder, X: Any, weight: np.ndarray | None, rescale: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return column, centre, scale and fill of the numbers, in any order but that of the scales of a column."""
    at = slice(0, encoder.n_numbers)
    columns, centre, scale, fill = (
        a[at].copy() for a in (encoder.columns, encoder.centre, encoder.scale, encoder.fill)
    )
    n_scales = np.bincount(columns, minlength=encoder.n_features)
    last = np.full(encoder.n_features, -1)
    np.maximum.at(last, columns, np.arange(columns.size))

    now = latest.columns[: latest.n_numbers]
    new_centre, new_scale, last = latest.centre[: now.size], latest.scale[: now.size], last[now]
    moved = _moved((centre[last], scale[last]), (new_centre, new_scale), rescale)
    now, new_centre, new_scale, last = (values[moved] for values in (now, new_centre, new_scale, last))
    apart = (scale[last] > 0) & (X is not None)
    if weight is not None and apart.any():
        rows = dense(X[:, now[apart]]).astype(np.float64)
        pair = (centre[last[apart]], scale[last[apart]]), (new_centre[apart], new_scale[apart])
        apart[apart] = ~_is_line(rows, weight, *pair, encoder.clip)
    apart &= n_scales[now] < MOST_SCALES
    centre[last[~apart]], scale[last[~apart]] = new_centre[~apart], new_scale[~apart]
    more = now[apart], new_centre[apart], new_scale[apart], np.zeros(int(apart.sum()))
    columns, centre, scale, fill = map(np.append, (columns, centre, scale, fill), more)
    return columns, centre, scale, fill


def _moved(before: tuple[np.ndarray, ...], now: tuple[np.ndarray, ...], rescale: bool) -> np.ndarray:
    """Say of which columns centre and scale are to be others, bool[m]."""
    (centre, scale), (new_centre, new_scale) = before, now
    without: np.ndarray = (scale == 0) & ((new_scale > 0) | (np.isnan(centre) & ~np.isnan(new_centre)))
    if not rescale:
        return without
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        shift = np.abs(new_centre - centre) * np.minimum(scale, new_scale)
        ratio = np.maximum(scale / new_scale, new_scale / scale)
        off = (shift > MOST_SHIFT) | (ratio > MOST_RATIO)
    moved: np.ndarray = without | ((scale > 0) & (new_scale > 0) & off)
    return moved


def _is_line(
    rows: np.ndarray, weight: np.ndarray, old: tuple[np.ndarray, ...], new: tuple[np.ndarray, ...], clip: bool
) -> np.ndarray:
    """Say of which columns, f[n, m], the old values are nearly on a line in the new ones, bool[m]."""
    z, new_z = (_scaled(rows, centre, scale, clip) for centre, scale in (old, new))
    slope, _, explained = lines(new_z, z, ~np.isnan(rows) * weight[:, None])
    with np.errstate(over="ignore"):
        steepness = slope * (new[1] / old[1])
    # Far out, where the clip is flat, what is left of differences is on a line, too: on a steep or a flat one.
    linear: np.ndarray = (explained >= LEAST_LINEAR) & (steepness <= MOST_STEEP) & (steepness * MOST_STEEP >= 1)
    return linear & (old[1] / new[1] <= MOST_STEEP) if clip else linear


def _scaled(x: np.ndarray, centre: np.ndarray, scale: np.ndarray, clip: bool) -> np.ndarray:
    """Return what an encoder makes of numbers f[n, m]; of a missing one 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        z = np.nan_to_num((x - centre) * scale)
    return smooth_clip(z) if clip else z


def lines(new: np.ndarray, old: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the least-squares lines from columns f[n, m] to others, with weights f[n, m].

    Returns
    -------
    slope, offset : f[m]
        0 and the mean where the new column does not vary.
    explained : f[m]
        Share of the variance of the old column that is on the line; 1 where it has none.
    """
    total = weight.sum(axis=0)
    share = weight / np.where(total > 0, total, 1.0)
    mean, old_mean = (share * new).sum(axis=0), (share * old).sum(axis=0)
    variance, old_variance = ((share * np.square(z - m)).sum(axis=0) for z, m in ((new, mean), (old, old_mean)))
    covariance = (share * (new - mean) * (old - old_mean)).sum(axis=0)
    slope = covariance / np.where(variance > 0, variance, 1.0)
    explained = np.where(old_variance > 0, slope * covariance / np.where(old_variance > 0, old_variance, 1.0), 1.0)
    return slope, old_mean - slope * mean, explained


def binary_columns(encoder: FeatureEncoder) -> dict[int, Affine]:
    """Return the variables of two categories by their column of X."""
    at = slice(encoder.n_numbers, None)
    parts = (encoder.columns[at].tolist(), encoder.centre[at], encoder.scale[at], encoder.fill[at])
    return {j: Affine(j, float(c), float(s), float(f)) for j, c, s, f in zip(*parts, strict=True)}


def one_hot_columns(encoder: FeatureEncoder) -> dict[int, OneHot]:
    """Return the one-hot variables by their column of X."""
    variables, start = {}, 0
    parts = (encoder.one_hot.tolist(), encoder.one_hot_sizes.tolist(), encoder.one_hot_missing.tolist())
    for j, size, missing in zip(*parts, strict=True):
        at = slice(start, start + size + missing)
        variables[j] = OneHot(j, size, missing, encoder.low[at], encoder.high[at])
        start = at.stop
    return variables


def code_columns(encoder: FeatureEncoder) -> dict[int, int]:
    """Return the numbers of categories of the variables that stay codes, by their column of X."""
    return dict(zip(encoder.codes.tolist(), encoder.code_sizes.tolist(), strict=True))


def _categories(
    encoder: FeatureEncoder, latest: FeatureEncoder
) -> tuple[list[Affine], list[OneHot], list[tuple[int, int]]]:
    """Return the variables of two categories, the one-hot ones and the codes."""
    was_binary, was_hot = binary_columns(encoder), one_hot_columns(encoder)
    binary: list[Affine] = []
    one_hot = []
    for j, variable in binary_columns(latest).items():
        if j in was_hot:  # of one category, and of missing values
            one_hot.append(_grown(was_hot[j], 2, False, encoder))
        elif variable.scale > 0:
            binary.append(was_binary[j] if j in was_binary and was_binary[j].scale > 0 else variable)
    for j, hot in one_hot_columns(latest).items():
        one_hot.append(_grown(was_hot[j], hot.n_categories, hot.missing, encoder) if j in was_hot else hot)
    return binary, sorted(one_hot, key=lambda variable: variable.column), list(code_columns(latest).items())


def _grown(variable: OneHot, n_categories: int, missing: bool, encoder: FeatureEncoder) -> OneHot:
    """Return a one-hot variable with columns for more categories, or for missing values; they are rare so far."""
    n_before = variable.n_categories
    # Of a rare category the centre is 0 and the scale 2.
    end = float(smooth_clip(np.array([2.0]))[0]) if encoder.clip else 1.0
    ends = []
    for of_variable, new in ((variable.low, 0.0), (variable.high, end)):
        of_missing = of_variable[n_before:] if variable.missing else np.full(int(missing), new)
        ends.append(np.concatenate([of_variable[:n_before], np.full(n_categories - n_before, new), of_missing]))
    return OneHot(variable.column, n_categories, variable.missing or missing, *ends)
