"""What an estimator's state may be, and what becomes of it in an error."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar

import numpy as np

Method = TypeVar("Method", bound=Callable[..., Any])


def unchanged_on_error(method: Method) -> Method:
    """Make a method put the attributes of its estimator back as they were if it raises.

    A fit that fails half-way would otherwise leave parts of two networks. What scikit-learn's callbacks keep on the
    estimator is theirs to clear.
    """

    @functools.wraps(method)
    def guarded(self: object, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            callbacks = {name: value for name, value in vars(self).items() if "callback" in name}
            vars(self).clear()
            vars(self).update(before | callbacks)
            raise

    return guarded  # type: ignore[return-value]  # functools.wraps knows that it is called as the method is


def check_finite(arrays: Iterable[np.ndarray], learning_rate_init: float) -> None:
    """Raise ValueError if some weight is not finite: no fitted network has one."""
    if not all(np.isfinite(a).all() for a in arrays):
        raise_not_finite(learning_rate_init)


def raise_not_finite(learning_rate_init: float) -> NoReturn:
    """Raise what scikit-learn's MLP raises when training diverges."""
    raise ValueError(
        "Solver produced non-finite parameter weights or a loss that is not finite. The input data (for training or "
        f"held out) may contain large values and need to be preprocessed, or 'learning_rate_init'={learning_rate_init} "
        "or 'alpha' is too large."
    )
