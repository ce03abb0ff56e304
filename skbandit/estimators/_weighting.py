"""The weights of an ensemble's members, and its out-of-fold predictions: what held-out rows say of several networks.

Members that embed numbers in the same way are of one *kind*. Networks of different kinds err in different places, and
which kind is better depends on the table. So members of different kinds hold out the same rows, a *window*, where one
can be compared with the other: the weights of the kinds, in tenths, are those whose weighted mean has the least loss on
the held-out rows of all windows (docs/decisions/0023).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from skbandit._tabular.model import Model, RawOutputs
from skbandit._tabular.network.losses import LOSSES
from skbandit.estimators._kinds import as_embeddings
from skbandit.estimators._rows import FitTask

#: Weights of kinds are multiples of one over this.
TENTHS = 10
#: Weights whose loss is above the least one by no more than this share are as good, and the most even ones are taken:
#: rounding must not decide.
_TOLERANCE = 1e-6


class OfMember(NamedTuple):
    """A member and the rows that it has held out."""

    model: Model
    held: np.ndarray | None
    """bool[n], of the rows of the task; None where it held out none of them."""
    unseen: bool = True
    """Whether it has never learned from them, in earlier calls either."""


class Compared(NamedTuple):
    """What the kinds predict of the held-out rows of a window."""

    predicted: np.ndarray
    """f[n_kinds, n, n_outputs]"""
    y: np.ndarray
    weight: np.ndarray


def windows(params: Any, n_members: int, *, embeddable: bool = True) -> np.ndarray:
    """Return where in the order of the rows each member begins to hold out, f[n_members] in [0, 1).

    ``embeddable`` says whether there are numbers to embed; otherwise all members are of one kind.
    """
    embeddings = as_embeddings(params["numeric_embedding"], n_members)
    together = 1
    if params["member_weights"] == "held_out" and embeddable and len(set(embeddings)) > 1:
        # One turn through the kinds: they come again after it.
        lengths = range(1, n_members + 1)
        together = next(n for n in lengths if embeddings == tuple(embeddings[k % n] for k in range(n_members)))
    n_windows = -(-n_members // together)
    return np.array([k // together / n_windows for k in range(n_members)])


def weights_of_members(members: Sequence[OfMember], task: FitTask) -> np.ndarray | None:
    """Return the weights of the members, f[n_members], which sum to 1; None where nothing tells kinds apart.

    That is so where no rows are held out whole by members of all kinds, or where members have learned from them.
    """
    n_members, params = len(members), task.params
    even = np.full(n_members, 1 / n_members)
    inputs = [member.model.architecture.inputs for member in members]
    names = [of.embedding if of.n_embedded else None for of in inputs]  # there may be no numbers to embed
    kinds = list(dict.fromkeys(names))
    if params["member_weights"] != "held_out" or len(kinds) == 1:
        return even
    of_kind = np.array([kinds.index(name) for name in names])
    found = list(_compared(members, of_kind, task))
    if not found:
        return None
    predicted = np.concatenate([one.predicted for one in found], axis=1)
    y, weight = np.concatenate([one.y for one in found]), np.concatenate([one.weight for one in found])
    count = np.bincount(of_kind)
    share = _best(predicted, task.target.encode(y), weight, task.target, even_share=count / n_members)
    weights: np.ndarray = (share / count)[of_kind]
    return weights


def _compared(members: Sequence[OfMember], of_kind: np.ndarray, task: FitTask) -> Iterator[Compared]:
    """Yield what the kinds predict of each window that all of them hold out."""
    rows, target = task.train.rows, task.target
    shared = [list(range(len(members)))]
    if task.held_out is not None:
        rows = task.held_out.rows
    elif not all(member.unseen and member.held is not None for member in members):
        return
    else:
        keys = [member.held.tobytes() for member in members if member.held is not None]
        shared = [[k for k, other in enumerate(keys) if other == key] for key in dict.fromkeys(keys)]
    weight = rows.weight * target.class_weighting(task.train.rows.y, task.train.rows.weight, task.params)(rows.y)
    for together in shared:
        held = members[together[0]].held if task.held_out is None else None
        chosen = np.flatnonzero(weight > 0) if held is None else np.flatnonzero(held & (weight > 0))
        if not chosen.size or set(of_kind[together]) != set(of_kind):
            continue
        each = np.stack([_predicted(members[k].model, rows.X, chosen, target) for k in together])
        means = [each[of_kind[together] == kind].mean(axis=0) for kind in range(of_kind.max() + 1)]
        yield Compared(np.stack(means), rows.y[chosen], weight[chosen])


def _predicted(model: Model, X: Any, rows: np.ndarray, target: Any) -> np.ndarray:
    """Return what a network predicts for some rows, f[n, n_outputs]."""
    return RawOutputs([model], X, rows).map(lambda raw: np.asarray(target.link(raw[0]), np.float64))


def _best(predicted: np.ndarray, y: np.ndarray, weight: np.ndarray, target: Any, even_share: np.ndarray) -> np.ndarray:
    """Return the shares of the kinds, f[n_kinds]: those with the least loss, or more even ones that are as good."""
    if target.loss == "squared_error":
        predicted = np.stack([target.encode(p) for p in predicted])
    tenths = itertools.product(range(TENTHS + 1), repeat=len(predicted))
    shares = [even_share, *(np.array(share) / TENTHS for share in tenths if sum(share) == TENTHS)]
    shares.sort(key=lambda share: float(np.square(share - even_share).sum()))
    loss = LOSSES[target.loss]
    losses = np.array([loss.mean(loss.inverse(np.tensordot(share, predicted, axes=1)), y, weight) for share in shares])
    if not np.isfinite(losses).any():
        return even_share
    least = np.nanmin(losses)
    best: np.ndarray = shares[int(np.argmax(losses <= least + _TOLERANCE * abs(least)))]
    return best


def attributes_of_held_out(members: Sequence[OfMember], task: FitTask, before: np.ndarray | None) -> dict[str, Any]:
    """Return what an estimator shows of what held-out rows say: weights, and out-of-fold predictions if there are.

    Where nothing tells kinds apart, the weights ``before`` stay, if there are any.
    """
    weights = weights_of_members(members, task)
    if weights is None:
        weights = np.full(len(members), 1 / len(members)) if before is None else before
    prediction = out_of_fold(members, weights, task)
    of_rows = {} if prediction is None else {task.target.out_of_fold: task.target.present(prediction)}
    return {"member_weights_": weights, **of_rows}


def out_of_fold(members: Sequence[OfMember], weights: np.ndarray, task: FitTask) -> np.ndarray | None:
    """Average, for each row, the predictions of the members that have held it out.

    Returns
    -------
    prediction : f[n, n_outputs] or None
        NaN for rows that nobody held out whole. None where the members did not hold out rows of their own, or have seen
        them: in earlier calls, or, with other calibration rows, in pruning.
    """
    if task.params["calibration"] != "train" or not all(member.unseen for member in members):
        return None
    X, target = task.train.rows.X, task.target
    summed = np.zeros((X.shape[0], target.n_outputs))
    total = np.zeros((X.shape[0], 1))
    for (model, held, _), weight in zip(members, weights, strict=True):
        if held is None:
            return None
        if weight > 0:
            summed[held] += weight * _predicted(model, X, np.flatnonzero(held), target)
            total[held] += weight
    with np.errstate(invalid="ignore"):
        return summed / total
