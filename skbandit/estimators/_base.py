"""What both estimators share: scikit-learn's interface around the networks that `_member` and `_ensemble` make.

JAX is imported when a network is trained or pruned, not before: a fitted model loads and predicts without it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from skbandit._tabular.model import Architecture, RawOutputs, raw_outputs
from skbandit.estimators import _ensemble
from skbandit.estimators._architecture import NETWORK_PARAMETERS, check_unchanged, describe
from skbandit.estimators._callbacks import Callbacks, FitReporter, PathReporter
from skbandit.estimators._checked import as_plain, check_parameters, without_fields
from skbandit.estimators._computing import computing, resolve
from skbandit.estimators._convert import CARRIED, member_of_sklearn, params_of_sklearn
from skbandit.estimators._decorators import with_callbacks
from skbandit.estimators._fitted import Member, ReadsMembers, attributes_of_ensemble, measures_of_path
from skbandit.estimators._given import as_weight
from skbandit.estimators._incremental import Learned, RowsSeen, check_incremental, learn, learn_on
from skbandit.estimators._kinds import as_embeddings
from skbandit.estimators._member import fit_member, notes_on_judgements, prune_member, revealed, train_epoch
from skbandit.estimators._notes import Notes
from skbandit.estimators._parameters import PRUNING_PARAMETERS
from skbandit.estimators._rows import (
    NO_TARGET,
    CheckedRows,
    Columns,
    Encoded,
    FitTask,
    held_out_are_given,
    is_checked,
    row_ids,
)
from skbandit.estimators._state import all_at_once, is_fitted_attribute, is_of_callbacks, snapshot
from skbandit.estimators._targets import Kind, Target
from skbandit.export.sklearn import to_sklearn
from skbandit.presets import preset_params

#: Parameters that are a member's own.
_OF_MEMBERS = ("n_members", "random_state", "numeric_embedding")
#: Fitted attributes that scikit-learn sets when it checks X.
_OF_THE_CHECK = ("n_features_in_", "feature_names_in_")


class BaseBanditPrunedMLP(ReadsMembers, CallbackSupportMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Base of the estimators: what follows is written once for classification and regression."""

    _doc_link_module = "skbandit"

    #: What y is.
    _kind: ClassVar[Kind]

    # Some of the parameters; the constructors of the subclasses set them.
    policy: Any
    preprocessing: str | None
    numeric_embedding: Any
    solver: Any
    learning_rate: Any
    random_state: Any
    warm_start: bool
    verbose: bool | int
    n_members: int
    dtype: str
    device: str | None

    # What a fit leaves, beside what is documented.
    n_members_: int
    estimators_: list[Self]
    member_weights_: np.ndarray
    _columns: Columns
    """How X is read."""
    _target: Target
    _architecture: Architecture
    """The same for all members."""
    _seen: RowsSeen
    """What there were of rows, over all calls."""
    _description: dict[str, Any]
    """The parameters that the network was made with."""
    _member: Member
    """The network and its history, where there is one."""

    # ------------------------------------------------------------------ scikit-learn's interface

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self.preprocessing is not None
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return "coefs_" in vars(self) or "estimators_" in vars(self)

    @classmethod
    def from_preset(cls, preset: str, **params: Any) -> Self:
        """Make an estimator with the parameters of a preset.

        They are set like any others: ``get_params`` shows them. `skbandit.presets.preset_params` returns them, for
        ``set_params`` and for a search over presets.

        Parameters
        ----------
        preset : {"plain", "fast", "strong"}
            ``"plain"``: what scikit-learn's MLP does by default. ``"fast"``: the constructor's defaults, an ensemble of
            four small networks for tables. ``"strong"``: the same with eight networks, which take twice as long.
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
        8
        """
        return cls(**{**preset_params(preset, "classification" if is_classifier(cls()) else "regression"), **params})

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
        super().set_params(**without_fields(self, params))
        if fields:
            from skbandit.criteria import make

            policy = make(self.policy) if isinstance(self.policy, str) else self.policy
            resolve(policy)  # raises for what is no policy
            # Policies are immutable: their set_params returns a new one.
            self.policy = policy.set_params(**fields)
        return self

    @all_at_once(with_callbacks)
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
            Training rows. Sparse ones are trained on as dense rows, of which there is one copy in the estimator's
            ``dtype``; pruning measures on a part of them that is copied.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; an integer weight equals a repeated row.
        X_val, y_val, sample_weight_val : array-like, default=None
            Held-out rows, for early stopping, the gate of fine-tuning, the weights of the members, and ``"auto"``.
            Without them, ``validation_fraction`` of the training rows is held out if there is need.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data is invalid, or training diverges.
        """
        with Notes() as notes:
            params, criterion = self._checked_parameters(), resolve(self.policy)
            warm = self.warm_start and self.__sklearn_is_fitted__()
            given = {"X": X, "y": y}  # callbacks see the user's own frame, whose names they need
            learned = self._learn(X, y, sample_weight, notes, reset=not warm)
            rng = check_random_state(self.random_state)
            held_out = self._check_held_out(X_val, y_val, sample_weight_val, criterion, notes)
            train = self._encode(learned.rows, criterion)
            task = FitTask(params, self._target, criterion, train, held_out, learned.resumed)
            with self._computing():
                context = self._init_callback_context(max_subtasks=2 if self.n_members == 1 else self.n_members)
                context.call_on_fit_task_begin(estimator=self, **given)
                listening = Callbacks(context, self, X, y) if getattr(self, "_skl_callbacks", None) else None
                reporter = FitReporter(listening, bool(self.verbose))
                if self.n_members_ == 1:
                    before = self._member if warm else None
                    fitted = fit_member(before, self._architecture, task, rng, reporter, notes)
                    notes.add(*notes_on_judgements([fitted.judgement]))
                    self._show(fitted.member)
                else:
                    self._fit_ensemble(task, rng, reporter, notes)
                context.call_on_fit_task_end(
                    estimator=self,
                    **given,
                    reconstruction_attributes=lambda: {
                        name: self.__dict__[name] for name in ("coefs_", "estimators_") if name in self.__dict__
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
        >>> dense = BanditPrunedMLPRegressor((32,), n_members=1, pruning_ratio=0, random_state=0).fit(X, y)
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
            As in `prune`; in ``n_rounds`` rounds, down to ``pruning_ratio``. Only the last size is fine-tuned for long
            under ``fine_tune_iter="auto"``: to compare sizes, give a number.

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
        >>> dense = BanditPrunedMLPRegressor((32,), n_members=1, pruning_ratio=0, random_state=0).fit(X, y)
        >>> dense.prune_path(X, y, pruning_ratio=0.9, n_rounds=3).hidden_layer_sizes
        [(32,), (16,), (8,), (4,)]
        """
        pruned, snapshots = self._prune_again(X, y, sample_weight, X_val, y_val, sample_weight_val, params)
        return Bunch(estimators=snapshots, **measures_of_path([e._networks() for e in snapshots], pruned._networks()))

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
        default = cls()
        known, classifies = default.get_params(deep=False), is_classifier(default)
        given = params_of_sklearn(model, params, known, NETWORK_PARAMETERS, cls.__name__, classifies=classifies)
        estimator = cls(**given)
        target = cls._kind.of_sklearn(model)
        own = estimator._parameters()
        member = member_of_sklearn(model, target, own["activation"])
        of_table = {name: getattr(model, name) for name in _OF_THE_CHECK if hasattr(model, name)}
        estimator.__dict__.update(of_table | target.attributes)
        estimator._columns, estimator._target, estimator._architecture = Columns(), target, member.architecture
        estimator._seen = RowsSeen(0, 0.0, 0.0)
        estimator._description = describe(own)
        estimator._show(member)
        return estimator

    def to_sklearn(self) -> Any:
        """Hand the network over to scikit-learn's own MLP.

        Returns
        -------
        model : MLPClassifier or MLPRegressor
            Fitted; predicts the same, and neither JAX nor skbandit is needed to load it.

        Raises
        ------
        ValueError
            If scikit-learn's MLP cannot do what the estimator does: average several members, preprocess, embed, clip
            predictions, or compute the activation. A network of ``from_preset("plain")`` can be handed over.
        """
        now = snapshot(self)
        check_is_fitted(now)
        shown = {name: getattr(now, name) for name in (*CARRIED, "feature_names_in_") if hasattr(now, name)}
        models = [member.model for member in now._networks()]
        return to_sklearn(models, now._parameters(), shown, **now._target.for_export)

    # ------------------------------------------------------------------ prediction

    def _raw_predict(self, X: Any) -> tuple[Target, RawOutputs]:
        """Return the target, and the output layer's pre-activation f[n, n_outputs] of each member, to be computed."""
        now = snapshot(self)
        if not now.__sklearn_is_fitted__():
            check_is_fitted(now)  # raises
        if not (now._columns.reader is None and is_checked(X, vars(now))):
            with Notes() as notes:
                X = now._check_features(X, notes, reset=False)
        return now._target, raw_outputs(
            [member.model for member in now._networks()], X, vars(now).get("member_weights_")
        )

    def _networks(self) -> list[Member]:
        """Return the networks whose predictions are averaged."""
        return [self._member] if self.n_members_ == 1 else [e._member for e in self.estimators_]

    # ------------------------------------------------------------------ what comes in

    def _parameters(self) -> dict[str, Any]:
        """Return the parameters by name; those of the base class too, where a subclass takes fewer."""
        return {
            name: value for name, value in self.__dict__.items() if not (name.startswith("_") or name.endswith("_"))
        }

    def _checked_parameters(self) -> dict[str, Any]:
        """Return the parameters; raises ValueError for one that is not what it may be."""
        check_parameters(type(self).__name__, self._parameters())
        return as_plain(self._parameters())

    def _check_features(self, X: Any, notes: Notes, *, reset: bool, y: Any = NO_TARGET) -> Any:
        """Validate X, and y where it is given; categories become their codes."""

        def validate(*arrays: Any, **kinds: Any) -> Any:
            with np.errstate(over="ignore", invalid="ignore"):  # it sums up, and looks again at what is not finite
                return validate_data(self, *arrays, reset=reset, **kinds)

        return self._columns.checked(X, y, validate, type(self).__name__, notes)

    def _check_rows(
        self, X: Any, y: Any, sample_weight: Any, notes: Notes, *, reset: bool, extend: bool = False
    ) -> CheckedRows:
        """Validate X, y and the weights; ``extend`` says whether categories may come in that are not known."""
        y, known = self._kind.read(y), None
        if reset:
            self._columns = Columns.fit(X, self._parameters(), sample_weight)
        elif extend:
            known, self._columns = self._columns.n_known, self._columns.extended(X)
        X, y = self._check_features(X, notes, reset=reset, y=y)
        weight = as_weight(sample_weight, X)
        if reset or extend:
            self._columns, X = self._columns.of_rows(X, weight, known)
        rows, remarks = CheckedRows.of_checked(X, y, weight, self.dtype)
        notes.add(*remarks)
        return rows

    def _check_held_out(
        self, X_val: Any, y_val: Any, sample_weight_val: Any, criterion: Any, notes: Notes
    ) -> Encoded | None:
        """Validate the held-out rows that the user gives, if any."""
        if not held_out_are_given(X_val, y_val, sample_weight_val):
            return None
        rows = self._check_rows(X_val, y_val, sample_weight_val, notes, reset=False)
        self._target.check(rows.y)
        return self._encode(rows, criterion)

    def _encode(self, rows: CheckedRows, criterion: Any = None) -> Encoded:
        """Return rows as the network's inputs read them."""
        ids = row_ids(rows.X, rows.y, self._target, self._parameters(), criterion)
        return Encoded(rows, self._architecture, ids)

    def _learn(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        notes: Notes,
        *,
        reset: bool,
        incremental: bool = False,
        **classes: Any,
    ) -> Learned:
        """Validate rows and learn what they are, anew or on top of an earlier fit."""
        params, owner = self._parameters(), type(self).__name__
        if reset:
            rows = self._check_rows(X, y, sample_weight, notes, reset=True)
            if not incremental:  # else more rows will come
                notes.add(*self._columns.notes_on_categories(rows.X, rows.weight))
            self._target = self._kind.learn(rows.y, rows.weight, params, owner, incremental=incremental, **classes)
            self._forget()
            self.n_members_, self._description = int(self.n_members), describe(params)
            self.__dict__.update(self._target.attributes)
            learned = learn(rows, params, self._columns, self._target, incremental=incremental)
        else:
            check_unchanged(self._description, params)
            columns, target = self._columns, self._target
            rows = self._check_rows(X, y, sample_weight, notes, reset=False, extend=True)
            self._target = target.learn_on(rows.y, rows.weight, params, owner, incremental=incremental, **classes)
            both = (columns, self._columns), (target, self._target)
            learned = learn_on(self._architecture, self._seen, rows, params, *both, incremental=incremental)
            n_before, n = self._seen.n, learned.seen.n
            if not incremental or n.bit_length() > n_before.bit_length():  # a stream is told now and then
                notes.add(*self._columns.notes_on_categories(rows.X, rows.weight, n_before if incremental else 0))
        self._architecture, self._seen = learned.architecture, learned.seen
        return learned

    def _forget(self) -> None:
        """Drop what an earlier fit left, but for what was learned of X and y just now."""
        learned = (*_OF_THE_CHECK, "_columns", "_target")
        for name in list(filter(is_fitted_attribute, self.__dict__)):
            if name not in learned:
                delattr(self, name)

    # ------------------------------------------------------------------ what comes out

    def _computing(self) -> AbstractContextManager[None]:
        return computing(self.dtype, self.device)

    def _show(self, member: Member) -> Self:
        """Become the estimator of this network."""
        self.__dict__.update(revealed(member))
        return self

    def _show_ensemble(
        self, members: Sequence[Member], wrappers: Sequence[Self], weights: np.ndarray | None = None
    ) -> Self:
        """Become the estimator of these networks; each member is a copy of an estimator, with our parameters."""
        own = self.get_params(deep=False)
        shared = {name: value for name, value in own.items() if name not in _OF_MEMBERS}
        self.estimators_ = []
        for member, wrapper in zip(members, wrappers, strict=True):
            estimator = copy.copy(wrapper).set_params(**shared)
            estimator._target, estimator._columns = self._target, self._columns
            estimator._architecture, estimator._seen = member.architecture, self._seen
            self.estimators_.append(estimator._show(member))
        self.__dict__.update(
            attributes_of_ensemble(members) | ({} if weights is None else {"member_weights_": weights})
        )
        return self

    def _new_wrapper(self, random_state: int, numeric_embedding: str | None) -> Self:
        """Return the estimator that a new member becomes."""
        wrapper = copy.copy(self)
        for name in list(filter(is_of_callbacks, vars(wrapper))):  # those, and the context of the fit
            delattr(wrapper, name)
        wrapper.n_members, wrapper.random_state, wrapper.numeric_embedding = 1, random_state, numeric_embedding
        wrapper._description = describe(wrapper._parameters())
        return wrapper

    # ------------------------------------------------------------------ fit and prune

    def _fit_ensemble(self, task: FitTask, rng: np.random.RandomState, reporter: FitReporter, notes: Notes) -> None:
        """Train and prune the members; a warm start goes on from those that are there."""
        before, wrappers, seeds = self._members_before(rng)
        fitted = _ensemble.fit(before, self._architecture, task, seeds[1:], seeds[0], reporter, notes, self._computing)
        notes.add(*notes_on_judgements([one.judgement for one in fitted]))
        self._show_ensemble([one.member for one in fitted], wrappers)
        self.__dict__.pop(self._target.out_of_fold, None)
        self.__dict__.update(_ensemble.of_held_out(fitted, task, vars(self).get("member_weights_")))

    def _members_before(self, rng: np.random.RandomState) -> tuple[list[Member] | None, list[Self], list[Any]]:
        """Return the networks to go on with, if there are any, the estimators that they become, and seeds.

        The seeds are that of the order of the rows and one of each member.
        """
        seeds = rng.randint(np.iinfo(np.int32).max, size=self.n_members_ + 1).tolist()
        if hasattr(self, "estimators_"):
            before, wrappers = self._networks(), self.estimators_
        else:
            embeddings = as_embeddings(self.numeric_embedding, self.n_members_)
            before, wrappers = None, list(map(self._new_wrapper, seeds[1:], embeddings))
        return before, wrappers, [seeds[0], *(wrapper.random_state for wrapper in wrappers)]

    @all_at_once()
    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, **classes: Any) -> Self:
        """One epoch; the optimizer's state goes on from call to call."""
        with Notes() as notes:
            params = self._checked_parameters()
            check_incremental(params)
            first = not self.__sklearn_is_fitted__()
            learned = self._learn(X, y, sample_weight, notes, reset=first, incremental=True, **classes)
            rng = check_random_state(self.random_state)
            task = FitTask(params, self._target, None, self._encode(learned.rows), None, learned.resumed)
            with self._computing():
                if self.n_members_ > 1:
                    return self._partial_fit_ensemble(task, rng, notes, anew=learned.anew)
                of_network = None if first else self._member, self._architecture, task, rng
                reporter = FitReporter(verbose=bool(self.verbose))
                return self._show(train_epoch(*of_network, reporter, notes, anew=learned.anew))

    def _partial_fit_ensemble(self, task: FitTask, rng: np.random.RandomState, notes: Notes, *, anew: bool) -> Self:
        """One epoch of each member."""
        before, wrappers, seeds = self._members_before(rng)
        shared = self._architecture, task, seeds[1:], bool(self.verbose), notes, self._computing
        members = _ensemble.train_epoch(before, *shared, anew=anew, split_seed=seeds[0])
        self.__dict__.pop(self._target.out_of_fold, None)  # those were of the networks before
        self.__dict__.setdefault("member_weights_", np.full(len(members), 1 / len(members)))
        return self._show_ensemble(members, wrappers)

    def _prune_again(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, sample_weight_val: Any, params: dict[str, Any]
    ) -> tuple[Self, list[Self]]:
        """Prune a copy; return it and the copies of every size on the way."""
        before = snapshot(self)
        check_is_fitted(before)
        unknown = [name for name in params if name.partition("__")[0] not in PRUNING_PARAMETERS]
        if unknown:
            raise ValueError(f"prune() accepts the parameters {list(PRUNING_PARAMETERS)}. Got {unknown}.")
        new = copy.copy(before).set_params(**params)
        with Notes() as notes:
            values, criterion = new._checked_parameters(), resolve(new.policy)
            rows = new._check_rows(X, y, sample_weight, notes, reset=False)
            new._target = before._target.learn_on(rows.y, rows.weight, values, type(self).__name__)
            new._seen = before._seen.settled()
            rng = check_random_state(new.random_state)
            held_out = new._check_held_out(X_val, y_val, sample_weight_val, criterion, notes)
            task = FitTask(values, new._target, criterion, new._encode(rows, criterion), held_out)
            with new._computing():
                path = new._prune_networks(task, rng, notes)
        return new, [before, *path]

    def _prune_networks(self, task: FitTask, rng: np.random.RandomState, notes: Notes) -> list[Self]:
        """Prune the network or the members; returns a copy after each round."""
        verbose, before = bool(self.verbose), self._networks()
        if self.n_members_ == 1:
            pruned = prune_member(self._member, task, rng, PathReporter(verbose), notes)
            path = [copy.copy(self)._show(member) for member in pruned.path]
            self._show(pruned.member)
            return path
        seeds = rng.randint(np.iinfo(np.int32).max, size=self.n_members_).tolist()
        results = _ensemble.prune(before, task, seeds, verbose, notes, self._computing)
        self.__dict__.pop(self._target.out_of_fold, None)  # those were of the networks before
        wrappers = self.estimators_
        sizes = [*_ensemble.paths(results, before), [result.member for result in results]]
        shown = [(members, wrappers, _ensemble.weights(members, results, task)) for members in sizes]
        path = [copy.copy(self)._show_ensemble(*of_size) for of_size in shown[:-1]]
        self._show_ensemble(*shown[-1])
        return path
