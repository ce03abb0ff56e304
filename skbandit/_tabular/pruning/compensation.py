r"""Repair after a removal: what is left of a layer takes over for what has gone.

With :math:`Z` the next layer's pre-activation in the network before the removal and :math:`B_S` the activations of the
units that are left, in the network repaired so far, solve for each following layer, from first to last,

.. math:: \min_{\Delta, \beta} \sum_i w_i \lVert z_i - b - \beta - B_{S,i} (W_S + \Delta) \rVert^2
          + \lambda \lVert \Delta \rVert^2,

so that :math:`W_S + \Delta` and :math:`b + \beta` are the new weights and biases: the reweighting of El Halabi et al.
(2022, arXiv 2203.04940) in its asymmetric form, with a free bias and a ridge towards the old weights. It needs no
labels. In NumPy on the host: a solve per layer costs less than compiling one.

With :math:`A` the activations of the units that are left, centred, and :math:`R` the residuals at :math:`\Delta = 0`,
centred, row i of both times :math:`\sqrt{w_i}`, the solution is

.. math:: \Delta = (A^\top A + \lambda I)^{-1} A^\top R = A^\top (A A^\top + \lambda I)^{-1} R .

The first form factorises a matrix of the units, the second one of the rows. The smaller matrix is taken: the cost grows
with the cube of the units only as long as there are more rows than units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from skbandit._tabular.network.inference import activate_in_place, hidden_activations, slices
from skbandit.networks.groups import Groups

Params = tuple[tuple[np.ndarray, ...], ...]

#: Ridge, as a share of the mean of the Gram matrix's diagonal: it keeps the solution near the old weights where the
#: activations of a layer are nearly collinear, at a bias that a repaired layer does not notice.
RIDGE = 1e-2
#: A sum of many products of such numbers is one of float32.
_MOST = 1e18
#: Residuals that there are at a time: 128 MB in float32, as the rows that pruning measures on take at most.
MOST_RESIDUALS = 2**25


def forward(layers: Params, X: Any, activation: str) -> list[np.ndarray]:
    """Return the activations f[n, n_l] of every hidden layer."""
    slopes = [slope for layer in layers[:-1] for slope in layer[2:]]
    return hidden_activations(X, [p[0] for p in layers], [p[1] for p in layers], activation, slopes=slopes)


def reweight(
    params: Params,
    X: Any,
    weight: np.ndarray,
    activation: str,
    groups: Groups,
    active: np.ndarray,
    removed: np.ndarray,
    hidden: list[np.ndarray] | None = None,
) -> Params:
    """Refit, by least squares, the weights and biases that follow the removed units.

    Parameters
    ----------
    params : tuple of (W, b)
        The network before the removal; slices of units that left earlier are zero.
    X, weight : f[n, n_features], f[n]
        Calibration rows; X dense or CSR.
    active, removed : bool[n_units]
        Units that were on before the removal, and those of them that leave.
    hidden : list of f[n, units that are on], optional
        Activations of the network before the removal, where they are known.

    Returns
    -------
    params : tuple of (W, b)
        Same shapes. The removed units' outgoing rows are zero.
    """
    on = [np.flatnonzero(a) for a in groups.split(active)]
    if hidden is None:
        hidden = forward(groups.compact(params, on), X, activation)
    share = weight / weight.sum()
    root = np.sqrt(share)[:, None]
    out = [params[0]]
    after = None  # activations of the layer's units in the repaired network, once they differ
    for layer, (units, gone) in enumerate(zip(on, groups.split(removed), strict=True)):
        W, b, *slope = params[layer + 1]
        leaves = gone[units]
        if after is None and not leaves.any():
            out.append((W, b, *slope))
            continue
        before, W_on, stays = hidden[layer], W[units], ~leaves
        B = (before if after is None else after)[:, stays]
        scaled, B_mean = _centred(B, share, root)
        solve = _least_squares(scaled)
        if after is None:
            # The residual is what the removed units gave.
            gave, mean = _centred(before[:, leaves], share, root)
            W_gone = W_on[leaves]
            delta = solve(gave) @ W_gone if len(W_gone) < W_gone.shape[1] else solve(gave @ W_gone)
            residual_mean = mean @ W_gone
        elif len(W_on) + B.shape[1] < W.shape[1]:
            # Of many outputs: the solution is linear in the residuals, which need not be computed.
            gave, mean = _centred(before, share, root)
            delta = solve(gave) @ W_on - solve(scaled) @ W_on[stays]
            residual_mean = mean @ W_on - B_mean @ W_on[stays]
        else:
            delta, residual_mean = _of_residuals(solve, before, B, W_on, W_on[stays], share, root)
        del scaled, solve
        new_W = np.zeros_like(W)
        new_W[units[stays]] = W_on[stays] + delta
        new_b = b + residual_mean - B_mean @ delta
        out.append((new_W, new_b, *slope))
        if layer + 1 < len(on):
            following = on[layer + 1]
            z = B @ new_W[np.ix_(units[stays], following)]
            z += new_b[following]
            after = activate_in_place(z, activation, *(a[following] for a in slope))
    return tuple(out)


def _centred(h: np.ndarray, share: np.ndarray, root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values f[n, m] less their means, each row times the root of its share, f[n, 1]; and the means, f[m]."""
    mean = share @ h
    scaled = h - mean
    scaled *= root
    return scaled, mean


def _least_squares(A: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the solution Δ f[m, k], for any residuals R f[n, k], of the problem of activations A f[n, m].

    It is NaN where squares of the activations overflow.
    """
    n, m = A.shape
    by_rows = n < m
    matrix = (A @ A.T if by_rows else A.T @ A).astype(np.float64)
    ridge = RIDGE * max(np.trace(matrix) / m, np.finfo(np.float32).tiny)
    if not np.isfinite(ridge):
        return lambda R: np.full((m, R.shape[1]), np.nan, A.dtype)
    matrix[np.diag_indices_from(matrix)] += ridge
    try:
        factor = cho_factor(matrix, check_finite=False)
    except LinAlgError:  # not positive definite: by rounding of many units that are nearly collinear

        def inverse(b: np.ndarray) -> np.ndarray:
            return np.linalg.solve(matrix, b)
    else:

        def inverse(b: np.ndarray) -> np.ndarray:
            x: np.ndarray = cho_solve(factor, b, check_finite=False)
            return x

    if by_rows:

        def solution(R: np.ndarray) -> np.ndarray:
            x = inverse(R)
            small = np.abs(x).max(initial=0) < _MOST
            # Of units that hardly vary, what is divided by their squares may be beyond float32 before it is multiplied.
            delta: np.ndarray = A.T @ x.astype(A.dtype) if small else (A.T.astype(np.float64) @ x).astype(A.dtype)
            return delta

        return solution
    return lambda R: inverse(A.T @ R).astype(A.dtype)


def _of_residuals(
    solve: Callable[[np.ndarray], np.ndarray],
    before: np.ndarray,
    after: np.ndarray,
    W: np.ndarray,
    W_left: np.ndarray,
    share: np.ndarray,
    root: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Solve for the residuals of some outputs at a time: they may be twice as many as activations.

    Parameters
    ----------
    solve : callable f[n, k] → f[n_left, k]
        From centred residuals to the solution.
    before, after : f[n, n_units], f[n, n_left]
        Activations of the layer before and after the removal.
    W, W_left : f[n_units, n_next], f[n_left, n_next]
        Weights that follow them.
    share, root : f[n], f[n, 1]
        Of the rows' weight.

    Returns
    -------
    delta : f[n_left, n_next]
    mean : f[n_next]
        Of the residuals.
    """
    deltas, means = [], []
    for at in slices(W.shape[1], max(MOST_RESIDUALS // max(len(before), 1), 1)):
        residual = before @ W[:, at]
        residual -= after @ W_left[:, at]
        means.append(share @ residual)
        residual -= means[-1]
        residual *= root
        deltas.append(solve(residual))
    return np.concatenate(deltas, axis=1), np.concatenate(means)


def fold_emissions(params: Params, groups: Groups, removed: np.ndarray, emissions: tuple[np.ndarray, ...]) -> Params:
    """Add what the removed units emit when masked to the next layer's bias: the network stays the masked one."""
    out = list(params)
    for layer, (gone, emission) in enumerate(zip(groups.split(removed), emissions, strict=True)):
        W, b, *slope = out[layer + 1]
        out[layer + 1] = (W, b + emission[gone] @ W[gone], *slope)
    return tuple(out)
