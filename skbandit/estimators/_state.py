"""What an estimator's state may be, and what becomes of it in an error."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np


def unchanged_on_error(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a method put the attributes of its estimator back as they were if it raises.

    A fit that fails half-way would otherwise leave parts of two networks. What scikit-learn's callbacks keep on the
    estimator is theirs to clear.
    """

    @functools.wraps(method)
    def guarded(estimator: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(estimator))
        try:
            return method(estimator, *args, **kwargs)
        except BaseException:
            callbacks = {name: value for name, value in vars(estimator).items() if "callback" in name}
            vars(estimator).clear()
            vars(estimator).update(before | callbacks)
            raise

    return guarded


def check_finite(estimator: Any, params: Any) -> None:
    """Raise ValueError if some weight is not finite: no fitted network has one."""
    if not all(np.isfinite(a).all() for layer in params for a in layer):
        raise_not_finite(estimator)


def raise_not_finite(estimator: Any) -> NoReturn:
    """Raise what scikit-learn's MLP raises when training diverges."""
    raise ValueError(
        "Solver produced non-finite parameter weights or a loss that is not finite. The input data (for training or "
        "held out) may contain large values and need to be preprocessed, or "
        f"'learning_rate_init'={estimator.learning_rate_init} is too large."
    )
