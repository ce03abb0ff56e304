"""Regression."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin

from skbandit.estimators import _docs
from skbandit.estimators._base import BaseBanditPrunedMLP
from skbandit.estimators._decorators import where_one_member
from skbandit.estimators._docs import indent
from skbandit.estimators._targets import REGRESSION


class BanditPrunedMLPRegressor(RegressorMixin, BaseBanditPrunedMLP):
    __doc__ = f"""Multilayer perceptron regressor whose hidden units are pruned by a multi-armed bandit.

    The network is trained with JAX and optax. Then each hidden unit is an arm: a pull masks it and measures the change
    of the loss on a mini-batch. The units that are safest to remove leave for good, what is left is refitted and
    fine-tuned, and the arrays become smaller. Prediction runs in NumPy.

    By default the network is one for tables: it scales its inputs, takes missing values and categories, and is trained
    after a recipe that is known to work over many data sets [2]_ (RealMLP-TD-S, with the dropout and weight decay of
    RealMLP-TD, and layers of 128 units); `from_preset` makes one that is trained as scikit-learn's MLP is, or a
    stronger one.

    The target is standardised inside, and its scale folded into the last layer.

    Parameters
    ----------
    {indent(_docs.training("regressor"))}
    {indent(_docs.PRUNING)}

    Attributes
    ----------
    {indent(_docs.fitted("regressor"))}

    See Also
    --------
    BanditPrunedMLPClassifier : The same for classification.
    sklearn.neural_network.MLPRegressor : The network without pruning.

    Notes
    -----
    ``loss_`` and ``loss_curve_`` are in units of the standardised target.

    References
    ----------
    .. [1] S. Ameen and S. Vadera, arXiv 2606.07615, 2026: neurons as arms, damage on a mini-batch as reward.
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

    def __init__(
        self,
        hidden_layer_sizes=(128, 128, 128),
        activation="mish",
        *,
        loss="squared_error",
        parametric_activation=False,
        preprocessing="auto",
        categorical_features="from_dtype",
        numeric_embedding=None,
        input_scaling=True,
        parametrization="ntk",
        weight_init="normal",
        solver="adamw",
        alpha=0.02,
        batch_size="auto",
        balanced_batches=True,
        learning_rate="coslog4",
        learning_rate_init=0.07,
        power_t=0.5,
        dropout=0.15,
        regularization_schedule="flat_cosine",
        clip_predictions=False,
        max_iter="auto",
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=True,
        validation_fraction=0.2,
        validation_metric="score",
        beta_1=0.9,
        beta_2=0.95,
        epsilon=1e-8,
        n_iter_no_change=float("inf"),
        max_fun=15000,
        n_members=1,
        policy="ucb1",
        budget=8.0,
        pruning_ratio=0.5,
        tolerance=0.01,
        scope="global",
        n_rounds=4,
        ablation="mean",
        compensate=True,
        fine_tune_iter=10,
        calibration="train",
        memory=None,
        dtype="float32",
        device=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.parametric_activation = parametric_activation
        self.preprocessing = preprocessing
        self.categorical_features = categorical_features
        self.numeric_embedding = numeric_embedding
        self.input_scaling = input_scaling
        self.parametrization = parametrization
        self.weight_init = weight_init
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.balanced_batches = balanced_batches
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.dropout = dropout
        self.regularization_schedule = regularization_schedule
        self.clip_predictions = clip_predictions
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.validation_metric = validation_metric
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.n_members = n_members
        self.policy = policy
        self.budget = budget
        self.pruning_ratio = pruning_ratio
        self.tolerance = tolerance
        self.scope = scope
        self.n_rounds = n_rounds
        self.ablation = ablation
        self.compensate = compensate
        self.fine_tune_iter = fine_tune_iter
        self.calibration = calibration
        self.memory = memory
        self.dtype = dtype
        self.device = device

    _kind = REGRESSION

    def __sklearn_tags__(self) -> Any:
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
        raw = self._raw_predict(X)
        return self._target.predict(raw)

    @where_one_member
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
