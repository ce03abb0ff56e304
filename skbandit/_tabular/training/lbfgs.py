"""Full-batch training with SciPy's L-BFGS-B."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
import scipy.optimize

from skbandit._core.programs import make_room
from skbandit._core.rows import Data
from skbandit._core.scope import single_threaded_blas
from skbandit._tabular.training.loop import full_loss
from skbandit._tabular.training.rates import leaf_rates
from skbandit._tabular.training.settings import TrainSettings
from skbandit._tabular.types import Ending, Network, Reporter, Trained

#: By SciPy's codes; every other one is a line search that failed.
_ENDINGS = {0: Ending.CONVERGED, 1: Ending.MAX_ITER}


class _Flat:
    """The parameters of a network as one vector f64[n], and back."""

    def __init__(self, network: Network, dtype: str):
        self.leaves, self.structure = jax.tree.flatten(network)
        self.edges = np.cumsum([0, *(leaf.size for leaf in self.leaves)])
        self.dtype = dtype

    def pack(self, leaves: list[Any]) -> np.ndarray:
        """Return the entries of all arrays, f64[n]."""
        return np.concatenate([np.ravel(leaf) for leaf in leaves]).astype(np.float64)

    def unpack(self, flat: np.ndarray) -> Network:
        """Return the network, in its dtype."""
        parts = [
            flat[i:j].reshape(leaf.shape).astype(self.dtype)
            for i, j, leaf in zip(self.edges[:-1], self.edges[1:], self.leaves, strict=True)
        ]
        network: Network = jax.tree.unflatten(self.structure, parts)
        return network


def train_lbfgs(start: Network, data: Data, settings: TrainSettings, reporter: Reporter) -> Trained:
    """Minimise the loss over all rows with SciPy's L-BFGS-B, as scikit-learn's MLP does for this solver.

    Parameters
    ----------
    start : Network
        To train from.
    data : Data
        Training rows, padded.
    settings : TrainSettings
        ``max_iter`` counts iterations.
    reporter : Reporter
        Hears of each iteration as of an epoch.
    """
    make_room(settings.program(data, None))
    form = _Flat(start, settings.dtype)
    # What has rate 0 (the edges of bins) is not trained; other factors are for the solvers with a learning rate.
    free = [float(r) > 0 for r in jax.tree.leaves(leaf_rates(start, "standard", "lbfgs").rate)]
    curve: list[float] = []
    latest, stopped = start, False

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        params, hyper = tuple(form.unpack(flat)), settings.hyper
        loss, grads = full_loss(params, data, hyper.alpha, hyper.label_smoothing, network=settings.network)
        return float(loss), form.pack([np.ravel(g) * f for g, f in zip(jax.tree.leaves(grads), free, strict=True)])

    def progress(intermediate_result: scipy.optimize.OptimizeResult) -> None:
        nonlocal latest, stopped
        latest = form.unpack(intermediate_result.x)
        curve.append(float(intermediate_result.fun))
        stopped = reporter.epoch(len(curve), curve[-1], None, functools.partial(Network.folded, latest))
        if stopped:
            raise StopIteration

    try:
        # SciPy's sums depend on the threads of BLAS, and those on what else the process does.
        with single_threaded_blas():
            result = scipy.optimize.minimize(
                objective,
                form.pack(form.leaves),
                jac=True,
                method="L-BFGS-B",
                callback=progress,
                options={"maxiter": settings.max_iter, "maxfun": settings.max_fun, "gtol": settings.hyper.tol},
            )
    except KeyboardInterrupt:
        return Trained(latest, None, curve, None, min(curve, default=np.inf), 0, Ending.INTERRUPTED)
    curve = curve or [float(result.fun)]
    ending = Ending.STOPPED if stopped else _ENDINGS.get(result.status, Ending.LINE_SEARCH_FAILED)
    if not np.isfinite(result.x).all() or not np.isfinite(result.fun):
        ending = Ending.NOT_FINITE
    return Trained(form.unpack(result.x), None, curve, None, float(result.fun), 0, ending)
