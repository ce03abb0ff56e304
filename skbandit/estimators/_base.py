"""What both estimators share: parameters, the flow of a fit, pruning again, and conversion.

JAX is imported when a network is trained or pruned, not before: a fitted model loads and predicts without it.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, is_regressor
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import check_is_fitted, check_memory, validate_data

from skbandit._validation import as_sizes, check_values
from skbandit.accounting import n_macs, n_parameters
from skbandit.estimators._convert import from_sklearn, to_sklearn
from skbandit.estimators._progress import FitReporter, PathReporter
from skbandit.estimators._rows import check_rows, split_rows
from skbandit.estimators._state import check_finite, raise_not_finite, unchanged_on_error
from skbandit.inference import OUTPUTS, raw_output
from skbandit.losses import OUT_ACTIVATIONS

if TYPE_CHECKING:
    from skbandit._fit import PruneSettings, Rows, Trained, TrainSettings
    from skbandit.pruning import PruneResult

#: Parameters that `prune` may be given.
PRUNING_PARAMETERS = (
    "policy",
    "budget",
    "pruning_ratio",
    "tolerance",
    "scope",
    "n_rounds",
    "ablation",
    "compensate",
    "fine_tune_iter",
    "random_state",
)


class BaseBanditPrunedMLP(CallbackSupportMixin, BaseEstimator):
    """Base of the estimators: what follows is written once for classification and regression."""

    _doc_link_module = "skbandit"

    # Set by the constructors of the subclasses, and by a fit.
    hidden_layer_sizes: Any
    activation: str
    policy: Any
    _split_seed: int | None

    # ------------------------------------------------------------------ what the subclasses say

    @abstractmethod
    def _loss_name(self) -> str:
        """Name of the loss, once the target is known."""

    @abstractmethod
    def _encode_target(self, y: np.ndarray) -> np.ndarray:
        """Return the target as the loss wants it, f[n, n_targets]."""

    @abstractmethod
    def _learn_target(
        self, y: np.ndarray, weight: np.ndarray, *, reset: bool, incremental: bool = False, classes: Any = None
    ) -> None:
        """Learn from the target what encoding needs (classes; mean and scale), anew or on top of an earlier fit."""

    @abstractmethod
    def _check_target(self, y: np.ndarray) -> None:
        """Raise ValueError if the target does not fit what was learned."""

    def _output_scale(self) -> tuple[np.ndarray | float, np.ndarray | float]:
        """Return mean and scale of the target, which the last layer carries in ``coefs_``."""
        return 0.0, 1.0

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        """Return what the held-out split keeps the shares of."""
        return None

    # ------------------------------------------------------------------ scikit-learn's interface

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def set_params(self, **params: Any) -> Self:
        """Set parameters; ``policy__<field>`` reaches the fields of the policy, also of one given by name.

        Parameters
        ----------
        **params : dict
            Estimator parameters.

        Returns
        -------
        self : object
            The estimator itself.
        """
        fields = {key.removeprefix("policy__"): params.pop(key) for key in list(params) if key.startswith("policy__")}
        super().set_params(**params)
        if fields:
            from skbandit.criteria import make

            policy = make(self.policy) if isinstance(self.policy, str) else self.policy
            _resolve(policy)  # raises for what is no policy
            # Policies are immutable: their set_params returns a new one.
            self.policy = policy.set_params(**fields)
        return self

    @with_callbacks
    @unchanged_on_error
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Train the network, prune it, and keep the compact one.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. Sparse rows are made dense in the estimator's ``dtype``.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; an integer weight equals a repeated row.
        X_val, y_val, sample_weight_val : array-like, default=None
            Held-out rows: for early stopping, for the choice between the repaired and the fine-tuned network, and for
            ``pruning_ratio="auto"``. Without them, where one of these needs held-out rows (``early_stopping=True`` or
            ``"auto"``), ``validation_fraction`` of the training rows is held out.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data is invalid, or training diverges.
        """
        check_values(type(self).__name__, self.get_params(deep=False))
        criterion = _resolve(self.policy)
        warm = self.warm_start and hasattr(self, "coefs_")
        if warm:
            self._check_unchanged()
        given = {"X": X, "y": y}  # callbacks see the user's own frame, whose names they need
        X, y, weight = check_rows(self, X, y, sample_weight, reset=not warm)
        self._learn_target(y, weight, reset=not warm)
        rng = check_random_state(self.random_state)
        with self._computing():
            from skbandit.estimators._settings import prune_settings, train_settings

            start = self._network_params() if warm else self._new_network(X.shape[1], rng)
            seeds = rng.randint(np.iinfo(np.int32).max, size=3)
            if self._split_seed is None:
                self._split_seed = int(seeds[0])
            self._n_steps = 0  # a schedule begins anew with each fit
            rows, held_out = split_rows(self, X, y, weight, X_val, y_val, sample_weight_val, self._split_seed)
            settings = train_settings(self, layer_sizes(start), rows.X.shape[0])
            context = self._init_callback_context(max_subtasks=2)
            reporter = FitReporter(self, context, **given, attributes=self._network_attributes)
            context.call_on_fit_task_begin(estimator=self, **given)
            trained, data = self._train(start, rows, held_out, settings, int(seeds[1]), reporter)
            self._record_training(trained, rows.X.shape[0])
            pruning = prune_settings(self, criterion)
            if trained.status == "interrupted":
                # The user wants to go on: what was learned is kept, and nothing is pruned.
                pruning = dataclasses.replace(pruning, pruning_ratio=0.0)
            result = self._prune(trained.params, rows, held_out, settings, pruning, int(seeds[2]), reporter, data)
            self._record_pruning(result)
            context.call_on_fit_task_end(
                estimator=self, **given, reconstruction_attributes=lambda: {"coefs_": self.coefs_}
            )
        return self

    def prune(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        **params: Any,
    ) -> Self:
        """Prune the fitted network further, and return a new estimator; this one stays as it is.

        Parameters
        ----------
        X, y, sample_weight, X_val, y_val, sample_weight_val
            As in `fit`; nothing is trained on them but the fine-tuning.
        **params : dict
            Pruning parameters to change in the result: ``policy``, ``budget``, ``pruning_ratio``, ``tolerance``,
            ``scope``, ``n_rounds``, ``ablation``, ``compensate``, ``fine_tune_iter``, ``random_state``.
            ``pruning_ratio`` counts from the network that was trained: at a ratio that is reached, nothing is removed.

        Returns
        -------
        estimator : object
            A fitted copy with the smaller network.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from skbandit import BanditPrunedMLPRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> dense = BanditPrunedMLPRegressor((32,), pruning_ratio=0, max_iter=500, tol=1e-2, random_state=0).fit(X, y)
        >>> dense.prune(X, y, policy="magnitude", pruning_ratio=0.75).hidden_layer_sizes_
        (8,)
        """
        pruned, _ = self._prune_again(X, y, sample_weight, X_val, y_val, sample_weight_val, params)
        return pruned

    def prune_path(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        **params: Any,
    ) -> Bunch:
        """Prune the fitted network in one nested run and keep every size on the way.

        Parameters
        ----------
        X, y, sample_weight, X_val, y_val, sample_weight_val, **params
            As in `prune`. The run has ``n_rounds`` rounds and ends at ``pruning_ratio``.

        Returns
        -------
        path : Bunch
            From the network as it is to the smallest: ``estimators`` (fitted, list), ``pruning_ratios`` (array: share
            of the trained network's units that is gone), ``n_units`` (array), ``hidden_layer_sizes`` (list of tuples),
            ``losses`` (array: held-out loss, or training loss where no rows are held out).

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from skbandit import BanditPrunedMLPRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> dense = BanditPrunedMLPRegressor((32,), pruning_ratio=0, max_iter=500, tol=1e-2, random_state=0).fit(X, y)
        >>> dense.prune_path(X, y, pruning_ratio=0.9, n_rounds=3).hidden_layer_sizes
        [(32,), (16,), (8,), (4,)]
        """
        pruned, snapshots = self._prune_again(X, y, sample_weight, X_val, y_val, sample_weight_val, params)
        history = pruned.pruning_history_
        units = np.array([sum(e.hidden_layer_sizes_) for e in snapshots])
        losses = [record["loss_before"] for record in history[:1]] + [record["loss_after"] for record in history]
        return Bunch(
            estimators=snapshots,
            pruning_ratios=1 - units / sum(self._trained_sizes),
            n_units=units,
            hidden_layer_sizes=[e.hidden_layer_sizes_ for e in snapshots],
            losses=np.array(losses or [pruned._guard_loss]),
        )

    @classmethod
    def from_sklearn(cls, model: Any, **params: Any) -> Self:
        """Take over the network of a fitted scikit-learn MLP, to prune it.

        Parameters
        ----------
        model : MLPClassifier or MLPRegressor
            Fitted; it is copied, not changed.
        **params : dict
            Parameters of the result; those that both have are carried over from ``model``.

        Returns
        -------
        estimator : object
            Fitted and not pruned: call `prune` on it.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.neural_network import MLPRegressor
        >>> from skbandit import BanditPrunedMLPRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> mlp = MLPRegressor(hidden_layer_sizes=(32,), solver="lbfgs", max_iter=2000, random_state=0).fit(X, y)
        >>> BanditPrunedMLPRegressor.from_sklearn(mlp).prune(X, y).hidden_layer_sizes_
        (16,)
        """
        return from_sklearn(cls, model, **params)

    def to_sklearn(self) -> Any:
        """Hand the network over to scikit-learn's own MLP.

        Returns
        -------
        model : MLPClassifier or MLPRegressor
            Fitted; predicts the same, and neither JAX nor skbandit is needed to load it.

        Raises
        ------
        ValueError
            If scikit-learn's MLP does not have the activation.
        """
        return to_sklearn(self)

    # ------------------------------------------------------------------ prediction

    def _raw_predict(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "coefs_")
        X = validate_data(self, X, reset=False, dtype=(np.float64, np.float32), accept_sparse="csr")
        return raw_output(X, self.coefs_, self.intercepts_, self._activation)

    def _predict_output(self, X: Any) -> np.ndarray:
        z = self._raw_predict(X)
        return OUTPUTS[self.out_activation_](z)

    # ------------------------------------------------------------------ steps of a fit

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        from skbandit.runtime import jax_scope

        with jax_scope(self.dtype, self.device):
            yield

    def _new_network(self, n_features: int, rng: np.random.RandomState) -> Any:
        """Draw a new network and forget what an earlier fit left."""
        from skbandit.network import init_params

        hidden = as_sizes(self.hidden_layer_sizes)
        self._trained_sizes = hidden
        self._describe_network()
        self._opt_leaves: list[np.ndarray] | None = None
        self._split_seed = None
        self._n_steps = self.t_ = 0
        self.loss_curve_: list[float] = []
        self.validation_scores_: list[float] | None = None
        self.best_loss_: float | None = None
        self.kept_units_ = [np.arange(size) for size in hidden]
        return init_params((n_features, *hidden, self.n_outputs_), self.activation, rng, self.dtype)

    def _class_weighting(self, y: np.ndarray, weight: np.ndarray) -> Callable[[np.ndarray], np.ndarray | float]:
        """Return the function from targets to the weights that their classes have in the training data."""
        return lambda y: 1.0

    def _train(
        self, start: Any, rows: Rows, held_out: Rows | None, settings: TrainSettings, seed: int, reporter: FitReporter
    ) -> tuple[Trained, Any]:
        """Train, or take the dense network from ``memory``."""
        from skbandit import _fit
        from skbandit.data import Data

        reporter.begin("train", settings.max_iter)
        task = (start, self._optimizer_state(), rows, held_out, settings, seed, self._n_steps)
        if self.memory is None:
            # On the device once, for training, damages and fine-tuning.
            data = Data.pad(rows.X, rows.y, rows.weight, self.dtype)
            trained = _fit.train(*task, reporter=reporter, data=data)
        else:
            if not isinstance(settings.solver, str) or callable(settings.learning_rate):
                raise ValueError(
                    "'memory' keeps the dense network under the values of the parameters, which needs 'solver' and "
                    f"'learning_rate' given by name. Got solver={self.solver!r}, learning_rate={self.learning_rate!r}."
                )
            data = None
            cached = check_memory(self.memory).cache(_fit.train, ignore=["reporter", "data"])
            kept = cached.call_and_shelve(*task, reporter=reporter, data=None)
            trained = kept.get()
            if trained.status in ("interrupted", "stopped"):
                kept.clear()  # another fit shall train to the end
        reporter.end("train")
        self._check_trained(trained)
        return trained, data

    def _check_trained(self, trained: Trained, warn: bool = True) -> None:
        """Raise if training diverged; warn if it did not end by itself."""
        if trained.status == "not finite":
            raise_not_finite(self)
        check_finite(self, trained.params)
        # Levels: this method, _train, fit, its two decorators, the caller.
        if trained.status == "interrupted":
            warnings.warn("Training interrupted by user.", UserWarning, stacklevel=6)
        elif trained.status == "max_iter" and warn:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
                stacklevel=6,
            )
        elif trained.status == "line search failed":
            warnings.warn("lbfgs ended with a line search that failed.", ConvergenceWarning, stacklevel=6)

    def _prune(
        self,
        params: Any,
        rows: Rows,
        held_out: Rows | None,
        training: TrainSettings,
        settings: PruneSettings,
        seed: int,
        reporter: Any,
        data: Any = None,
    ) -> PruneResult:
        from skbandit import _fit
        from skbandit.pruning import INTERRUPTED

        result = _fit.prune(params, rows, held_out, training, settings, seed, reporter=reporter, data=data)
        if result.status == INTERRUPTED:
            warnings.warn(f"Pruning interrupted by user after {len(result.history)} rounds.", UserWarning, stacklevel=5)
        return result

    @unchanged_on_error
    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        """One epoch; the optimizer's state goes on from call to call."""
        check_values(type(self).__name__, self.get_params(deep=False))
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True.")
        if self.solver == "lbfgs":
            raise ValueError("partial_fit needs a mini-batch solver. Got solver='lbfgs'.")
        if isinstance(self.learning_rate, str) and self.learning_rate == "adaptive":
            raise ValueError("partial_fit does not support learning_rate='adaptive': it never sees training converge.")
        first = not hasattr(self, "coefs_")
        if not first:
            self._check_unchanged()
        X, y, weight = check_rows(self, X, y, sample_weight, reset=first)
        self._learn_target(y, weight, reset=first, incremental=True, classes=classes)
        rng = check_random_state(self.random_state)
        with self._computing():
            from skbandit import _fit
            from skbandit.estimators._settings import train_settings

            start = self._new_network(X.shape[1], rng) if first else self._network_params()
            rows = _fit.Rows(X, self._encode_target(y), weight * self._class_weighting(y, weight)(y))
            settings = dataclasses.replace(train_settings(self, layer_sizes(start), X.shape[0]), max_iter=1)
            # An int as random_state is the same in each call: the rows seen so far make the shuffles differ.
            seed = (int(rng.randint(np.iinfo(np.int32).max)) + self.t_) % 2**31
            reporter = FitReporter(self, None, X, y, self._network_attributes)
            trained = _fit.train(
                start, self._optimizer_state(), rows, None, settings, seed, self._n_steps, reporter=reporter
            )
            self._check_trained(trained, warn=False)
        self._record_training(trained, X.shape[0], incremental=True)
        self._record_network(trained.params)
        if first:
            self._note_pruning([], "not pruned", 0)
        return self

    def _prune_again(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, sample_weight_val: Any, params: dict[str, Any]
    ) -> tuple[Self, list[Self]]:
        """Prune a copy; return it and the copies of every size on the way."""
        check_is_fitted(self)
        unknown = [name for name in params if name.partition("__")[0] not in PRUNING_PARAMETERS]
        if unknown:
            raise ValueError(f"prune() accepts the parameters {list(PRUNING_PARAMETERS)}. Got {unknown}.")
        new = copy.copy(self).set_params(**params)
        check_values(type(new).__name__, new.get_params(deep=False))
        criterion = _resolve(new.policy)
        X, y, weight = check_rows(new, X, y, sample_weight, reset=False)
        new._learn_target(y, weight, reset=False)
        seeds = check_random_state(new.random_state).randint(np.iinfo(np.int32).max, size=3)
        with new._computing():
            from skbandit.estimators._settings import prune_settings, train_settings

            # By the seed of the fit: what was held out there is held out here.
            new._split_seed = int(seeds[0]) if new._split_seed is None else new._split_seed
            rows, held_out = split_rows(new, X, y, weight, X_val, y_val, sample_weight_val, new._split_seed)
            params_now = new._network_params()
            training = train_settings(new, layer_sizes(params_now), rows.X.shape[0])
            path = PathReporter(new)
            result = new._prune(
                params_now, rows, held_out, training, prune_settings(new, criterion), int(seeds[2]), path
            )
        new._record_pruning(result)
        return new, [copy.copy(self), *path.snapshots]

    # ------------------------------------------------------------------ fitted state

    def _described_network(self) -> dict[str, Any]:
        """Return the parameters that describe the network, as opposed to how it is trained and pruned."""
        return {"hidden_layer_sizes": as_sizes(self.hidden_layer_sizes), "activation": self.activation}

    def _describe_network(self) -> None:
        """Keep what the network is, whatever becomes of the parameters."""
        self._description = self._described_network()
        self._activation, self._loss = self.activation, self._loss_name()
        self.out_activation_ = OUT_ACTIVATIONS[self._loss]

    def _check_unchanged(self) -> None:
        """Raise if a parameter asks for another network than the one that is there."""
        for name, value in self._described_network().items():
            if value != self._description[name]:
                raise ValueError(
                    f"The {name!r} parameter was {self._description[name]!r} when the network was made, and a network "
                    f"that is trained on cannot change it. Got {value!r}: use a new estimator, or warm_start=False."
                )

    def _optimizer_state(self) -> list[np.ndarray] | None:
        """Return the state that the optimizer goes on from; None if the solver or the precision is another now."""
        return self._opt_leaves if self._opt_leaves and self._opt_solver == (self.solver, self.dtype) else None

    def _adopt(self, coefs: list[np.ndarray], intercepts: list[np.ndarray], model: Any) -> None:
        """Become a fitted estimator with this network, as it would be after a fit without pruning."""
        self.n_outputs_ = coefs[-1].shape[1]
        self._describe_network()
        self._trained_sizes = tuple(W.shape[1] for W in coefs[:-1])
        self._opt_leaves, self._n_steps, self._split_seed = None, 0, None
        self.kept_units_ = [np.arange(size) for size in self._trained_sizes]
        self.training_status_ = f"taken over from {type(model).__name__}"
        self.coefs_, self.intercepts_ = coefs, intercepts
        self.hidden_layer_sizes_, self.n_layers_ = self._trained_sizes, len(coefs) + 1
        self._note_pruning([], "not pruned", 0)

    def _network_params(self) -> Any:
        """Return the layers in the units that training works in: those of the encoded target."""
        mean, scale = self._output_scale()
        layers = list(zip(self.coefs_, self.intercepts_, strict=True))
        W, b = layers[-1]
        layers[-1] = (W / scale, (b - mean) / scale)
        return tuple((np.asarray(W, self.dtype), np.asarray(b, self.dtype)) for W, b in layers)

    def _network_attributes(self, params: Any) -> dict[str, Any]:
        """Return the fitted attributes that a network determines; the target's scale goes into its last layer."""
        coefs, intercepts = [W for W, _ in params], [b for _, b in params]
        if is_regressor(self):
            mean, scale = self._output_scale()
            coefs[-1] = (coefs[-1] * scale).astype(self.dtype)
            # float64, always: a mean far from zero in float32 would cost the digits that the scale is about.
            intercepts[-1] = intercepts[-1].astype(np.float64) * scale + mean
        return {
            "coefs_": coefs,
            "intercepts_": intercepts,
            "hidden_layer_sizes_": layer_sizes(params)[1:-1],
            "n_layers_": len(coefs) + 1,
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
        self.training_status_ = trained.status

    def _record_network(self, params: Any) -> None:
        for name, value in self._network_attributes(params).items():
            setattr(self, name, value)

    def _record_pruning(self, result: PruneResult) -> None:
        check_finite(self, result.params)
        self._guard_loss = result.loss
        self._record_network(result.params)
        if result.history:
            self._opt_leaves = None  # of the shapes before
        self.kept_units_ = [kept[now] for kept, now in zip(self.kept_units_, result.kept, strict=True)]
        self._note_pruning([record._asdict() for record in result.history], result.status, result.n_pulls)

    def _note_pruning(self, history: list[dict[str, Any]], status: str, n_pulls: int) -> None:
        # Plain dicts: a record of the engine's own type could not be loaded without JAX.
        self.pruning_history_, self.pruning_status_, self.n_pulls_ = history, status, n_pulls
        n_features, n_outputs = self.coefs_[0].shape[0], self.n_outputs_
        shapes = [(n_features, *sizes, n_outputs) for sizes in (self._trained_sizes, self.hidden_layer_sizes_)]
        self.n_parameters_ = (n_parameters(shapes[0]), n_parameters(shapes[1]))
        self.n_macs_ = (n_macs(shapes[0]), n_macs(shapes[1]))


def layer_sizes(params: Any) -> tuple[int, ...]:
    return (params[0][0].shape[0], *(W.shape[1] for W, _ in params))


def _resolve(policy: Any) -> Any:
    from skbandit.criteria import resolve

    return resolve(policy)
