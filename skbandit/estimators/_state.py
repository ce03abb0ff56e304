"""An estimator's state across an error."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


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
