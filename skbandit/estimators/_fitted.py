"""What a fit leaves: a network, how it was trained, and how it was pruned. Plain data, without JAX."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skbandit._core.addresses import saved
from skbandit._tabular.features.embeddings import fold_scale, parameter_arrays, unit_scale
from skbandit._tabular.model import Architecture, Layers, Model
from skbandit.estimators._docs import OF_EACH_NETWORK
from skbandit.estimators._state import check_finite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skbandit._tabular.types import Trained
    from skbandit.estimators._settings import Parameters
    from skbandit.estimators._targets import Target
    from skbandit.pruning.results import PruneResult


@saved
@dataclasses.dataclass(frozen=True, eq=False)
class Training:
    """How a network was trained, over all calls since it was new."""

    loss_curve: list[float] = dataclasses.field(default_factory=list)
    validation_scores: list[float] | None = None
    best_loss: float | None = None
    loss: float = np.inf
    """Training loss of the last epoch."""
    n_iter: int = 0
    """Epochs of the last call."""
    n_rows: int = 0
    """Rows seen, each as often as it was seen."""
    n_steps: int = 0
    """Steps that the learning rate's schedule has taken."""
    optimizer: list[np.ndarray] | None = None
    """Arrays of the optimizer's state, where a later call may go on from it: they are twice the size of the network."""
    optimizer_of: tuple[Any, str] | None = None
    """Solver and dtype that the state is of."""
    status: str = ""

    def state_for(self, params: Parameters) -> list[np.ndarray] | None:
        """Return the state that the optimizer goes on from; None if the solver or the precision is another now."""
        return self.optimizer if self.optimizer and self.optimizer_of == (params["solver"], params["dtype"]) else None

    def and_then(self, trained: Trained, params: Parameters, n_rows: int, *, goes_on: bool) -> Training:
        """Return the record after another call, which trained on ``n_rows`` rows."""
        scores, best_loss = self.validation_scores, self.best_loss
        if trained.validation_scores is not None:
            scores = [*(scores or []), *trained.validation_scores]
        else:
            best_loss = min(trained.best_loss, np.inf if best_loss is None else best_loss)
        n_iter = len(trained.loss_curve)
        return Training(
            loss_curve=[*self.loss_curve, *trained.loss_curve],
            validation_scores=scores,
            best_loss=best_loss,
            loss=trained.loss_curve[-1] if trained.loss_curve else np.inf,
            n_iter=n_iter,
            n_rows=self.n_rows + n_iter * n_rows,
            n_steps=trained.n_steps,
            optimizer=trained.opt_leaves if goes_on else None,
            optimizer_of=(params["solver"], params["dtype"]) if goes_on else None,
            status=str(trained.status),
        )

    @property
    def attributes(self) -> dict[str, Any]:
        """What the estimator shows of it."""
        return {
            "loss_curve_": self.loss_curve,
            "validation_scores_": self.validation_scores,
            "best_validation_score_": max(self.validation_scores) if self.validation_scores else None,
            "best_loss_": self.best_loss,
            "loss_": self.loss,
            "n_iter_": self.n_iter,
            "t_": self.n_rows,
            "training_status_": self.status,
        }


@saved
@dataclasses.dataclass(frozen=True, eq=False)
class Pruning:
    """How a network was pruned."""

    kept_units: list[np.ndarray]
    """For each hidden layer, which units of the trained network are left."""
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    """Plain dicts: a record of the engine's own type could not be loaded without JAX."""
    status: str = "not pruned"
    n_pulls: int = 0
    guard_loss: float = np.nan
    """Loss on the rows that judge; NaN where no call has judged it."""

    @property
    def n_left(self) -> int:
        """Hidden units that are left."""
        return sum(map(len, self.kept_units))

    def and_then(self, result: PruneResult) -> Pruning:
        """Return the record after another call."""
        kept = [units[now] for units, now in zip(self.kept_units, result.kept, strict=True)]
        history = [record._asdict() for record in result.history]
        return Pruning(kept, history, result.status, result.n_pulls, result.loss)

    @property
    def attributes(self) -> dict[str, Any]:
        """What the estimator shows of it."""
        return {
            "kept_units_": self.kept_units,
            "pruning_history_": self.history,
            "pruning_status_": self.status,
            "n_pulls_": self.n_pulls,
        }


@saved
@dataclasses.dataclass(frozen=True, eq=False)
class Member:
    """A fitted network: an estimator's only one, or one of an ensemble.

    Parameters
    ----------
    model : Model
    training : Training
    pruning : Pruning
    split_seed : int or None
        Of the order of the rows, in which some are held out; None where no fit has drawn it.
    split_start : float
        Where in that order they begin.
    window : int or None
        Fingerprint of the rows that it holds out, if it has never learned from them, and None otherwise.
    """

    model: Model
    training: Training
    pruning: Pruning
    split_seed: int | None = None
    split_start: float = 0.0
    window: int | None = None

    @classmethod
    def new(cls, model: Model, split_seed: int | None = None, split_start: float = 0.0) -> Self:
        """Return a network that nothing has happened to."""
        units = [np.arange(size) for size in model.hidden_layer_sizes]
        return cls(model, Training(), Pruning(units), split_seed, split_start)

    @property
    def architecture(self) -> Architecture:
        """Architecture of its model."""
        return self.model.architecture

    def with_layers(
        self, layers: Layers, target: Target, dtype: str, input_params: dict[str, Any] | None = None
    ) -> Self:
        """Return it with other layers, with the scale of the inputs in the first; its records stay."""
        inputs = self.model.input_params if input_params is None else input_params
        return dataclasses.replace(self, model=Model.of_layers(self.architecture, inputs, layers, target.scale, dtype))

    def trained(self, result: Trained, target: Target, params: Parameters, n_rows: int, *, goes_on: bool) -> Self:
        """Return it after a training on ``n_rows`` rows; ``goes_on`` says whether a later call may go on from there.

        Raises
        ------
        ValueError
            If some weight is not finite.
        """
        inputs, layers = result.network
        arrays = [*(a for layer in layers for a in layer), *parameter_arrays(inputs)]
        check_finite(arrays, params["learning_rate_init"])
        # The parameters of the inputs keep the scale: `Model.to_layers` takes it out of the first layer again.
        member = self.with_layers(fold_scale(inputs, layers)[1], target, params["dtype"], inputs)
        training = self.training.and_then(result, params, n_rows, goes_on=goes_on)
        return dataclasses.replace(member, training=training)

    def pruned(self, result: PruneResult, target: Target, params: Parameters) -> Self:
        """Return it after a pruning; raises ValueError if some weight is not finite."""
        check_finite((a for layer in result.params for a in layer), params["learning_rate_init"])
        inputs, training = self.model.input_params, self.training
        if result.history:
            training = dataclasses.replace(training, optimizer=None)  # of the shapes before
            inputs = unit_scale(inputs)
        member = self.with_layers(result.params, target, params["dtype"], inputs)
        return dataclasses.replace(member, training=training, pruning=self.pruning.and_then(result))

    @property
    def attributes(self) -> dict[str, Any]:
        """What the estimator shows of it; arrays are those of the model itself."""
        return {**attributes_of(self.model), **self.training.attributes, **self.pruning.attributes}


def attributes_of(model: Model) -> dict[str, Any]:
    """Return the fitted attributes that a network determines."""
    architecture = model.architecture
    return {
        "coefs_": model.coefs,
        "intercepts_": model.intercepts,
        "activation_slopes_": model.slopes,
        "hidden_layer_sizes_": model.hidden_layer_sizes,
        "n_units_": (sum(architecture.hidden_layer_sizes), sum(model.hidden_layer_sizes)),
        "n_layers_": len(model.coefs) + 1,
        "out_activation_": architecture.out_activation,
        "n_parameters_": (architecture.n_parameters(), model.n_parameters),
        "n_macs_": (architecture.n_macs(), model.n_macs),
    }


def attributes_of_ensemble(members: Sequence[Member]) -> dict[str, Any]:
    """Return the fitted attributes that an ensemble has of its members."""
    shown = [member.attributes for member in members]

    def each(name: str) -> list[Any]:
        return [attributes[name] for attributes in shown]

    sums_of_pairs = ("n_units_", "n_parameters_", "n_macs_")
    return {
        "hidden_layer_sizes_": each("hidden_layer_sizes_"),
        **{name: tuple(int(v) for v in np.sum(each(name), axis=0)) for name in sums_of_pairs},
        **{name: sum(each(name)) for name in ("n_pulls_", "t_")},
        "n_iter_": max(each("n_iter_")),
        "loss_": float(np.mean(each("loss_"))),
        **{name: each(name)[0] for name in ("n_layers_", "out_activation_")},
        **{name: "; ".join(dict.fromkeys(each(name))) for name in ("training_status_", "pruning_status_")},
    }


def measures_of_path(networks: Sequence[Sequence[Member]], pruned: Sequence[Member]) -> dict[str, Any]:
    """Return what `prune_path` says of each size.

    Parameters
    ----------
    networks : sequence of sequence of Member
        The members at each size, from the networks as they were on.
    pruned : sequence of Member
        As pruning has left them: of the same sizes as the last.
    """
    sizes = [[m.model.hidden_layer_sizes for m in members] for members in networks]
    n_units = np.array([sum(map(sum, of_members)) for of_members in sizes])
    n_trained = sum(sum(m.architecture.hidden_layer_sizes) for m in networks[0])
    losses = [np.mean([m.pruning.guard_loss for m in members]) for members in networks]
    # The network as it was is judged by the rows that judge the others.
    if len(networks) == 1:
        losses[0] = np.mean([m.pruning.guard_loss for m in pruned])
    else:
        first = [m.pruning for m in networks[1]]
        losses[0] = np.mean([p.history[0]["loss_before"] if p.history else p.guard_loss for p in first])
    return {
        "pruning_ratios": 1 - n_units / n_trained,
        "n_units": n_units,
        "hidden_layer_sizes": sizes if len(pruned) > 1 else [of_members[0] for of_members in sizes],
        "losses": np.array(losses),
    }


class ReadsMembers:
    """An ensemble reads from its members what each network has."""

    if not TYPE_CHECKING:  # to a type checker, an object would have every attribute

        def __getattr__(self, name: str) -> Any:
            """Return it for all members; called where a name is not found."""
            members = vars(self).get("estimators_")
            if members is None or name not in OF_EACH_NETWORK:
                return super().__getattribute__(name)  # raises what it raised before: a descriptor's own error, say
            values = [getattr(member, name) for member in members]
            return _mean_of_members(values) if OF_EACH_NETWORK[name] == "mean" else _list_of_members(values)


def _list_of_members(values: list[Any]) -> list[Any] | None:
    return None if all(value is None for value in values) else values


def _mean_of_members(values: list[Any]) -> Any:
    """Return the mean of numbers, or of curves: at each epoch, of the members that were trained for so long."""
    if any(value is None for value in values):
        return None
    if not isinstance(values[0], list):
        return float(np.mean(values))
    curves = np.full((len(values), max(map(len, values))), np.nan)
    for curve, value in zip(curves, values, strict=True):
        curve[: len(value)] = value
    there = np.arange(curves.shape[1]) < np.array([len(value) for value in values])[:, None]
    mean: list[float] = np.mean(curves, axis=0, where=there).tolist()
    return mean
