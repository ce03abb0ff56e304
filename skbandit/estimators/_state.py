"""What an estimator's state may be, and how it changes: in one step, or not at all."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar

import numpy as np

Method = TypeVar("Method", bound=Callable[..., Any])
Estimator = TypeVar("Estimator")

#: What a fit leaves beside the attributes whose names end in an underscore.
_PRIVATE = frozenset({"_architecture", "_columns", "_description", "_member", "_seen", "_target"})


def is_fitted_attribute(name: str) -> bool:
    """Say whether an attribute of this name is of a fitted network."""
    return name in _PRIVATE or (name.endswith("_") and not name.startswith("_"))


def snapshot(estimator: Estimator) -> Estimator:
    """Return an estimator with the same attributes, which stay when another thread fits the one given."""
    same: Estimator = object.__new__(type(estimator))
    same.__dict__ = vars(estimator).copy()
    return same


def all_at_once(method: Method) -> Method:
    """Make a method work on a draft of its estimator, which takes the result over in one step, when it is whole.

    Until then other threads predict with the network that was there, and it stays if the method raises. What the user
    changes on the estimator meanwhile, its parameters say, is not overwritten. What scikit-learn's callbacks keep on
    the draft goes to the estimator in any case: their decorator, which is the outer one, clears it there.
    """

    @functools.wraps(method)
    def whole(self: object, *args: Any, **kwargs: Any) -> Any:
        draft = snapshot(self)
        before = vars(draft).copy()
        try:
            method(draft, *args, **kwargs)
        except BaseException:
            vars(self).update({name: value for name, value in vars(draft).items() if "callback" in name})
            raise
        kept = {name: value for name, value in vars(self).copy().items() if not is_fitted_attribute(name)}
        made = {
            name: value
            for name, value in vars(draft).items()
            if is_fitted_attribute(name) or before.get(name, draft) is not value  # no attribute is the draft itself
        }
        self.__dict__ = kept | made  # one step: whoever reads has either all of the old or all of the new
        return self

    return whole  # type: ignore[return-value]  # functools.wraps knows that it is called as the method is


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
