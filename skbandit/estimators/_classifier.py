"""Classification."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from sklearn.base import ClassifierMixin

from skbandit._core.addresses import named_in
from skbandit.estimators._base import BaseBanditPrunedMLP
from skbandit.estimators._constructor import Constructor
from skbandit.estimators._docs import documented
from skbandit.estimators._targets import CLASSIFICATION, ClassificationTarget

if TYPE_CHECKING:
    import os

    import joblib
    import optax

    from skbandit.criteria import Criterion
    from skbandit.policies import Policy


@named_in("skbandit")
@documented("classifier")
class BanditPrunedMLPClassifier(ClassifierMixin, Constructor, BaseBanditPrunedMLP):  # type: ignore[misc]  # scikit-learn has no types
    """Multilayer perceptron classifier whose hidden units are pruned by a multi-armed bandit.

    The network is trained with JAX and optax. Then a bandit estimates how much the loss would rise without each hidden
    unit [1]_: a unit is an arm, and a pull masks the unit and measures the change of the loss on a mini-batch. The
    units that are safest to remove are removed, the next layers are refitted by least squares, and the smaller network
    is fine-tuned. Prediction runs in NumPy.

    By default there are four small networks, made for tables, whose predictions are averaged. They scale their inputs,
    accept missing values and categories, and are trained by a recipe that works well on many data sets [2]_, that of
    RealMLP-TD, with layers of 64 units. Two of them embed numbers. `from_preset` makes a network that is trained like
    scikit-learn's MLP, or a larger ensemble.

    The target may be binary, multi-class or multi-label.

    Most users change only ``policy``, ``pruning_ratio``, ``budget``, ``n_members`` and ``random_state``. `prune` and
    `prune_path` prune a fitted network again, without training; `from_sklearn` takes over a fitted network of
    scikit-learn's MLP.

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
    [(16,), (16,), (16,), (16,)]
    >>> model.score(X, y) > 0.95
    True
    """

    label_smoothing: float
    class_weight: dict[Any, float] | list[dict[int, float]] | str | None

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (64, 64, 64),
        activation: str = "selu",
        *,
        parametric_activation: bool = True,
        preprocessing: str | None = "auto",
        categorical_features: str | Sequence[bool | int | str] | np.ndarray | None = "from_dtype",
        categories: Mapping[Any, Any] | None = None,
        numeric_embedding: str | Sequence[str | None] | None = (None, "piecewise_linear"),
        input_scaling: bool = True,
        parametrization: str = "ntk",
        weight_init: str = "data_driven",
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
        validation_metric: str = "loss",
        beta_1: float = 0.9,
        beta_2: float = 0.95,
        epsilon: float = 1e-8,
        n_iter_no_change: float = float("inf"),
        max_fun: int = 15000,
        class_weight: dict[Any, float] | list[dict[int, float]] | str | None = None,
        n_members: int = 4,
        member_weights: str = "held_out",
        policy: str | Policy | Criterion = "ucb1",
        budget: float = 4.0,
        pruning_ratio: float | str = 0.5,
        tolerance: float = 0.01,
        scope: str = "auto",
        n_rounds: int | str = "auto",
        ablation: str = "mean",
        compensate: bool = True,
        fine_tune_iter: int | str = "auto",
        calibration: str = "train",
        memory: str | os.PathLike[str] | joblib.Memory | None = None,
        dtype: str = "float32",
        device: str | None = None,
    ) -> None:
        self._keep(locals())

    _kind = CLASSIFICATION

    def __sklearn_tags__(self) -> Any:
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
        target, raw = self._raw_predict(X)
        return target.predict(raw)

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
        target, raw = self._raw_predict(X)
        return cast(ClassificationTarget, target).probabilities(raw)

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
        target, raw = self._raw_predict(X)
        return cast(ClassificationTarget, target).log_probabilities(raw)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch on these rows; nothing is held out, and nothing pruned (see `prune`).

        While fewer than 32 rows have been passed in all calls together, each call draws a new network and trains it on
        all rows so far. Later calls go on with the same network. New categories, missing values and columns that begin
        to vary are taken in as they come, and the scales of the columns and of the target go on being learned. The
        weights are then adjusted so that predictions stay the same, except where values are far from the centre of a
        column and are clipped (there, embedded numbers change more than others). The shape of the network may change,
        which needs another compilation. The model keeps up to 256 of the rows, also in its pickle. Of several members,
        each is trained on these rows.

        With ``learning_rate="coslog4"`` the rate is a tenth of ``learning_rate_init``, throughout, and dropout and
        weight decay do not fade. After pruning, dropout and the weight decay of ``"adamw"`` are off.

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
        return self._partial_fit(X, y, sample_weight, classes=classes)
