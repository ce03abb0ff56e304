"""Constructor parameters as one table, and errors that name the parameter, the value and what is allowed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np

from skbandit.activations import ACTIVATIONS
from skbandit.inputs import NUMERIC_EMBEDDINGS


@dataclasses.dataclass(frozen=True)
class Number:
    """A number in an interval; ``closed`` names the ends that belong to it."""

    low: float = -np.inf
    high: float = np.inf
    closed: str = "left"
    integral: bool = False

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is a number of the kind, inside."""
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral if self.integral else Real):
            return False
        number = float(value)
        low = self.low <= number if self.closed in ("left", "both") else self.low < number
        high = number <= self.high if self.closed in ("right", "both") else number < self.high
        return bool(low and high)

    def __str__(self) -> str:
        left = "[" if self.closed in ("left", "both") else "("
        right = "]" if self.closed in ("right", "both") else ")"
        return f"{'an int' if self.integral else 'a float'} in the range {left}{self.low:g}, {self.high:g}{right}"


@dataclasses.dataclass(frozen=True)
class OneOf:
    """One of a few strings."""

    values: tuple[str, ...]

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` is one of them."""
        return isinstance(value, str) and value in self.values

    def __str__(self) -> str:
        return "one of " + ", ".join(repr(v) for v in self.values) if len(self.values) > 1 else repr(self.values[0])


@dataclasses.dataclass(frozen=True)
class Where:
    """Whatever satisfies a predicate, said in words."""

    predicate: Callable[[Any], bool]
    words: str

    def accepts(self, value: Any) -> bool:
        """Ask the predicate."""
        return bool(self.predicate(value))

    def __str__(self) -> str:
        return self.words


def _is_bool(value: Any) -> bool:
    return isinstance(value, (bool, np.bool_))


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


BOOL = Where(_is_bool, "a bool")
NONE = Where(lambda v: v is None, "None")
POSITIVE = Number(0, closed="neither")
NON_NEGATIVE = Number(0)
UNIT = Number(0, 1)

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
    "budget": (Number(1, 1e9, closed="both"),),
    "pruning_ratio": (UNIT, OneOf(("auto",))),
    "tolerance": (NON_NEGATIVE,),
    "scope": (OneOf(("global", "layer")),),
    "n_rounds": (Number(1, integral=True),),
    "ablation": (OneOf(("zero", "mean")),),
    "compensate": (BOOL,),
    "fine_tune_iter": (Number(0, integral=True),),
    "dtype": (OneOf(("float32", "float64")),),
    "device": (NONE, Where(lambda v: isinstance(v, str), "a str")),
}


def check_values(owner: str, values: dict[str, Any], constraints: dict[str, tuple[Any, ...]] | None = None) -> None:
    """Raise ValueError for the first value that its constraints do not accept.

    Parameters
    ----------
    owner : str
        Whose parameters they are, for the message.
    values : dict
        Values by name; a name without constraints may have any.
    constraints : dict, optional
        What each may be; `CONSTRAINTS` by default.
    """
    for name, value in values.items():
        allowed = (CONSTRAINTS if constraints is None else constraints).get(name)
        if allowed is not None and not any(constraint.accepts(value) for constraint in allowed):
            raise ValueError(
                f"The {name!r} parameter of {owner} must be "
                f"{' or '.join(str(constraint) for constraint in allowed)}. Got {value!r} instead."
            )


def as_sizes(hidden_layer_sizes: Any) -> tuple[int, ...]:
    """Return the widths of the hidden layers: an int is one layer."""
    if isinstance(hidden_layer_sizes, Integral):
        return (int(hidden_layer_sizes),)
    return tuple(int(size) for size in hidden_layer_sizes)
