"""What each constructor parameter may be."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from skbandit._core.constraints import BOOL, NON_NEGATIVE, NONE, POSITIVE, UNIT, Number, OneOf, Where
from skbandit._tabular.features.embeddings import NUMERIC_EMBEDDINGS
from skbandit._tabular.network.activations import ACTIVATIONS
from skbandit.pruning.parameters import PRUNING


def _is_sizes(value: Any) -> bool:
    sizes = [value] if isinstance(value, Integral) else value
    try:
        sizes = list(sizes)
    except TypeError:
        return False
    return len(sizes) > 0 and all(isinstance(s, Integral) and not isinstance(s, bool) and int(s) > 0 for s in sizes)


def _is_transformation(value: Any) -> bool:
    return (
        not isinstance(value, type)
        and callable(getattr(value, "init", None))
        and callable(getattr(value, "update", None))
    )


#: What each parameter may be; an estimator checks those that it has.
CONSTRAINTS: dict[str, tuple[Any, ...]] = {
    "loss": (OneOf(("squared_error", "poisson")),),
    "hidden_layer_sizes": (Where(_is_sizes, "a positive int or a non-empty sequence of positive ints"),),
    "activation": (OneOf(tuple(sorted(ACTIVATIONS))),),
    "solver": (
        OneOf(("adam", "adamw", "lbfgs", "lion", "nadam", "rmsprop", "sgd")),
        Where(_is_transformation, "an optax.GradientTransformation"),
    ),
    "alpha": (NON_NEGATIVE,),
    "batch_size": (OneOf(("auto",)), Number(1, integral=True)),
    "balanced_batches": (BOOL,),
    "learning_rate": (
        OneOf(("constant", "invscaling", "adaptive", "cosine", "coslog4")),
        Where(callable, "a schedule (step → learning rate)"),
    ),
    "learning_rate_init": (POSITIVE,),
    "power_t": (NON_NEGATIVE,),
    "max_iter": (Number(1, integral=True), OneOf(("auto",))),
    "shuffle": (BOOL,),
    "tol": (NON_NEGATIVE,),
    "verbose": (BOOL, Number(0, integral=True)),
    "warm_start": (BOOL,),
    "momentum": (Number(0, 1, closed="both"),),
    "nesterovs_momentum": (BOOL,),
    "early_stopping": (BOOL,),
    "validation_fraction": (Number(0, 1, closed="neither"),),
    "beta_1": (UNIT,),
    "beta_2": (UNIT,),
    "epsilon": (POSITIVE,),
    "n_iter_no_change": (Number(1, integral=True), Where(lambda v: v == np.inf, "inf")),
    "max_fun": (Number(1, integral=True),),
    "class_weight": (
        NONE,
        OneOf(("balanced",)),
        Where(lambda v: isinstance(v, (dict, list)), "a dict or list of dicts"),
    ),
    "parametric_activation": (BOOL,),
    "preprocessing": (NONE, OneOf(("auto",))),
    "numeric_embedding": (NONE, OneOf(NUMERIC_EMBEDDINGS)),
    "input_scaling": (BOOL,),
    "parametrization": (OneOf(("standard", "ntk")),),
    "weight_init": (OneOf(("glorot_uniform", "normal", "data_driven")),),
    "dropout": (UNIT,),
    "regularization_schedule": (OneOf(("constant", "cosine", "flat_cosine")),),
    "label_smoothing": (UNIT,),
    "validation_metric": (OneOf(("score", "loss")),),
    "clip_predictions": (BOOL,),
    "n_members": (Number(1, integral=True),),
    "calibration": (OneOf(("train", "held_out", "all")),),
    **PRUNING,
    "ablation": (OneOf(("zero", "mean")),),
    "compensate": (BOOL,),
    "fine_tune_iter": (Number(0, integral=True),),
    "dtype": (OneOf(("float32", "float64")),),
    "device": (NONE, Where(lambda v: isinstance(v, str), "a str")),
}


def as_sizes(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """Return the widths of the hidden layers: an int is one layer."""
    if isinstance(hidden_layer_sizes, Integral):
        return (int(hidden_layer_sizes),)
    return tuple(int(size) for size in hidden_layer_sizes)
