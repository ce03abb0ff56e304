"""Regression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from skbandit.estimators._base import BaseBanditPrunedMLP, has_one_member
from skbandit.estimators._constructor import Constructor
from skbandit.estimators._docs import documented

if TYPE_CHECKING:
    import joblib
    import optax

    from skbandit.criteria import Criterion
    from skbandit.policies import Policy


@documented("regressor")
class BanditPrunedMLPRegressor(RegressorMixin, Constructor, BaseBanditPrunedMLP):
    """Multilayer perceptron regressor whose hidden units are pruned by a multi-armed bandit.

    The network is trained with JAX and optax. Then a bandit estimates how much the loss would rise without each hidden
    unit [1]_: a unit is an arm, and a pull masks the unit and measures the change of the loss on a mini-batch. The
    units that are safest to remove are removed, the next layers are refitted by least squares, and the smaller network
    is fine-tuned. Prediction runs in NumPy.

    The default network is made for tables. It scales its inputs, accepts missing values and categories, and is trained
    by a recipe that works well on many data sets [2]_: RealMLP-TD-S, with the dropout and weight decay of RealMLP-TD,
    and layers of 128 units. `from_preset` makes a network that is trained like scikit-learn's MLP, or a stronger one.

    The target is standardised for training; its mean and scale are part of the last layer of the fitted network.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    BanditPrunedMLPClassifier : The estimator for classification.
    sklearn.neural_network.MLPRegressor : A multilayer perceptron without pruning.

    Notes
    -----
    ``loss_`` and ``loss_curve_`` are in the units of the standardised target.

    References
    ----------
    .. [1] S. Ameen and S. Vadera, arXiv 2606.07615, 2026: units as arms, damage on a mini-batch as reward.
    .. [2] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by default: strong pre-tuned MLPs and boosted trees on
       tabular data", NeurIPS 2024, arXiv 2407.04491.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from skbandit import BanditPrunedMLPRegressor
    >>> X, y = make_regression(n_samples=300, n_features=5, noise=1.0, random_state=0)
    >>> model = BanditPrunedMLPRegressor((32,), random_state=0).fit(X, y)
    >>> model.hidden_layer_sizes_
    (16,)
    >>> model.score(X, y) > 0.99
    True
    """

    loss: str
    clip_predictions: bool

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (128, 128, 128),
        activation: str = "mish",
        *,
        loss: str = "squared_error",
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
        learning_rate_init: float = 0.07,
        power_t: float = 0.5,
        dropout: float = 0.15,
        regularization_schedule: str = "flat_cosine",
        clip_predictions: bool = False,
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
        tags.target_tags.multi_output = True
        return tags

    def predict(self, X: Any) -> np.ndarray:
        """Predict the target.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; computed in their dtype but for the last intercept, which carries the target's mean in float64.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predicted values.
        """
        prediction = self._predict_output(X)
        return prediction.ravel() if prediction.shape[1] == 1 else prediction

    @available_if(has_one_member)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch on these rows; nothing is held out, and nothing pruned (see `prune`).

        How the columns of X are scaled and encoded is learned on the first call. With ``learning_rate="coslog4"`` the
        rate is a tenth of ``learning_rate_init``, throughout, and dropout and weight decay do not fade; once units are
        gone, none drops out and ``"adamw"`` decays nothing.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Target. Its mean and scale are learned on the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : object
            The estimator.
        """
        return self._partial_fit(X, y, sample_weight)

    # ------------------------------------------------------------------ what the base asks for

    def _loss_name(self) -> str:
        return self.loss

    def _described_network(self) -> dict[str, Any]:
        return super()._described_network() | {"loss": self.loss}

    def _learn_target(
        self, y: np.ndarray, weight: np.ndarray, *, reset: bool, incremental: bool = False, classes: Any = None
    ) -> None:
        if reset:
            self._loss = self.loss
            self.n_outputs_ = 1 if y.ndim == 1 else y.shape[1]
        self._check_target(y)
        columns = y.reshape(-1, self.n_outputs_).astype(np.float64)
        there = columns[weight > 0]
        seen = np.array([there.min(axis=0), there.max(axis=0)])
        if reset:
            self._y_range = seen if self.clip_predictions else None
        elif self._y_range is not None:
            self._y_range = np.array([np.minimum(self._y_range[0], seen[0]), np.maximum(self._y_range[1], seen[1])])
        if self._loss == "poisson":
            self._y_mean, self._y_scale = np.zeros(self.n_outputs_), np.ones(self.n_outputs_)
            return
        if incremental and not reset:
            return  # the scale of the first call stays
        self._y_mean = np.average(columns, axis=0, weights=weight)
        with np.errstate(over="ignore"):
            spread = np.sqrt(np.average(np.square(columns - self._y_mean), axis=0, weights=weight))
        # The last layer carries the scale: its weights, up to some thousands of it, must be numbers of the dtype.
        size = np.abs(self._y_mean)
        # A constant target leaves rounding as its spread.
        constant = spread <= 10 * np.finfo(np.float64).eps * size
        limits = np.finfo(self.dtype)
        held = (spread < 1e-4 * limits.max) & (constant | (spread > 1e4 * limits.tiny))
        if not held.all():
            raise ValueError(
                f"The values of y spread by {spread[~held][0]:.3g}, which dtype={self.dtype!r} cannot hold. Rescale y."
            )
        if not reset:
            stand_in = self._y_scale
        elif incremental:
            stand_in = np.ones(self.n_outputs_)  # more rows will come, on a scale that is not known
        else:
            # float32's resolution, so that what the network gives out does not show beside the mean.
            stand_in = np.finfo(np.float32).eps * np.maximum(size, 1.0)
        self._y_scale = np.where(constant, stand_in, spread)

    def _check_target(self, y: np.ndarray) -> None:
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        if n_outputs != self.n_outputs_:
            raise ValueError(f"y has {n_outputs} outputs, but the network was fitted to {self.n_outputs_}.")
        if self._loss == "poisson" and (y < 0).any():
            raise ValueError("Some values of y are negative, which loss='poisson' does not allow.")

    def _encode_target(self, y: np.ndarray) -> np.ndarray:
        return (y.reshape(-1, self.n_outputs_) - self._y_mean) / self._y_scale

    def _adopt(self, coefs: list[np.ndarray], intercepts: list[np.ndarray], model: Any) -> None:
        n_outputs = coefs[-1].shape[1]
        self._y_mean, self._y_scale = np.zeros(n_outputs), np.ones(n_outputs)
        self._y_range = None
        super()._adopt(coefs, intercepts, model)

    def _output_scale(self) -> tuple[np.ndarray, np.ndarray]:
        return self._y_mean, self._y_scale

    def _as_prediction(self, z: np.ndarray) -> np.ndarray:
        prediction = super()._as_prediction(z)
        return prediction if self._y_range is None else np.clip(prediction, *self._y_range.astype(prediction.dtype))

    def _set_out_of_fold(self, prediction: np.ndarray | None) -> None:
        self.__dict__.pop("oof_prediction_", None)
        if prediction is not None:
            self.oof_prediction_ = prediction.ravel() if self.n_outputs_ == 1 else prediction
