"""What both estimators share: parameters, the flow of a fit, pruning again, and conversion.

JAX is imported when a network is trained or pruned, not before: a fitted model loads and predicts without it.
"""

from __future__ import annotations

import copy
from numbers import Integral
from typing import Any, Self

import numpy as np
from sklearn.base import is_classifier
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import check_is_fitted

from skbandit._core.constraints import check_values
from skbandit._tabular.network.inference import CHUNK_ROWS
from skbandit._tabular.types import Rows
from skbandit.estimators import _ensemble
from skbandit.estimators._callbacks import FitReporter
from skbandit.estimators._convert import from_sklearn, to_sklearn
from skbandit.estimators._fitted import layer_sizes
from skbandit.estimators._member import FitSteps
from skbandit.estimators._parameters import CONSTRAINTS
from skbandit.estimators._rows import FitTask, check_features, check_rows, row_ids
from skbandit.estimators._state import unchanged_on_error
from skbandit.presets import preset_params

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
    "calibration",
    "random_state",
)


class BaseBanditPrunedMLP(CallbackSupportMixin, FitSteps):
    """Base of the estimators: what follows is written once for classification and regression."""

    _doc_link_module = "skbandit"

    policy: Any

    # ------------------------------------------------------------------ scikit-learn's interface

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.preprocessing is not None
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coefs_") or hasattr(self, "estimators_")

    @classmethod
    def from_preset(cls, preset: str, **params: Any) -> Self:
        """Make an estimator with the parameters of a preset.

        They are set like any others: ``get_params`` shows them. `skbandit.presets.preset_params` returns them, for
        ``set_params`` and for a search over presets.

        Parameters
        ----------
        preset : {"plain", "fast", "strong"}
            ``"plain"``: what scikit-learn's MLP does by default. ``"fast"``: the constructor's defaults, a recipe for
            tables that is quick to train. ``"strong"``: a slower and better recipe, and an ensemble of four networks.
        **params : dict
            Parameters that differ from the preset, and others.

        Returns
        -------
        estimator : object
            Not fitted.

        Examples
        --------
        >>> from skbandit import BanditPrunedMLPRegressor
        >>> BanditPrunedMLPRegressor.from_preset("strong", random_state=0).n_members
        4
        """
        task = "classification" if is_classifier(cls()) else "regression"
        return cls(**{**preset_params(preset, task), **params})

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
            ``"auto"``), ``validation_fraction`` of the training rows is held out: other rows by each member.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data is invalid, or training diverges.
        """
        check_values(type(self).__name__, self.get_params(deep=False), CONSTRAINTS)
        criterion = _resolve(self.policy)
        warm = self.warm_start and self.__sklearn_is_fitted__()
        if warm:
            self._check_unchanged()
        given = {"X": X, "y": y}  # callbacks see the user's own frame, whose names they need
        X, y, weight = check_rows(self, X, y, sample_weight, reset=not warm)
        self._learn_target(y, weight, reset=not warm)
        if not warm:
            self._learn_features(X, weight)
        rng = check_random_state(self.random_state)
        val = (X_val, y_val, sample_weight_val)
        task = FitTask(X, self._encode(X), row_ids(self, X, y, criterion), y, weight, val, criterion, given)
        with self._computing():
            context = self._init_callback_context(max_subtasks=2 if self.n_members == 1 else self.n_members)
            context.call_on_fit_task_begin(estimator=self, **given)
            if self.n_members == 1:
                self._fit_network(task, rng, FitReporter(self, context, **given, attributes=self._network_attributes))
            else:
                _ensemble.fit(self, task, rng, context)
            context.call_on_fit_task_end(
                estimator=self,
                **given,
                reconstruction_attributes=lambda: {
                    name: vars(self)[name] for name in ("coefs_", "estimators_") if name in vars(self)
                },
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
            ``scope``, ``n_rounds``, ``ablation``, ``compensate``, ``fine_tune_iter``, ``calibration``,
            ``random_state``.
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
            of the trained network's units that is gone), ``n_units`` (array), ``hidden_layer_sizes`` (list of tuples;
            of lists of tuples for several members), ``losses`` (array: held-out loss, or training loss where no rows
            are held out; the members' mean).

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from skbandit import BanditPrunedMLPRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> dense = BanditPrunedMLPRegressor((32,), pruning_ratio=0, max_iter=500, tol=1e-2, random_state=0).fit(X, y)
        >>> dense.prune_path(X, y, pruning_ratio=0.9, n_rounds=3).hidden_layer_sizes
        [(32,), (16,), (8,), (4,)]
        """
        _, snapshots = self._prune_again(X, y, sample_weight, X_val, y_val, sample_weight_val, params)
        members = [e.estimators_ if e.n_members_ > 1 else [e] for e in snapshots]
        n_units = np.array([sum(sum(m.hidden_layer_sizes_) for m in of_size) for of_size in members])
        n_trained = sum(sum(m._trained_sizes) for m in members[0])
        losses = [np.mean([m._guard_loss for m in of_size]) for of_size in members]
        if len(snapshots) > 1:  # the network as it was, on the rows that judge the others
            losses[0] = np.mean(
                [m.pruning_history_[0]["loss_before"] if m.pruning_history_ else m._guard_loss for m in members[1]]
            )
        sizes = [[m.hidden_layer_sizes_ for m in of_size] for of_size in members]
        return Bunch(
            estimators=snapshots,
            pruning_ratios=1 - n_units / n_trained,
            n_units=n_units,
            hidden_layer_sizes=sizes if self.n_members_ > 1 else [of_size[0] for of_size in sizes],
            losses=np.array(losses),
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

    def _raw_predict(self, X: Any) -> list[np.ndarray]:
        """Return the output layer's pre-activation f[n, n_outputs] of each member."""
        check_is_fitted(self)
        X = check_features(self, X, reset=False)
        if self.n_members_ == 1:
            return [self._network_output(X, self._read)]
        outputs: list[list[np.ndarray]] = [[] for _ in self.estimators_]
        for start in range(0, X.shape[0], CHUNK_ROWS):  # encoded once for all
            rows = self._encode(X[start : start + CHUNK_ROWS])
            for member, parts in zip(self.estimators_, outputs, strict=True):
                parts.append(member._network_output(rows, member._embed))
        return [np.concatenate(parts) for parts in outputs]

    def _predict_output(self, X: Any) -> np.ndarray:
        """Return the mean of the members' predictions f[n, n_outputs]."""
        outputs = [self._as_prediction(z) for z in self._raw_predict(X)]
        return outputs[0] if len(outputs) == 1 else np.mean(outputs, axis=0, dtype=outputs[0].dtype)

    @unchanged_on_error
    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        """One epoch; the optimizer's state goes on from call to call."""
        check_values(type(self).__name__, self.get_params(deep=False), CONSTRAINTS)
        if self.solver == "lbfgs":
            raise ValueError("partial_fit needs a mini-batch solver. Got solver='lbfgs'.")
        if isinstance(self.learning_rate, str) and self.learning_rate == "adaptive":
            raise ValueError("partial_fit does not support learning_rate='adaptive': it never sees training converge.")
        first = not hasattr(self, "coefs_")
        if not first:
            self._check_unchanged()
        X, y, weight = check_rows(self, X, y, sample_weight, reset=first)
        self._learn_target(y, weight, reset=first, incremental=True, classes=classes)
        if first:
            self._learn_features(X, weight)
        rng = check_random_state(self.random_state)
        with self._computing():
            from skbandit._tabular.training import fit as _fit
            from skbandit.estimators._settings import incremental_settings, train_settings

            encoded = self._encode(X)
            start = self._new_network(encoded, weight, rng) if first else self._network()
            weight = weight * self._class_weighting(y, weight)(y)
            rows = Rows(encoded, self._encode_target(y), weight, row_ids(self, X, y))
            settings = incremental_settings(train_settings(self, layer_sizes(start.layers), X.shape[0]))
            # An int as random_state is the same in each call: the rows seen so far make the shuffles differ.
            seed = (int(rng.randint(np.iinfo(np.int32).max)) + self.t_) % 2**31
            reporter = FitReporter(self, None, X, y, self._network_attributes)
            trained = _fit.train(
                start, self._optimizer_state(), rows, None, settings, seed, self._n_steps, reporter=reporter
            )
            self._check_trained(trained)
        self._record_training(trained, X.shape[0], incremental=True)
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
        check_values(type(new).__name__, new.get_params(deep=False), CONSTRAINTS)
        criterion = _resolve(new.policy)
        X, y, weight = check_rows(new, X, y, sample_weight, reset=False)
        new._learn_target(y, weight, reset=False)
        rng = check_random_state(new.random_state)
        val = (X_val, y_val, sample_weight_val)
        task = FitTask(X, self._encode(X), row_ids(self, X, y, criterion), y, weight, val, criterion, {})
        with new._computing():
            before = copy.copy(self)
            if self.n_members_ == 1:
                path = new._prune_network(task, rng)
                before._guard_loss = new._guard_loss  # for a run of no rounds
            else:
                path = _ensemble.prune(new, task, rng)
                before.estimators_ = [copy.copy(member) for member in self.estimators_]
                for member, pruned in zip(before.estimators_, new.estimators_, strict=True):
                    member._guard_loss = pruned._guard_loss
            return new, [before, *path]


def has_one_member(estimator: Any) -> bool:
    """Say whether there is a `partial_fit`; raises AttributeError, which says why, where there is none."""
    if isinstance(estimator.n_members, Integral) and int(estimator.n_members) > 1:  # what is no int, the call refuses
        raise AttributeError(f"partial_fit trains one network: 'n_members' must be 1. Got {estimator.n_members!r}.")
    return True


def _resolve(policy: Any) -> Any:
    from skbandit.criteria import resolve

    return resolve(policy)
