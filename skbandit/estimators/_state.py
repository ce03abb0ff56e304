"""What an estimator's state may be, and how it changes: in one step, or not at all."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar

import numpy as np

from skbandit.estimators._docs import ATTRIBUTES

Method = TypeVar("Method", bound=Callable[..., Any])
Estimator = TypeVar("Estimator")

#: What a fit leaves: all of it is replaced by the next one.
_FITTED = frozenset(
    {"_architecture", "_columns", "_description", "_member", "_seen", "_target"}.union(*ATTRIBUTES.values())
)


def is_fitted_attribute(name: str) -> bool:
    """Say whether an attribute of this name is one of those that a fit leaves."""
    return name in _FITTED


def is_of_callbacks(name: str) -> bool:
    """Say whether scikit-learn's callbacks keep something under this name, which belongs to one call of one fit."""
    return name.startswith("_") and "callback" in name


def snapshot(estimator: Estimator) -> Estimator:
    """Return an estimator with the same attributes, which stay when another thread fits the one given."""
    same: Estimator = object.__new__(type(estimator))
    same.__dict__ = vars(estimator).copy()
    return same


def all_at_once(around: Callable[[Any], Any] | None = None) -> Callable[[Method], Method]:
    """Return a decorator: the method works on a draft of its estimator, which takes the result over when it is whole.

    It does so in one step. Until then other threads predict with the model before, which stays if the method raises.
    What the user changes on the estimator meanwhile, its parameters say, is not overwritten.

    Parameters
    ----------
    around : callable, optional
        A decorator of the work on the draft. What it does after the work comes after the estimator has changed.
    """

    def decorate(method: Method) -> Method:
        @functools.wraps(method)
        def whole(self: object, *args: Any, **kwargs: Any) -> Any:
            draft = snapshot(self)
            before = vars(draft).copy()

            def work(draft: object, *args: Any, **kwargs: Any) -> None:
                method(draft, *args, **kwargs)
                _take_over(self, draft, before)

            (around(work) if around else work)(draft, *args, **kwargs)
            return self

        return whole  # type: ignore[return-value]  # functools.wraps knows that it is called as the method is

    return decorate


def _take_over(estimator: object, draft: object, before: dict[str, Any]) -> None:
    """Give an estimator what was made on a draft, whose attributes were those of ``before``."""
    made = {
        name: value
        for name, value in vars(draft).items()
        if is_fitted_attribute(name)
        or (before.get(name, draft) is not value and not (is_of_callbacks(name) and name not in before))
    }
    # One assignment: whoever reads has either all of the old or all of the new.
    now = vars(estimator).copy()
    estimator.__dict__ = {name: now[name] for name in now if not is_fitted_attribute(name)} | made


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
