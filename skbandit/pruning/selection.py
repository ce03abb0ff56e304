"""Which units leave: those of highest value, as many of each group as it has room for. On the host."""

from __future__ import annotations

from typing import Any

import numpy as np


def room_of_groups(
    active: np.ndarray, layer: np.ndarray, n_remove: int, scope: str, least: np.ndarray | int = 1
) -> np.ndarray:
    """Return how many units of each layer may leave, i[n_layers]: all but the least number, or a share of ``n_remove``.

    ``least`` is the number of units of each layer that must stay, i[n_layers], or one number for all.
    """
    left = np.bincount(layer[active], minlength=int(layer[-1]) + 1)
    room = np.maximum(left - least, 0)
    if scope == "layer":
        # The same share of every layer; what rounding leaves goes where most is missing and a unit can be spared.
        exact = _shares(n_remove, left, np.where(np.broadcast_to(least, room.shape) > 1, room, np.inf))
        quota = np.minimum(np.floor(exact).astype(int), room)
        while quota.sum() < min(n_remove, room.sum()):
            quota[np.argmax(np.where(quota < room, exact - quota, -np.inf))] += 1
        room = quota
    return room


def _shares(n: int, left: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Divide ``n`` in proportion to ``left``, f[n_layers], up to a limit of each; the others share what is beyond."""
    full = np.zeros(left.size, bool)
    while not full.all():
        exact: np.ndarray = np.where(full, limit, (n - limit[full].sum()) * left / left[~full].sum())
        over = ~full & (exact > limit)
        if not over.any():
            return exact
        full |= over
    return limit


def choose_units(
    value: np.ndarray,
    active: np.ndarray,
    layer: np.ndarray,
    n_remove: int,
    scope: str,
    least: np.ndarray | int = 1,
) -> np.ndarray:
    """Return the units to remove, bool[n]: highest value first, while more than ``least`` of its layer are left.

    Parameters
    ----------
    value : f[n]
        Higher = safer to remove; NaN counts as least safe.
    active : bool[n]
    layer : i[n]
        Group of each unit.
    n_remove : int
        Fewer are removed if otherwise fewer than ``least`` would stay.
    scope : {"global", "layer"}
        Rank over all layers, or remove the same share of each.
    least : i[n_layers] or int, default=1
        Number of units of each layer that stay.
    """
    room = room_of_groups(active, layer, n_remove, scope, least)
    order = np.argsort(np.where(np.isnan(value), np.inf, -value), kind="stable")
    order = order[active[order]]
    # Rank of each unit within its layer, in the order of removal: it may leave while its layer has room.
    by_layer = np.argsort(layer[order], kind="stable")
    first = np.searchsorted(layer[order][by_layer], np.arange(room.size))
    rank = np.empty(order.size, int)
    rank[by_layer] = np.arange(order.size) - first[layer[order][by_layer]]
    chosen = order[rank < room[layer[order]]][:n_remove]
    removed = np.zeros(value.size, bool)
    removed[chosen] = True
    return removed


def evenly(active: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """Return values f[n] by which active units leave in proportion to the widths of their layers."""
    value = np.zeros(active.size)
    for units in (np.flatnonzero(active & (layer == g)) for g in range(int(layer[-1]) + 1)):
        value[units] = -np.arange(1, units.size + 1) / (units.size + 1)
    return value


def remark_on_damages(damage: np.ndarray, loss: float) -> str:
    """Say why damages f[n], measured as differences of losses near ``loss``, do not tell units apart; "" if they do."""
    known = damage[~np.isnan(damage)]
    if damage.size < 2 or not known.size:
        return ""
    limits, largest = np.finfo(np.float32), float(np.abs(known).max())
    # XLA makes 0 of what is below the smallest normal number: the last digits of a damage must be above it.
    rounding = max(float(limits.eps) * abs(loss), float(limits.tiny / limits.eps))
    if largest <= rounding:
        return (
            f"The loss does not show what the units do: masking one changes it by {largest:.2g} at most, within the "
            f"rounding of float32 at a loss of {loss:.3g}. So the damages rank nothing. Leave constants out of the "
            "loss, or multiply it by one, unless the units do nothing at all."
        )
    return f"All units have the same damage, {known[0]:.3g}: it ranks nothing." if (damage == damage[0]).all() else ""


def remark_on_slopes(info: Any, active: np.ndarray) -> str:
    """Say if the first-order parts of all damages, ``info["slope"]`` f[n], are 0; "" if they are not, or not known.

    "curvature" is then the mean damage.
    """
    slope = np.asarray(info["slope"])[active] if isinstance(info, dict) and "slope" in info else np.ones(1)
    if slope.size < 2 or slope.any():
        return ""
    return (
        "The loss has no derivative with respect to the gates: units are ranked by their mean damage, and not by "
        "rank_by='curvature'. Let the loss depend on the gates smoothly, or take rank_by='rms'."
    )


def is_uninformative(value: np.ndarray) -> bool:
    """Return whether values f[n] are all equal, or none is finite."""
    return value.size > 1 and bool((value == value[0]).all() or not np.isfinite(value).any())
