r"""Repair after a removal: what is left of a layer takes over for what has gone.

With :math:`Z` the next layer's pre-activation in the network before the removal and :math:`B_S` the activations of the
units that are left, in the network repaired so far, solve for each following layer, from first to last,

.. math:: \min_{\Delta, \beta} \sum_i w_i \lVert z_i - b - \beta - B_{S,i} (W_S + \Delta) \rVert^2
          + \lambda \lVert \Delta \rVert^2,

so that :math:`W_S + \Delta` and :math:`b + \beta` are the new weights and biases: the reweighting of El Halabi et al.
(2022, arXiv 2203.04940) in its asymmetric form, with a free bias and a ridge towards the old weights. It needs no
labels. In NumPy on the host: a solve per layer costs less than compiling one.
"""

from __future__ import annotations

import numpy as np

from skbandit.activations import ACTIVATIONS
from skbandit.groups import Groups

Params = tuple[tuple[np.ndarray, np.ndarray], ...]

#: Ridge, as a share of the mean of the Gram matrix's diagonal: it keeps the solution near the old weights where the
#: activations of a layer are nearly collinear, at a bias that a repaired layer does not notice.
RIDGE = 1e-2


def reweight(
    params: Params,
    X: np.ndarray,
    weight: np.ndarray,
    activation: str,
    groups: Groups,
    active: np.ndarray,
    removed: np.ndarray,
) -> Params:
    """Refit, by least squares, the weights and biases that follow the removed units.

    Parameters
    ----------
    params : tuple of (W, b)
        The network before the removal; slices of units that left earlier are zero.
    X, weight : f[n, n_features], f[n]
        Calibration rows.
    active, removed : bool[n_units]
        Units that were on before the removal, and those of them that leave.

    Returns
    -------
    params : tuple of (W, b)
        Same shapes. The removed units' outgoing rows are zero.
    """
    act = ACTIVATIONS[activation]
    weight = weight / weight.sum()
    before = after = X  # activations in the network before the removal, and in the repaired one
    out = [params[0]]
    touched = False
    for layer, (was_on, gone) in enumerate(zip(groups.split(active), groups.split(removed), strict=True)):
        before = act(np, before @ params[layer][0] + params[layer][1])
        after = act(np, after @ out[layer][0] + out[layer][1]) if touched else before
        touched = touched or bool(gone.any())
        W, b = params[layer + 1]
        if not touched:
            out.append((W, b))
            continue
        kept = np.flatnonzero(was_on & ~gone)
        B, W_kept = after[:, kept], W[kept]
        residual = before[:, was_on] @ W[was_on] - B @ W_kept
        B_mean, residual_mean = weight @ B, weight @ residual
        weighted = (B - B_mean) * weight[:, None]
        gram = (weighted.T @ (B - B_mean)).astype(np.float64)
        ridge = RIDGE * max(np.trace(gram) / kept.size, np.finfo(np.float32).tiny)
        gram[np.diag_indices_from(gram)] += ridge
        delta = np.linalg.solve(gram, weighted.T @ (residual - residual_mean)).astype(W.dtype)
        new_W = np.zeros_like(W)
        new_W[kept] = W_kept + delta
        out.append((new_W, b + residual_mean - B_mean @ delta))
    return tuple(out)


def fold_emissions(params: Params, groups: Groups, removed: np.ndarray, emissions: tuple[np.ndarray, ...]) -> Params:
    """Add what the removed units emit when masked to the next layer's bias: the network stays the masked one."""
    out = list(params)
    for layer, (gone, emission) in enumerate(zip(groups.split(removed), emissions, strict=True)):
        W, b = out[layer + 1]
        out[layer + 1] = (W, b + emission[gone] @ W[gone])
    return tuple(out)
