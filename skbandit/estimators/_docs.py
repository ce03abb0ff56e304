"""The parts of the docstrings that both estimators share."""

from __future__ import annotations

TRAINING = """hidden_layer_sizes : int or sequence of int, default=(100,)
    Units of each hidden layer, before pruning.
activation : {"identity", "logistic", "tanh", "relu", "gelu", "silu"}, default="relu"
    Activation of the hidden units.
LOSSsolver : {"adam", "adamw", "lbfgs", "lion", "nadam", "rmsprop", "sgd"} or optax.GradientTransformation, \
default="adam"
    Optimizer. An optax transformation brings its own learning rate; each new one compiles anew.
alpha : float, default=1e-4
    Strength of the L2 penalty on the weights; with ``"adamw"``, its decoupled weight decay.
batch_size : int or "auto", default="auto"
    Rows of a mini-batch; ``"auto"`` is ``min(200, n_samples)``.
learning_rate : {"constant", "invscaling", "adaptive", "cosine"} or callable, default="constant"
    Schedule. ``"invscaling"`` and ``"adaptive"`` as in scikit-learn's MLP, here for every named solver; ``"cosine"``
    falls from ``learning_rate_init`` to 0 over ``max_iter`` epochs; a callable maps step numbers to learning rates
    (any optax schedule does).
learning_rate_init : float, default=1e-3
    Learning rate at the start.
power_t : float, default=0.5
    Exponent of ``"invscaling"``.
max_iter : int, default=200
    Epochs at most (``"lbfgs"``: iterations).
shuffle : bool, default=True
    Shuffle the rows before each epoch.
random_state : int, RandomState instance or None, default=None
    Seeds initial weights, shuffling, the held-out split and the policy. The same int gives the same network, bit for
    bit, on the same machine.
tol : float, default=1e-4
    Training stops when neither the training loss nor, with early stopping, the validation score has improved by
    ``tol`` for ``n_iter_no_change`` epochs.
verbose : bool or int, default=False
    Print what happens.
warm_start : bool, default=False
    Go on from the network of the last `fit`.
momentum : float, default=0.9
    Momentum of ``"sgd"``.
nesterovs_momentum : bool, default=True
    Use Nesterov's momentum with ``"sgd"``.
early_stopping : bool, default=False
    Stop on the validation score, and keep the best epoch's weights. The held-out rows are ``X_val``, if `fit` gets
    them, else ``validation_fraction`` of the training rows.
validation_fraction : float, default=0.1
    Share of the training rows (by weight) that is held out where ``early_stopping=True`` or ``pruning_ratio="auto"``
    needs it. Copies of a row are never on both sides.
beta_1, beta_2, epsilon : float, default=0.9, 0.999, 1e-8
    Decay rates and numerical constant of Adam and its relatives (``"rmsprop"`` decays with ``beta_2``).
n_iter_no_change : int, default=10
    Epochs without improvement before training stops; ``float("inf")`` for never.
max_fun : int, default=15000
    Evaluations of the loss at most, with ``"lbfgs"``."""

PRUNING = """policy : str, Policy or Criterion, default="ucb1"
    Who decides which units leave. Bandit policies: ``"epsilon_greedy"``, ``"softmax"``, ``"ucb1"``, ``"thompson"``,
    ``"gaussian_thompson"``, ``"hedge"``, ``"exp3"``, ``"uniform"``; other criteria: ``"leave_one_out"``,
    ``"magnitude"``, ``"random"``; or an object of `skbandit.policies` or `skbandit.criteria`. ``policy__<field>``
    reaches its fields in ``set_params`` and in a search. (A model whose ``policy`` is a name loads without JAX; the
    classes of those objects need it.)
budget : float, default=8.0
    Mean number of pulls per hidden unit in the whole pruning phase, at least 1. No unit is pulled twice on one
    mini-batch (256 rows) in a round, so that small data cannot use up a large budget.
pruning_ratio : float in [0, 1) or "auto", default=0.5
    Share of all hidden units to remove. ``"auto"`` goes on, half of what is left at a time and fewer where that fails,
    while the held-out loss stays within ``tolerance``.
tolerance : float, default=0.01
    Relative rise of the held-out loss that ``"auto"`` accepts.
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
    optax transformation), along a cosine from the initial learning rate to 0. The result is kept only if it lowers the
    loss, on the held-out rows where there are any.
memory : str, joblib.Memory or None, default=None
    Where to keep trained networks, so that a search over pruning parameters trains once per fold.
dtype : {"float32", "float64"}, default="float32"
    Precision of training and of the weights. float64 is on for the duration of the call only.
device : str or None, default=None
    JAX device: ``"cpu"``, ``"gpu"``, ``"gpu:1"``, ...; None for JAX's default. ``"gpu:*"`` is all of them: the arms of
    a step and the rows of a mini-batch are spread over them."""

FITTED = """coefs_ : list of ndarray of shape (fan_in, fan_out)
    Weights of each layer of the compact network.
intercepts_ : list of ndarray of shape (fan_out,)
    Biases of each layer.
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
    ``"converged"``, ``"max_iter"``, ``"stopped"`` (by a callback), ``"interrupted"`` or ``"line search failed"``.
n_pulls_ : int
    Pulls spent.
n_parameters_, n_macs_ : tuple of int
    Parameters, and multiply-accumulates per predicted row, before and after pruning.
loss_ : float
    Training loss of the last epoch of training.
best_loss_ : float or None
    Smallest training loss; None with early stopping.
loss_curve_ : list of float
    Training loss of each epoch, before pruning.
validation_scores_ : list of float or None
    Validation score of each epoch, with early stopping.
best_validation_score_ : float or None
    The best of them.
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


def indent(text: str) -> str:
    """Indent a block as the sections of a class docstring are."""
    return text.replace("\n", "\n    ")
