"""The parts of the docstrings that both estimators share."""

from __future__ import annotations

_TRAINING = """hidden_layer_sizes : int or sequence of int, default=(128, 128, 128)
    Units of each hidden layer, before pruning.
activation : {"identity", "logistic", "tanh", "relu", "gelu", "silu", "selu", "mish"}, default="ACTIVATION"
    Activation of the hidden units.
LOSSparametric_activation : bool, default=False
    Give each hidden unit a learned slope a: z + a (activation(z) - z).
preprocessing : {"auto", None}, default="auto"
    ``"auto"``: each column is centred at its median and divided by its interquartile range, then clipped smoothly to
    (-3, 3); a missing number becomes the median, and a column with missing numbers gets an indicator. None: numbers go
    in as they are, and missing ones are refused.
categorical_features : {"from_dtype", None} or array-like of bool, int or str, default="from_dtype"
    Columns that hold categories: those of a data frame with a categorical dtype; or a mask, numbers or names. Up to
    eight categories become one-hot columns, more of them a learned embedding of eight numbers. Missing and unknown
    categories are allowed.
numeric_embedding : {None, "periodic", "piecewise_linear"}, default=None
    What a number is accompanied by: three numbers computed from sixteen cosines of learned frequencies and phases, or
    from its place among sixteen quantiles. It costs time, and pays where the target is rough in a feature.
input_scaling : bool, default=True
    Learn a factor for each feature, which goes into the first layer's weights after training.
parametrization : {"ntk", "standard"}, default="ntk"
    ``"ntk"`` (neural tangent kernel): the learning rate of a weight falls with the square root of its layer's inputs,
    that of a bias is a tenth, that of ``input_scaling`` six times ``learning_rate_init``.
weight_init : {"normal", "data_driven", "glorot_uniform"}, default="normal"
    Initial weights: normal, and 0 in the last layer; scaled unit by unit to the training rows; or as in scikit-learn's
    MLP.
solver : {"adam", "adamw", "lbfgs", "lion", "nadam", "rmsprop", "sgd"} or optax.GradientTransformation, \
default="adamw"
    Optimizer. An optax transformation brings its own learning rate (so ``learning_rate`` must be ``"constant"`` and
    ``parametrization`` ``"standard"``); each new one compiles anew. ``"lbfgs"`` stops by itself, needs no held-out rows
    for that, and drops nothing out.
alpha : float, default=0.02
    With ``"adamw"``, its decoupled weight decay: a step multiplies weights by ``1 - learning_rate * alpha``. Else, as
    in scikit-learn's MLP, the strength of an L2 penalty, ``alpha / 2`` times the squared weights over the summed weight
    of the batch's rows: for that, 0.02 is much (there it is 1e-4).
batch_size : int or "auto", default="auto"
    Rows of a mini-batch at most; ``"auto"`` is ``min(200, n_samples)``.
balanced_batches : bool, default=True
    Cut an epoch into batches of equal size. Otherwise the last has the rows that are left, as in scikit-learn's MLP: if
    they are few, a step at a high learning rate follows their noise.
learning_rate : {"coslog4", "constant", "invscaling", "adaptive", "cosine"} or callable, default="coslog4"
    Schedule. ``"coslog4"``: four waves between 0 and ``learning_rate_init``, each longer than the last. ``"cosine"``
    falls from ``learning_rate_init`` to 0. Both have their end after ``max_iter`` epochs. ``"invscaling"`` and
    ``"adaptive"`` as in scikit-learn's MLP, here for every named solver; a callable maps step numbers to learning
    rates (any optax schedule does).
learning_rate_init : float, default=RATE
    Learning rate at the start; the highest one with ``"coslog4"``.
power_t : float, default=0.5
    Exponent of ``"invscaling"``.
dropout : float in [0, 1), default=0.15
    Share of the hidden activations that a training step leaves out (the others are scaled up), drawn by what a row
    holds: copies of a row are masked alike, as one row of their summed weight is. A network that has lost units is
    trained without.
regularization_schedule : {"constant", "cosine", "flat_cosine"}, default="flat_cosine"
    Course of dropout and of ``"adamw"``'s weight decay over the epochs: ``"flat_cosine"`` is constant for the first
    half, then falls to 0.
OTHERSmax_iter : int or "auto", default="auto"
    Epochs at most (``"lbfgs"``: iterations). ``"auto"``: about 12 000 steps, but between 48 and 256 epochs
    (``"lbfgs"``: 200 iterations).
shuffle : bool, default=True
    Shuffle the rows before each epoch.
random_state : int, RandomState instance or None, default=None
    Seeds initial weights, shuffling, dropout, the held-out split and the policy. The same int gives the same network,
    bit for bit, on the same machine.
tol : float, default=1e-4
    Training stops when the training loss, or with early stopping what ``validation_metric`` names, has not
    improved by ``tol`` for ``n_iter_no_change`` epochs.
verbose : bool or int, default=False
    Print what happens.
warm_start : bool, default=False
    Go on from the network of the last `fit`.
momentum : float, default=0.9
    Momentum of ``"sgd"``.
nesterovs_momentum : bool, default=True
    Use Nesterov's momentum with ``"sgd"``.
early_stopping : bool, default=True
    Keep the weights of the epoch that does best on held-out rows (the last of several), and stop where
    ``n_iter_no_change`` epochs in a row do no better. The held-out rows are ``X_val``, if `fit` gets them, else
    ``validation_fraction`` of the training rows.
validation_fraction : float, default=0.2
    Share of the training rows (by weight) that is held out where ``early_stopping=True`` or ``pruning_ratio="auto"``
    needs it. Copies of a row are never on both sides.
validation_metric : {"score", "loss"}, default="score"
    What the best epoch is best in: SCORE, or the loss.
beta_1, beta_2, epsilon : float, default=0.9, 0.95, 1e-8
    Decay rates and numerical constant of Adam and its relatives (``"rmsprop"`` decays with ``beta_2``).
n_iter_no_change : int or inf, default=inf
    Epochs without improvement before training stops; ``float("inf")`` for never.
max_fun : int, default=15000
    Evaluations of the loss at most, with ``"lbfgs"``."""

_OF_REGRESSOR = {
    "ACTIVATION": "mish",
    "RATE": "0.07",
    "SCORE": "R²",
    "LOSS": """loss : {"squared_error", "poisson"}, default="squared_error"
    What is minimised: half the squared error, or half the Poisson deviance of a log-link model (then the target is
    not standardised).
""",
    "OTHERS": """clip_predictions : bool, default=False
    Keep predictions between the smallest and the largest target of the training rows.
""",
}
_OF_CLASSIFIER = {
    "ACTIVATION": "selu",
    "RATE": "0.04",
    "SCORE": "accuracy",
    "LOSS": "",
    "OTHERS": """label_smoothing : float in [0, 1), default=0.1
    Share of the training loss that is the mean over all labels. It makes probabilities less extreme: set it to 0, and
    ``validation_metric="loss"``, where these matter more than the class.
""",
}


def training(kind: str) -> str:
    """Return the section on training of the ``"regressor"`` or the ``"classifier"``."""
    text = _TRAINING
    for word, replacement in (_OF_REGRESSOR if kind == "regressor" else _OF_CLASSIFIER).items():
        text = text.replace(word, replacement)
    return text


PRUNING = """n_members : int, default=1
    Networks that are trained and pruned, each with other held-out rows; their predictions are averaged. They run in
    threads, as many as there are cores or OMP_NUM_THREADS says.
policy : str, Policy or Criterion, default="ucb1"
    Who decides which units leave, by a name or an object of `skbandit.policies` or `skbandit.criteria`. The paper's
    bandits: ``"epsilon_greedy"``, ``"softmax"``, ``"ucb1"``, ``"thompson"``, ``"gaussian_thompson"``, ``"hedge"``,
    ``"exp3"``, and ``"uniform"``, which learns nothing. Bandits that look for the set: ``"racing"``, ``"lucb"``,
    ``"csar"``, ``"top_two_thompson"``, and with a hint ``"warm_racing"``, ``"warm_top_two_thompson"``,
    ``"sequential_racing"``. Exact damages: ``"leave_one_out"``, ``"greedy_leave_one_out"``; one removal after
    the other within the budget: ``"budgeted_greedy"``.
    Weights and activations: ``"random"``, ``"magnitude"``, ``"apoz"``, ``"activation_variance"``,
    ``"greedy_activation_variation"``. Derivatives: ``"taylor"``, ``"fisher"``, ``"obd"``. Reconstruction: ``"obs"``,
    ``"submodular"``. Trained noise: ``"bmrs_n"``, ``"bmrs_u"``, ``"snr"``, ``"expected_gate"``. Trained gates:
    ``"dais"``, ``"bip"``, ``"iss"``, ``"mask_decay"``. Proof: ``"stable_units"``. The pages under docs/choosing_units
    have equations and costs. ``policy__<field>`` reaches the fields of an object in ``set_params`` and in a search. (A
    model whose ``policy`` is a name loads without JAX; the classes of those objects need it.)
budget : float, default=8.0
    Mean number of pulls per hidden unit in the whole pruning phase, at least 1. No unit is pulled twice on one
    mini-batch (256 rows) in a round, so that small data cannot use up a large budget.
pruning_ratio : float in [0, 1) or "auto", default=0.5
    Share of all hidden units to remove. ``"auto"`` goes on, half of what is left at a time and fewer where that fails,
    while the held-out loss and score stay within ``tolerance``. Of a criterion that names a set itself
    (trained noise, proof, `CSAR` with a budget of multiplications) that set leaves instead, in one round, whatever
    ``scope`` and ``tolerance`` say.
tolerance : float, default=0.01
    What ``"auto"`` accepts: this relative rise of the held-out loss, and this fall of the held-out accuracy or R². (The
    log loss of a network that is too sure of itself falls while it errs more.)
scope : {"global", "layer"}, default="global"
    Rank units over all layers, or remove the same share of each. A layer is never emptied.
n_rounds : int, default=4
    Rounds of pruning at a given ratio: score, remove, repair, fine-tune. Fewer are made if the budget could not give
    each unit a pull in every round.
ablation : {"mean", "zero"}, default="mean"
    What a masked unit emits during a pull: its mean activation, or 0 as in the paper.
compensate : bool, default=True
    After each removal, refit what follows by least squares on the training rows.
fine_tune_iter : int, default=10
    Epochs of training after each removal, by the same solver with a fresh state (Adam in place of ``"lbfgs"`` and of an
    optax transformation), without dropout and decoupled weight decay, along a cosine from the initial learning rate to
    0. The result is kept only if it lowers the
    loss, on the held-out rows where there are any. With ``learning_rate="coslog4"`` from a tenth of its highest rate.
calibration : {"train", "held_out", "all"}, default="train"
    Rows that damages are measured and repairs fitted on, where rows are held out: those that were trained on, the
    others, or both.
memory : str, joblib.Memory or None, default=None
    Where to keep trained networks, so that a search over pruning parameters trains once per fold.
dtype : {"float32", "float64"}, default="float32"
    Precision of training and of the weights. float64 is on for the duration of the call only.
device : str or None, default=None
    JAX device: ``"cpu"``, ``"gpu"``, ``"gpu:1"``, ...; None for JAX's default. ``"gpu:*"`` is all of them: the arms of
    a step and the rows of a mini-batch are spread over them."""

_FITTED = """estimators_ : list of estimators
    The members, each a fitted estimator, where ``n_members`` is not 1. Such an ensemble has ``n_parameters_, n_macs_,
    n_pulls_, t_`` (sums over members), ``loss_`` (their mean), ``n_iter_``, ``n_layers_``, ``n_outputs_``,
    ``out_activation_`` and both statuses; what else is listed here is found on the members.
n_members_ : int
    Their number.
OUT_OF_FOLD
coefs_ : list of ndarray of shape (fan_in, fan_out)
    Weights of each layer of the compact network. The first layer reads the features after preprocessing.
intercepts_ : list of ndarray of shape (fan_out,)
    Biases of each layer.
activation_slopes_ : list of ndarray of shape (n_units,), or None
    Slopes of the hidden units, with ``parametric_activation``.
hidden_layer_sizes_ : tuple of int
    Units that are left in each hidden layer.
kept_units_ : list of ndarray of int
    Which units of the trained network they are.
pruning_history_ : list of dict
    One record per round: ``round, n_removed, sizes, n_pulls, damage_predicted, damage_measured, loss_before,
    loss_repaired, loss_after, fine_tuned, seconds``.
pruning_status_ : str
    How pruning ended, in words.
training_status_ : str
    ``"converged"``, ``"completed"`` (all epochs, where training was not to stop before), ``"max_iter"``,
    ``"stopped"`` (by a callback), ``"interrupted"`` or ``"line search failed"``.
n_pulls_ : int
    Pulls spent.
n_parameters_, n_macs_ : tuple of int
    Parameters, and multiply-accumulates of the layers per predicted row, before and after pruning.
loss_ : float
    Training loss of the last epoch of training, with its dropout, penalty and label smoothing.
best_loss_ : float or None
    Smallest training loss; None with early stopping.
loss_curve_ : list of float
    Training loss of each epoch, before pruning.
validation_scores_ : list of float or None
    Validation score of each epoch, with early stopping.
best_validation_score_ : float or None
    The best of them (with ``validation_metric="loss"`` not necessarily that of the epoch that was kept).
n_iter_ : int
    Epochs of training.
t_ : int
    Training rows seen.
n_layers_ : int
    Number of layers, with input and output.
n_outputs_ : int
    Number of outputs.
out_activation_ : str
    Activation of the output layer.
n_features_in_ : int
    Number of features.
feature_names_in_ : ndarray of str
    Their names, if X had string column names."""


_OUT_OF_FOLD = {
    "regressor": """oof_prediction_ : ndarray of shape (n_samples,) or (n_samples, n_outputs)
    For each training row, the mean prediction of the members that held it out; NaN where none did (a share of
    ``n_members`` times ``validation_fraction`` of the rows has one). No member was trained on these rows, but each
    chose its best epoch, and whether fine-tuning is kept, by them. Only with several members that hold rows out, and
    ``calibration="train"``.""",
    "classifier": """oof_decision_function_ : ndarray of shape (n_samples, n_classes)
    For each training row, the mean probabilities of the members that held it out; NaN where none did (a share of
    ``n_members`` times ``validation_fraction`` of the rows has one). No member was trained on these rows, but each
    chose its best epoch, and whether fine-tuning is kept, by them. Only with several members that hold rows out, and
    ``calibration="train"``.""",
}


def fitted(kind: str) -> str:
    """Return the section on fitted attributes of the ``"regressor"`` or the ``"classifier"``."""
    return _FITTED.replace("OUT_OF_FOLD", _OUT_OF_FOLD[kind])


def indent(text: str) -> str:
    """Indent a block as the sections of a class docstring are."""
    return text.replace("\n", "\n    ")
