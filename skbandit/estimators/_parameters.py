"""The constructor parameters: type, description and constraints of each, in one table.

The class docstrings (`skbandit.estimators._docs`) and the validation in `fit` (`CONSTRAINTS`) are made from it. The
default is not repeated here: the signature of ``__init__`` has it.

To add a parameter:

1. write its record here: in a part of `SHARED`, or in `OF_REGRESSOR` or `OF_CLASSIFIER` if only one estimator has it;
2. give it a place, a type and a default in the signature of ``__init__`` (`_regressor`, `_classifier`);
3. declare its type in `skbandit.estimators._constructor.Constructor`, or in the class of the one estimator;
4. if a preset changes it, set it in every preset (`skbandit.presets`).
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import NamedTuple

import numpy as np

from skbandit._core.constraints import (
    BOOL,
    NON_NEGATIVE,
    NONE,
    POSITIVE,
    UNIT,
    Constraint,
    Number,
    OneOf,
    Where,
)
from skbandit._tabular.features.embeddings import NUMERIC_EMBEDDINGS
from skbandit._tabular.network.activations import ACTIVATIONS
from skbandit.estimators._kinds import (
    AT_LEAST_1,
    has_cache,
    is_list_of_embeddings,
    is_place_for_a_cache,
    is_random_state,
    is_schedule,
    is_sizes,
    is_transformation,
    may_name_columns,
)
from skbandit.pruning.parameters import PRUNING


class Parameter(NamedTuple):
    """What is said of a constructor parameter, and what is checked."""

    type: str
    """The type, as numpydoc writes it, without the default."""
    text: str
    constraints: tuple[Constraint, ...] = ()
    """A value must satisfy one of them. Without any, the code that uses the value checks it."""


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

_NETWORK = {
    "hidden_layer_sizes": Parameter(
        "int or sequence of int",
        "Number of units in each hidden layer, before pruning.",
        (Where(is_sizes, "a positive int or a non-empty sequence of positive ints"),),
    ),
    "activation": Parameter(
        '{"identity", "logistic", "tanh", "relu", "gelu", "silu", "selu", "mish"}',
        "Activation function of the hidden units.",
        (OneOf(tuple(sorted(ACTIVATIONS))),),
    ),
    "parametric_activation": Parameter(
        "bool",
        "Whether each hidden unit has a learned slope a: its activation is then z + a (activation(z) - z).",
        (BOOL,),
    ),
    "preprocessing": Parameter(
        '{"auto", None}',
        """
        ``"auto"``: subtract the median of each column, divide by its interquartile range, and clip the result smoothly
        to (-3, 3). Missing numbers become the median, and each column that has some in the training rows gets an
        indicator column. ``None``: use the numbers as they are; missing numbers raise an error.
        """,
        (NONE, OneOf(("auto",))),
    ),
    "categorical_features": Parameter(
        '{"from_dtype", None} or array-like of bool, int or str',
        """
        Columns that hold categories. ``"from_dtype"``: the columns of a data frame that have a categorical dtype, and
        text columns with at most ten different values, or with at least three rows per different value on average
        (among the rows of each `fit`). Text that can be read as numbers throughout is numeric. Other text, and text
        such as ``"1,5"``, raises an error. An array gives a mask, column indices or column names. A column of up to
        eight categories is one-hot encoded; one of more categories gets a learned embedding of eight numbers. Missing
        categories, and categories that were not in the training rows, are allowed; a warning says where most of a
        column are such. Values may come back in another type: 3, 3.0 and ``"3"`` match the same category. If two of
        them were separate values of the training rows, each matches only itself.
        """,
        (
            NONE,
            OneOf(("from_dtype",)),
            Where(
                may_name_columns,
                "an array-like of bool (a mask over the columns), int (their numbers) or str (their names)",
            ),
        ),
    ),
    "categories": Parameter(
        "dict or None",
        """
        All values that columns of categories have, where they are known beforehand: a dict from the name or the number
        of a column to a list, as ``{"size": ["S", "M", "L"]}``. These columns hold categories whatever
        ``categorical_features`` says. Training rows with other values raise an error; when predicting, other values
        count as missing. The categories of other columns
        are those of the training rows; `partial_fit` and a warm `fit` learn new ones as they come, which may need
        another compilation.
        """,
        (NONE, Where(lambda value: isinstance(value, Mapping), "a dict from columns to their values")),
    ),
    "numeric_embedding": Parameter(
        '{None, "periodic", "piecewise_linear"} or sequence of these',
        """
        Three learned features that are added to each numeric column of more than two distinct values. They are linear
        maps of sixteen terms: cosines with learned frequencies and phases (``"periodic"``), or a piecewise-linear
        encoding over sixteen quantile bins (``"piecewise_linear"``). Embeddings make training slower; they help where
        the target is a rough function of a column, and may harm where there are few rows and many columns. Of a
        sequence, the members take turns: with ``(None, "piecewise_linear")`` every second member embeds.
        """,
        (
            NONE,
            OneOf(NUMERIC_EMBEDDINGS),
            Where(is_list_of_embeddings, "a non-empty sequence of None, 'periodic' and 'piecewise_linear'"),
        ),
    ),
    "input_scaling": Parameter(
        "bool",
        "Whether to learn a factor for each input feature. It is multiplied into the first layer after training.",
        (BOOL,),
    ),
    "parametrization": Parameter(
        '{"ntk", "standard"}',
        """
        ``"ntk"`` (neural tangent kernel): the learning rate of a layer's weights is ``learning_rate_init`` divided by
        the square root of its number of inputs (by the number itself with ``"sgd"``); that of biases is a tenth of
        ``learning_rate_init``, that of the factors of ``input_scaling`` six times ``learning_rate_init``.
        ``"standard"``: one learning rate for all.
        """,
        (OneOf(("standard", "ntk")),),
    ),
    "weight_init": Parameter(
        '{"normal", "data_driven", "glorot_uniform"}',
        """
        Distribution of the initial weights. ``"normal"``: normal, with 0 in the last layer. ``"data_driven"``: normal,
        scaled so that the pre-activation of each unit has standard deviation 1 over the training rows.
        ``"glorot_uniform"``: that of scikit-learn's MLP.
        """,
        (OneOf(("glorot_uniform", "normal", "data_driven")),),
    ),
}

_TRAINING = {
    "solver": Parameter(
        '{"adam", "adamw", "lbfgs", "lion", "nadam", "rmsprop", "sgd"} or optax.GradientTransformation',
        """
        Optimizer. ``"lbfgs"`` has its own stopping rule: it ignores ``early_stopping`` and ``dropout``. An optax
        transformation has its own learning rate, and needs ``learning_rate="constant"`` and
        ``parametrization="standard"``; each new transformation is compiled again.
        """,
        (
            OneOf(("adam", "adamw", "lbfgs", "lion", "nadam", "rmsprop", "sgd")),
            Where(is_transformation, "an optax.GradientTransformation"),
        ),
    ),
    "alpha": Parameter(
        "float",
        """
        With ``"adamw"``, the decoupled weight decay: each step multiplies the weights by
        ``1 - learning_rate * alpha``. With other solvers, the strength of the L2 penalty, as in scikit-learn's MLP:
        ``alpha / 2`` times the sum of the squared weights, divided by the summed weight of the mini-batch's rows. The
        default is meant for ``"adamw"`` and is large for an L2 penalty (scikit-learn's default is 1e-4).
        """,
        (NON_NEGATIVE,),
    ),
    "batch_size": Parameter(
        'int or "auto"',
        'Maximum number of rows in a mini-batch; ``"auto"`` is ``min(200, n_samples)``.',
        (OneOf(("auto",)), AT_LEAST_1),
    ),
    "balanced_batches": Parameter(
        "bool",
        """
        Whether to divide an epoch into mini-batches of equal size. Otherwise the last mini-batch has the remaining
        rows, as in scikit-learn's MLP; if these are few, a step at a high learning rate follows their noise.
        """,
        (BOOL,),
    ),
    "learning_rate": Parameter(
        '{"coslog4", "constant", "invscaling", "adaptive", "cosine"} or callable',
        """
        Learning-rate schedule. ``"coslog4"``: four waves between 0 and ``learning_rate_init``, each longer than the one
        before. ``"cosine"``: a fall from ``learning_rate_init`` to 0. Both end after ``max_iter`` epochs.
        ``"invscaling"`` and ``"adaptive"`` are those of scikit-learn's MLP, here for every named solver; ``"adaptive"``
        needs a finite ``n_iter_no_change``. A callable maps the step number to the learning rate, as optax schedules
        do.
        """,
        (
            OneOf(("constant", "invscaling", "adaptive", "cosine", "coslog4")),
            Where(is_schedule, "a schedule (step → learning rate)"),
        ),
    ),
    "learning_rate_init": Parameter(
        "float",
        'Initial learning rate; with ``"coslog4"``, the highest one.',
        (POSITIVE,),
    ),
    "power_t": Parameter(
        "float",
        'Exponent of ``learning_rate="invscaling"``.',
        (NON_NEGATIVE,),
    ),
    "dropout": Parameter(
        "float in [0, 1)",
        """
        Share of the hidden activations that a training step sets to 0; the others are scaled up. The mask of a row
        depends on its values, so that equal rows share one mask, and a row of weight 2 acts as two copies. Once units
        have been removed, training goes on without dropout.
        """,
        (UNIT,),
    ),
    "regularization_schedule": Parameter(
        '{"constant", "cosine", "flat_cosine"}',
        """
        Schedule of dropout and of the weight decay of ``"adamw"`` over the epochs. ``"cosine"``: a fall to 0.
        ``"flat_cosine"``: constant in the first half of the epochs, then a fall to 0.
        """,
        (OneOf(("constant", "cosine", "flat_cosine")),),
    ),
    "max_iter": Parameter(
        'int or "auto"',
        """
        Maximum number of epochs (with ``"lbfgs"``, of iterations). ``"auto"``: as many as make 8 000 steps, but at
        least 48 and at most 256 epochs (with ``"lbfgs"``, 200 iterations).
        """,
        (AT_LEAST_1, OneOf(("auto",))),
    ),
    "shuffle": Parameter(
        "bool",
        "Whether to shuffle the rows before each epoch.",
        (BOOL,),
    ),
    "random_state": Parameter(
        "int, RandomState instance or None",
        """
        Seed of the initial weights, the order of the rows, dropout, the held-out split and the policy. The same int
        gives the same network, bit for bit, on the same machine.
        """,
        (NONE, Number(0, 2**32 - 1, closed="both", integral=True), Where(is_random_state, "a RandomState")),
    ),
    "tol": Parameter(
        "float",
        """
        Training stops when the monitored value has not improved by more than ``tol`` for ``n_iter_no_change`` epochs.
        With ``early_stopping`` that value is the ``validation_metric`` on held-out rows, otherwise the training loss.
        With ``"lbfgs"``, ``tol`` is the gradient tolerance.
        """,
        (NON_NEGATIVE,),
    ),
    "verbose": Parameter(
        "bool or int",
        "Whether to print a line for each epoch of training and each round of pruning.",
        (BOOL, Number(0, integral=True)),
    ),
    "warm_start": Parameter(
        "bool",
        """
        Whether `fit` continues from the network of the previous `fit`. Otherwise it draws a new network. New categories
        and columns that begin to vary are taken in, and the scale of the target is computed from the new rows. So are
        the scales of the columns if there are 100 new rows or more. Fewer rows count together with a summary of the
        rows before, once the total weight has grown by half.
        """,
        (BOOL,),
    ),
    "momentum": Parameter(
        "float in [0, 1]",
        'Momentum of ``"sgd"``.',
        (Number(0, 1, closed="both"),),
    ),
    "nesterovs_momentum": Parameter(
        "bool",
        'Whether ``"sgd"`` uses Nesterov\'s momentum.',
        (BOOL,),
    ),
    "early_stopping": Parameter(
        "bool",
        """
        Whether to keep the weights of the best epoch on held-out rows (of the last one, if several are equally good),
        and to stop after ``n_iter_no_change`` epochs without improvement. The held-out rows are ``X_val`` if it is
        passed to `fit`, otherwise ``validation_fraction`` of the training rows. With the default
        ``n_iter_no_change=inf`` training runs all epochs, and the best one is kept.
        """,
        (BOOL,),
    ),
    "validation_fraction": Parameter(
        "float in (0, 1)",
        """
        Share of the training rows (of their summed weight) that is held out if ``early_stopping=True`` or
        ``pruning_ratio="auto"``. Usually a row and all its copies are either held out or trained on. Two kinds of rows
        are used for both: rows with more than 2 % of the total weight, and repeated measurements (equal rows of X with
        different targets) if y is a class, has few different values, or has a mean for each row of X that is reliable.
        The held-out loss counts them with this share of their weight, the training loss with the rest. In a table of
        fewer than 50 different rows of equal weight this is so for all rows, and the last epoch is kept.
        """,
        (Number(0, 1, closed="neither"),),
    ),
    "beta_1": Parameter(
        "float in [0, 1)",
        "Decay rate of the first moment of Adam and its relatives.",
        (UNIT,),
    ),
    "beta_2": Parameter(
        "float in [0, 1)",
        'Decay rate of the second moment of Adam and its relatives; also that of ``"rmsprop"``.',
        (UNIT,),
    ),
    "epsilon": Parameter(
        "float",
        "Numerical constant in the denominator of Adam and its relatives.",
        (POSITIVE,),
    ),
    "n_iter_no_change": Parameter(
        "int or inf",
        'Number of epochs without improvement after which training stops; ``float("inf")`` for never.',
        (AT_LEAST_1, Where(lambda value: isinstance(value, Real) and value == np.inf, "inf")),
    ),
    "max_fun": Parameter(
        "int",
        'Maximum number of loss evaluations of ``"lbfgs"``.',
        (AT_LEAST_1,),
    ),
    "n_members": Parameter(
        "int",
        """
        Number of networks. Each is trained and pruned by itself, and their predictions are averaged (see
        ``member_weights``). Members hold out different rows, but for those of one turn through the entries of
        ``numeric_embedding``.
        They run in threads: as many as there are cores, or as OMP_NUM_THREADS says if that is fewer.
        """,
        (Number(1, 1e5, closed="both", integral=True),),
    ),
    "member_weights": Parameter(
        '{"held_out", "uniform"}',
        """
        Weights of the members in the mean of their predictions. ``"held_out"``: members with the same
        ``numeric_embedding`` have the same weight, and these weights, in steps of a tenth for all of a kind, minimise
        the loss of the mean on held-out rows: ``X_val``, or windows of rows that members of all kinds hold out. The
        weights are equal where all members are of one kind, where no rows are held out, and where pruning measures on
        held-out rows (``calibration``). ``"uniform"``: equal weights.
        """,
        (OneOf(("held_out", "uniform")),),
    ),
}

_PRUNING = {
    "policy": Parameter(
        "str, Policy or Criterion",
        """
        What decides which units are removed: a name, or an object of `skbandit.policies` or `skbandit.criteria`. The
        names are:

        * bandits: ``"epsilon_greedy"``, ``"softmax"``, ``"ucb1"``, ``"thompson"``, ``"gaussian_thompson"``,
          ``"hedge"``, ``"exp3"``, and the baseline ``"uniform"``;
        * bandits that identify the best set: ``"racing"``, ``"lucb"``, ``"csar"``, ``"top_two_thompson"``; and, started
          from cheap estimates, ``"warm_racing"``, ``"warm_top_two_thompson"``, ``"sequential_racing"``;
        * exact damages: ``"leave_one_out"``, ``"greedy_leave_one_out"``; greedy removal within the budget:
          ``"budgeted_greedy"``;
        * weights and activations: ``"random"``, ``"magnitude"``, ``"apoz"``, ``"activation_variance"``,
          ``"greedy_activation_variation"``;
        * derivatives of the loss: ``"taylor"``, ``"fisher"``, ``"obd"``;
        * reconstruction of the next layer: ``"obs"``, ``"submodular"``;
        * trained noise: ``"bmrs_n"``, ``"bmrs_u"``, ``"snr"``, ``"expected_gate"``;
        * trained gates: ``"dais"``, ``"bip"``, ``"iss"``, ``"mask_decay"``;
        * bounds that prove a unit dead or linear: ``"stable_units"``.

        https://github.com/skbandit/skbandit/tree/main/docs/choosing_units has their equations and costs.
        ``set_params`` and a parameter search reach the fields of the object as ``policy__<field>``. A fitted model
        whose ``policy`` is a name can be loaded without JAX; the objects need JAX.
        """,
    ),
    "budget": Parameter(
        "float in [1, 1e9]",
        """
        Mean number of pulls per hidden unit in the whole pruning phase: 8 on 384 units are 3072 pulls. A pull masks one
        unit and measures the loss on one mini-batch of at most 256 rows; it costs at most one forward pass of that
        mini-batch. A unit is pulled at most once on each mini-batch in a round; on small data a large budget is
        therefore not used up. Only the bandits and ``"budgeted_greedy"`` keep to the budget.
        """,
        PRUNING["budget"],
    ),
    "pruning_ratio": Parameter(
        'float in [0, 1) or "auto"',
        """
        Share of all hidden units to remove. ``"auto"``: remove half of the remaining units at a time, or fewer where
        that fails, as long as loss and score on the held-out rows stay within ``tolerance``. With ``"auto"`` and a
        criterion that names a set itself (trained noise, ``"stable_units"``, `CSAR` with ``multiplications``) that set
        is removed in one round, whatever ``scope`` and ``tolerance`` are.
        """,
        PRUNING["pruning_ratio"],
    ),
    "tolerance": Parameter(
        "float",
        """
        What ``pruning_ratio="auto"`` accepts: this relative rise of the held-out loss, and this fall of the held-out
        accuracy or R². (The log loss of an overconfident network can fall while its accuracy falls.)
        """,
        PRUNING["tolerance"],
    ),
    "scope": Parameter(
        '{"auto", "global", "layer"}',
        """
        ``"global"``: rank the units of all layers together. ``"layer"``: remove the same share of each layer.
        ``"auto"``: in each round, whichever of these two sets leaves the lower loss after the repair, on the held-out
        rows, or on those that damages are measured on if none are held out. Units are then scored as for ``"global"``.
        At least one unit stays in every layer.
        """,
        PRUNING["scope"],
    ),
    "n_rounds": Parameter(
        'int or "auto"',
        """
        Number of rounds if ``pruning_ratio`` is a number. Each round ranks the units, removes some, refits the next
        layers and fine-tunes. There are fewer rounds if the budget does not give every unit a pull in each. ``"auto"``:
        one for each halving, and at least two: 2 at a ratio of 0.5, 4 at 0.9.
        """,
        (*PRUNING["n_rounds"], OneOf(("auto",))),
    ),
    "ablation": Parameter(
        '{"mean", "zero"}',
        "Output of a masked unit during a pull: its mean activation, or 0 as in the paper [1]_.",
        (OneOf(("zero", "mean")),),
    ),
    "compensate": Parameter(
        "bool",
        "Whether to refit the next layer by least squares on the calibration rows after each removal.",
        (BOOL,),
    ),
    "fine_tune_iter": Parameter(
        'int or "auto"',
        """
        Number of epochs of training after each removal. ``"auto"``: 2 epochs, but after the last removal 20 times
        ``pruning_ratio``; with ``pruning_ratio="auto"``, 10 after each removal. The solver starts with a fresh state
        (``"adam"`` takes the place of ``"lbfgs"`` and of an optax transformation), without dropout and decoupled weight
        decay. The learning rate falls from the initial one to 0 along a cosine; with ``learning_rate="coslog4"`` it
        starts at a tenth of ``learning_rate_init``. The result is kept only if it lowers the loss, on the held-out rows
        if there are any.
        """,
        (Number(0, integral=True), OneOf(("auto",))),
    ),
    "calibration": Parameter(
        '{"train", "held_out", "all"}',
        """
        Rows on which damages are measured and repairs are fitted, if rows are held out: the rows trained on, the
        held-out rows, or both; at most 16 384 of them.
        """,
        (OneOf(("train", "held_out", "all")),),
    ),
    "memory": Parameter(
        "str, path-like, joblib.Memory or None",
        """
        Cache of trained networks on disk: a folder, or an object with the methods of `joblib.Memory`. With it, a search
        over pruning parameters trains once per fold, also one whose fits are spread over processes, or one that comes
        later. (Without it, the fits of one process share the networks trained last, in memory.) It needs ``solver`` and
        ``learning_rate`` given by name, and an int as ``random_state``: with None, each fit trains anew. An entry that
        is damaged is trained anew, and a folder that cannot be written to (a full disk) costs the cache, not the fit;
        either gives a warning. The files are pickles, which are executed when they are read: give a folder that no
        other user can write to.
        """,
        (
            NONE,
            Where(is_place_for_a_cache, "the path of a folder"),
            Where(has_cache, "an object with the method cache() of joblib.Memory"),
        ),
    ),
    "dtype": Parameter(
        '{"float32", "float64"}',
        """
        Precision of training and of the weights. Predictions are computed in that of X, or in ``dtype`` where that is
        lower and numbers are embedded. float64 is enabled in JAX only for the duration of a call.
        """,
        (OneOf(("float32", "float64")),),
    ),
    "device": Parameter(
        "str or None",
        """
        JAX device: ``"cpu"``, ``"gpu"``, ``"gpu:1"``, and so on; ``None`` for JAX's default. ``"gpu:*"`` uses all GPUs:
        the units of a pull and the rows of a mini-batch are distributed over them.
        """,
        (NONE, Where(lambda value: isinstance(value, str) and value != "", "a str that names one")),
    ),
}

#: What both estimators have.
SHARED: dict[str, Parameter] = _NETWORK | _TRAINING | _PRUNING


def _validation_metric(score: str, of_loss: str) -> Parameter:
    text = f"What ``early_stopping`` monitors on the held-out rows: {score}, or the loss{of_loss}."
    return Parameter('{"score", "loss"}', text, (OneOf(("score", "loss")),))


OF_REGRESSOR: dict[str, Parameter] = SHARED | {
    "loss": Parameter(
        '{"squared_error", "poisson"}',
        """
        Loss to minimise: half the squared error, or half the Poisson deviance of a model with a log link. With
        ``"poisson"`` the target is not standardised.
        """,
        (OneOf(("squared_error", "poisson")),),
    ),
    "clip_predictions": Parameter(
        "bool",
        "Whether to clip predictions to the range of the target in the training rows.",
        (BOOL,),
    ),
    "validation_metric": _validation_metric("R²", ""),
}

OF_CLASSIFIER: dict[str, Parameter] = SHARED | {
    "label_smoothing": Parameter(
        "float in [0, 1)",
        """
        The loss of a row is ``1 - label_smoothing`` times the loss of its true class plus ``label_smoothing`` times the
        mean of the losses that each class would have. Probabilities become less extreme: with two classes, a certain
        class gets about ``1 - label_smoothing / 2``. So for rare classes set it to 0 if the probabilities matter.
        """,
        (UNIT,),
    ),
    "validation_metric": _validation_metric("accuracy", " (of smoothed labels, as in training)"),
    "class_weight": Parameter(
        'dict, list of dict, "balanced" or None',
        """
        Weights of the classes; they multiply ``sample_weight``. ``"balanced"`` gives each class the same total weight.
        A list has one dict for each label of a multi-label target.
        """,
        (NONE, OneOf(("balanced",)), Where(lambda value: isinstance(value, (dict, list)), "a dict or list of dicts")),
    ),
}

#: What each parameter may be; an estimator checks those that it has.
CONSTRAINTS: dict[str, tuple[Constraint, ...]] = {
    name: parameter.constraints for name, parameter in (OF_REGRESSOR | OF_CLASSIFIER).items() if parameter.constraints
}
