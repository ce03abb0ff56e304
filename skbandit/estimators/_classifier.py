"""Classification."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted

from skbandit.estimators._base import BaseBanditPrunedMLP, has_one_member
from skbandit.estimators._constructor import Constructor
from skbandit.estimators._docs import documented

if TYPE_CHECKING:
    import joblib
    import optax

    from skbandit.criteria import Criterion
    from skbandit.policies import Policy


@documented("classifier")
class BanditPrunedMLPClassifier(ClassifierMixin, Constructor, BaseBanditPrunedMLP):
    """Multilayer perceptron classifier whose hidden units are pruned by a multi-armed bandit.

    The network is trained with JAX and optax. Then a bandit estimates how much the loss would rise without each hidden
    unit [1]_: a unit is an arm, and a pull masks the unit and measures the change of the loss on a mini-batch. The
    units that are safest to remove are removed, the next layers are refitted by least squares, and the smaller network
    is fine-tuned. Prediction runs in NumPy.

    The default network is made for tables. It scales its inputs, accepts missing values and categories, and is trained
    by a recipe that works well on many data sets [2]_: RealMLP-TD-S, with the dropout and weight decay of RealMLP-TD,
    and layers of 128 units. `from_preset` makes a network that is trained like scikit-learn's MLP, or a stronger one.

    The target may be binary, multi-class or multi-label.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    BanditPrunedMLPRegressor : The estimator for regression.
    sklearn.neural_network.MLPClassifier : A multilayer perceptron without pruning.

    References
    ----------
    .. [1] S. Ameen and S. Vadera, arXiv 2606.07615, 2026: units as arms, damage on a mini-batch as reward.
    .. [2] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by default: strong pre-tuned MLPs and boosted trees on
       tabular data", NeurIPS 2024, arXiv 2407.04491.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skbandit import BanditPrunedMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = BanditPrunedMLPClassifier((32,), random_state=0).fit(X, y)
    >>> model.hidden_layer_sizes_
    (16,)
    >>> model.score(X, y) > 0.95
    True
    """

    label_smoothing: float
    class_weight: dict[Any, float] | list[dict[int, float]] | str | None

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (128, 128, 128),
        activation: str = "selu",
        *,
        parametric_activation: bool = False,
        preprocessing: str | None = "auto",
        categorical_features: str | Sequence[bool | int | str] | np.ndarray | None = "from_dtype",
        numeric_embedding: str | None = None,
        input_scaling: bool = True,
        parametrization: str = "ntk",
        weight_init: str = "normal",
        solver: str | optax.GradientTransformation = "adamw",
        alpha: float = 0.02,
        batch_size: int | str = "auto",
        balanced_batches: bool = True,
        learning_rate: str | Callable[[Any], Any] = "coslog4",
        learning_rate_init: float = 0.04,
        power_t: float = 0.5,
        dropout: float = 0.15,
        regularization_schedule: str = "flat_cosine",
        label_smoothing: float = 0.1,
        max_iter: int | str = "auto",
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = True,
        validation_fraction: float = 0.2,
        validation_metric: str = "score",
        beta_1: float = 0.9,
        beta_2: float = 0.95,
        epsilon: float = 1e-8,
        n_iter_no_change: float = float("inf"),
        max_fun: int = 15000,
        class_weight: dict[Any, float] | list[dict[int, float]] | str | None = None,
        n_members: int = 1,
        policy: str | Policy | Criterion = "ucb1",
        budget: float = 8.0,
        pruning_ratio: float | str = 0.5,
        tolerance: float = 0.01,
        scope: str = "global",
        n_rounds: int = 4,
        ablation: str = "mean",
        compensate: bool = True,
        fine_tune_iter: int = 10,
        calibration: str = "train",
        memory: str | joblib.Memory | None = None,
        dtype: str = "float32",
        device: str | None = None,
    ) -> None:
        self._keep(locals())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class, or the set of labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Classes; for a multi-label target, an indicator matrix.
        """
        check_is_fitted(self)
        if self.n_members_ == 1:
            (z,), threshold = self._raw_predict(X), 0.0
        else:
            z, threshold = self._predict_output(X), 0.5
        if self._multilabel:
            return (z > threshold).astype(int)
        return self.classes_[(z[:, 0] > threshold).astype(int) if z.shape[1] == 1 else z.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``; for a multi-label target, the probability of each label.
        """
        return self._as_probabilities(self._predict_output(X))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict the logarithms of class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``; computed from the logits, so that it is finite where the probability is not
            representable.
        """
        log_p = [self._log_probabilities(z) for z in self._raw_predict(X)]
        return log_p[0] if len(log_p) == 1 else np.logaddexp.reduce(log_p, axis=0) - np.log(len(log_p))

    @available_if(has_one_member)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch on these rows; nothing is held out, and nothing pruned (see `prune`).

        How the columns of X are scaled and encoded is learned on the first call. With ``learning_rate="coslog4"`` the
        rate is a tenth of ``learning_rate_init``, throughout, and dropout and weight decay do not fade; once units are
        gone, none drops out and ``"adamw"`` decays nothing.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.
        classes : array-like of shape (n_classes,), default=None
            All classes that will come; required in the first call, unless y is a multi-label indicator.

        Returns
        -------
        self : object
            The estimator.
        """
        return self._partial_fit(X, y, sample_weight, classes)

    # ------------------------------------------------------------------ what the base asks for

    def _as_probabilities(self, p: np.ndarray) -> np.ndarray:
        return np.column_stack([1 - p, p]) if p.shape[1] == 1 and not self._multilabel else p

    def _log_probabilities(self, z: np.ndarray) -> np.ndarray:
        if self._multilabel:
            return -np.logaddexp(0, -z)
        if z.shape[1] == 1:
            return np.column_stack([-np.logaddexp(0, z), -np.logaddexp(0, -z)])
        return z - np.logaddexp.reduce(z, axis=1, keepdims=True)

    def _set_out_of_fold(self, prediction: np.ndarray | None) -> None:
        self.__dict__.pop("oof_decision_function_", None)
        if prediction is not None:
            self.oof_decision_function_ = self._as_probabilities(prediction)

    def _loss_name(self) -> str:
        return "binary_log_loss" if self._multilabel or len(self.classes_) == 2 else "log_loss"

    def _learn_target(
        self, y: np.ndarray, weight: np.ndarray, *, reset: bool, incremental: bool = False, classes: Any = None
    ) -> None:
        check_classification_targets(y)
        kind = type_of_target(y)
        if kind == "multiclass-multioutput":
            raise ValueError(
                f"y has {y.shape[1]} columns of several classes each (multiclass-multioutput), which one "
                f"{type(self).__name__} does not support. Fit one for each column, with MultiOutputClassifier."
            )
        multilabel = kind == "multilabel-indicator"
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all the data at once and is not supported by partial_fit. Give the "
                "weights as a dict, or as sample_weight."
            )
        if reset:
            seen = np.arange(y.shape[1]) if multilabel else unique_labels(y)
            if incremental and not multilabel:
                if classes is None:
                    raise ValueError("classes must be passed on the first call to partial_fit.")
                seen = unique_labels(classes)
            if len(seen) < 2 and not multilabel:
                raise ValueError(
                    f"{type(self).__name__} needs at least 2 classes in y; it has only one class: {seen.tolist()[0]!r}."
                )
            self.classes_, self._multilabel = seen, multilabel
            self.n_outputs_ = 1 if len(seen) == 2 and not multilabel else len(seen)
        elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
            raise ValueError(f"classes={classes!r} is not the same as on the last call, {self.classes_!r}.")
        self._check_target(y)

    def _check_target(self, y: np.ndarray) -> None:
        multilabel = type_of_target(y) == "multilabel-indicator"
        if multilabel != self._multilabel:
            words = {True: "a multi-label indicator", False: "one class per row"}
            raise ValueError(f"y is {words[multilabel]}, but the earlier fit had {words[self._multilabel]}.")
        if multilabel and y.shape[1] != len(self.classes_):
            raise ValueError(f"y has {y.shape[1]} labels, but the earlier fit had {len(self.classes_)}.")
        classes = self.classes_ if multilabel else unique_labels(y)
        unknown = np.setdiff1d(classes, self.classes_)
        if unknown.size:
            raise ValueError(f"y has classes that the earlier fit did not see: {unknown}. They were {self.classes_}.")

    def _adopt(self, coefs: list[np.ndarray], intercepts: list[np.ndarray], model: Any) -> None:
        self.classes_ = np.asarray(model.classes_)
        # Logistic outputs, one for each class: that is a multi-label network.
        self._multilabel = model.out_activation_ == "logistic" and coefs[-1].shape[1] > 1
        super()._adopt(coefs, intercepts, model)

    def _encode_target(self, y: np.ndarray) -> np.ndarray:
        if self._multilabel:
            return np.asarray(y, np.float64)
        return np.searchsorted(self.classes_, y).astype(np.float64)[:, None]

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        return None if self._multilabel else np.searchsorted(self.classes_, y)

    def _class_weighting(self, y: np.ndarray, weight: np.ndarray) -> Callable[[np.ndarray], np.ndarray | float]:
        if self.class_weight is None:
            return lambda y: 1.0
        if self._multilabel:
            return self._label_weighting(y, weight)
        if isinstance(self.class_weight, dict):
            unknown = set(self.class_weight) - set(self.classes_.tolist())
            if unknown:
                raise ValueError(f"class_weight has classes that y has not: {sorted(unknown, key=str)}.")
            by_class = np.array([float(self.class_weight.get(c, 1.0)) for c in self.classes_.tolist()])
        elif isinstance(self.class_weight, list):
            raise ValueError(
                f"class_weight as a list of dicts is for multi-label targets. Got {self.class_weight!r}: give one dict."
            )
        else:
            by_class = np.ones(len(self.classes_))
            counts = weight > 0
            present = unique_labels(y[counts])
            by_class[np.searchsorted(self.classes_, present)] = compute_class_weight(
                self.class_weight, classes=present, y=y[counts], sample_weight=weight[counts]
            )
        self._check_class_weights(by_class)
        return lambda y: by_class[np.searchsorted(self.classes_, y)]

    def _check_class_weights(self, weights: np.ndarray) -> None:
        if not (weights >= 0).all() or not np.isfinite(weights).all() or not weights.any():
            raise ValueError(
                f"class_weight must be non-negative, and positive for some class. Got {self.class_weight!r}."
            )

    def _label_weighting(self, y: np.ndarray, weight: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Multi-label: each label weighs its two classes, and a row has the product over labels."""
        n_labels = len(self.classes_)
        if isinstance(self.class_weight, str):
            by_label = np.ones((n_labels, 2))
            for label, column in enumerate(np.asarray(y).T):
                present = np.unique(column[weight > 0]).astype(int)
                counts = weight > 0
                by_label[label, present] = compute_class_weight(
                    "balanced", classes=present, y=column[counts].astype(int), sample_weight=weight[counts]
                )
        else:
            given = self.class_weight if isinstance(self.class_weight, list) else []
            if len(given) != n_labels or not all(isinstance(w, dict) and set(w) <= {0, 1} for w in given):
                raise ValueError(
                    f"For a multi-label target class_weight must be 'balanced' or a list of {n_labels} dicts with the "
                    f"keys 0 and 1. Got {self.class_weight!r}."
                )
            by_label = np.array([[float(weights.get(c, 1.0)) for c in (0, 1)] for weights in given])
        self._check_class_weights(by_label)
        return lambda y: np.prod(np.where(np.asarray(y) > 0, by_label[:, 1], by_label[:, 0]), axis=1)
