"""What a fit leaves on an estimator: the network, how it was trained, how it was pruned."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, is_regressor

from skbandit._tabular.features.embeddings import Inputs, fold_scale, unit_scale
from skbandit._tabular.network.accounting import n_macs, n_parameters
from skbandit._tabular.network.losses import LOSSES
from skbandit._tabular.types import Network
from skbandit.estimators._parameters import as_sizes
from skbandit.estimators._state import check_finite

if TYPE_CHECKING:
    from skbandit._tabular.features.encoder import FeatureEncoder
    from skbandit._tabular.features.reader import FeatureReader
    from skbandit._tabular.types import Trained
    from skbandit.pruning.results import PruneResult

#: Parameters that describe the network and what it reads, as opposed to how it is trained and pruned.
NETWORK_PARAMETERS = (
    "activation",
    "parametric_activation",
    "preprocessing",
    "categorical_features",
    "numeric_embedding",
    "input_scaling",
    "n_members",
)


class FittedNetwork(BaseEstimator):
    """The fitted state of one network."""

    # Set by the constructors of the subclasses, and by a fit.
    hidden_layer_sizes: Any
    activation: str
    _split_seed: int | None
    _split_start: float
    """Where in the order of the rows those that are held out begin."""
    _reader: FeatureReader | None
    _encoder: FeatureEncoder | None
    _inputs: Inputs
    _input_params: dict[str, Any]
    _opt_leaves: list[np.ndarray] | None
    activation_slopes_: list[np.ndarray] | None
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_loss_: float | None

    def _described_network(self) -> dict[str, Any]:
        """Return the parameters that describe the network, as opposed to how it is trained and pruned."""
        described = {name: _plain(getattr(self, name)) for name in NETWORK_PARAMETERS}
        return {"hidden_layer_sizes": as_sizes(self.hidden_layer_sizes), **described}

    def _describe_network(self) -> None:
        """Keep what the network is, whatever becomes of the parameters."""
        self._description = self._described_network()
        self._activation, self._loss = self.activation, self._loss_name()
        self._parametric = bool(self.parametric_activation)
        self.out_activation_ = LOSSES[self._loss].out_activation

    def _check_unchanged(self) -> None:
        """Raise if a parameter asks for another network than the one that is there."""
        for name, value in self._described_network().items():
            if value != self._description[name]:
                raise ValueError(
                    f"The {name!r} parameter was {self._description[name]!r} when the network was made, and a network "
                    f"that is trained on cannot change it. Got {value!r}: use a new estimator, or warm_start=False."
                )

    # ------------------------------------------------------------------ what the subclasses say

    @abstractmethod
    def _loss_name(self) -> str:
        """Name of the loss, once the target is known."""

    def _output_scale(self) -> tuple[np.ndarray | float, np.ndarray | float]:
        """Return mean and scale of the target, which the last layer carries in ``coefs_``."""
        return 0.0, 1.0

    # ------------------------------------------------------------------ the network and its record

    def _optimizer_state(self) -> list[np.ndarray] | None:
        """Return the state that the optimizer goes on from; None if the solver or the precision is another now."""
        return self._opt_leaves if self._opt_leaves and self._opt_solver == (self.solver, self.dtype) else None

    def _adopt(self, coefs: list[np.ndarray], intercepts: list[np.ndarray], model: Any) -> None:
        """Become a fitted estimator with this network, as it would be after a fit without pruning."""
        self.n_outputs_ = coefs[-1].shape[1]
        self._describe_network()
        self.n_members_, self._reader, self._encoder, self._allow_nan = 1, None, None, False
        self._inputs, self._input_params = Inputs(n_dense=coefs[0].shape[0]), {}
        self._trained_sizes = tuple(W.shape[1] for W in coefs[:-1])
        self._opt_leaves, self._n_steps, self._split_seed, self._split_start = None, 0, None, 0.0
        self.activation_slopes_ = None
        self.kept_units_ = [np.arange(size) for size in self._trained_sizes]
        self.training_status_ = f"taken over from {type(model).__name__}"
        self.coefs_, self.intercepts_ = coefs, intercepts
        self.hidden_layer_sizes_, self.n_layers_ = self._trained_sizes, len(coefs) + 1
        self._note_pruning([], "not pruned", 0)

    def _network(self) -> Network:
        """Return the network as training left it: in the units of the encoded target, its scale not folded."""
        mean, scale = self._output_scale()
        coefs, intercepts = [*self.coefs_], [*self.intercepts_]
        coefs[-1], intercepts[-1] = coefs[-1] / scale, (intercepts[-1] - mean) / scale
        if "scale" in self._input_params:
            s = self._input_params["scale"][:, None]
            coefs[0] = np.divide(coefs[0], s, out=np.zeros_like(coefs[0]), where=s != 0)
        slopes = [[slope] for slope in self.activation_slopes_ or ()] or [[] for _ in coefs[1:]]
        typed = tuple(
            tuple(np.asarray(a, self.dtype) for a in (W, b, *slope))
            for W, b, slope in zip(coefs, intercepts, [*slopes, []], strict=True)
        )
        inputs = {name: _as_dtype(value, self.dtype) for name, value in self._input_params.items()}
        return Network(inputs, typed)

    def _network_attributes(self, layers: Any, inputs: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the fitted attributes that a network determines; the target's scale goes into its last layer.

        Parameters
        ----------
        layers : tuple of (W, b)
            With the inputs' scale folded.
        inputs : dict, optional
            Parameters of the inputs, where they may have changed.
        """
        coefs, intercepts = [layer[0] for layer in layers], [layer[1] for layer in layers]
        if is_regressor(self):
            mean, scale = self._output_scale()
            coefs[-1] = (coefs[-1] * scale).astype(self.dtype)
            # float64, always: a mean far from zero in float32 would cost the digits that the scale is about.
            intercepts[-1] = intercepts[-1].astype(np.float64) * scale + mean
        return {
            "coefs_": coefs,
            "intercepts_": intercepts,
            "activation_slopes_": [slope for layer in layers for slope in layer[2:]] or None,
            "hidden_layer_sizes_": layer_sizes(layers)[1:-1],
            "n_layers_": len(coefs) + 1,
            **({} if inputs is None else {"_input_params": inputs}),
        }

    def _record_training(self, trained: Trained, n_rows: int, incremental: bool = False) -> None:
        goes_on = incremental or self.warm_start
        self.loss_curve_ = [*self.loss_curve_, *trained.loss_curve]
        self.loss_ = trained.loss_curve[-1] if trained.loss_curve else np.inf
        if trained.validation_scores is not None:
            self.validation_scores_ = [*(self.validation_scores_ or []), *trained.validation_scores]
        else:
            self.best_loss_ = min(trained.best_loss, np.inf if self.best_loss_ is None else self.best_loss_)
        self.best_validation_score_ = max(self.validation_scores_) if self.validation_scores_ else None
        self.n_iter_ = len(trained.loss_curve)
        self.t_ += self.n_iter_ * n_rows
        self._n_steps = trained.n_steps
        # Only where a later call may go on from it: it is twice the size of the network.
        self._opt_leaves = trained.opt_leaves if goes_on else None
        self._opt_solver = (self.solver, self.dtype)
        self.training_status_ = str(trained.status)
        # The scale as it is: `_network` takes it out of the first layer again.
        self._record_network(fold_scale(*trained.network)[1], trained.network.inputs)

    def _record_network(self, layers: Any, inputs: dict[str, Any] | None = None) -> None:
        for name, value in self._network_attributes(layers, inputs).items():
            setattr(self, name, value)

    def _record_pruning(self, result: PruneResult) -> None:
        check_finite(self, result.params)
        self._guard_loss = result.loss
        self._record_network(result.params)
        if result.history:
            self._opt_leaves = None  # of the shapes before
            self._input_params = unit_scale(self._input_params)
        self.kept_units_ = [kept[now] for kept, now in zip(self.kept_units_, result.kept, strict=True)]
        self._note_pruning([record._asdict() for record in result.history], result.status, result.n_pulls)

    def _note_pruning(self, history: list[dict[str, Any]], status: str, n_pulls: int) -> None:
        # Plain dicts: a record of the engine's own type could not be loaded without JAX.
        self.pruning_history_, self.pruning_status_, self.n_pulls_ = history, status, n_pulls
        n_features, n_outputs = self.coefs_[0].shape[0], self.n_outputs_
        shapes = [(n_features, *sizes, n_outputs) for sizes in (self._trained_sizes, self.hidden_layer_sizes_)]
        of_inputs = self._inputs.n_parameters
        slopes = [sum(shape[1:-1]) if self._parametric else 0 for shape in shapes]
        before, after = (n_parameters(shape) + of_inputs + extra for shape, extra in zip(shapes, slopes, strict=True))
        self.n_parameters_ = (before, after)
        self.n_macs_ = (n_macs(shapes[0]), n_macs(shapes[1]))


def layer_sizes(layers: Any) -> tuple[int, ...]:
    """Return input features, hidden widths and outputs of a network."""
    return (layers[0][0].shape[0], *(layer[0].shape[1] for layer in layers))


def _plain(value: Any) -> Any:
    """Return a parameter so that it can be compared: NumPy's scalars and arrays as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    return list(value) if np.iterable(value) and not isinstance(value, str) else value


def _as_dtype(value: Any, dtype: str) -> Any:
    return tuple(np.asarray(v, dtype) for v in value) if isinstance(value, tuple) else np.asarray(value, dtype)
