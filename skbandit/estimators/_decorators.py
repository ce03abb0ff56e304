"""scikit-learn's decorators of methods, with types."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any, TypeVar, cast

from sklearn import callback
from sklearn.utils.metaestimators import available_if

Method = TypeVar("Method", bound=Callable[..., Any])


def with_callbacks(method: Method) -> Method:
    """Tear callbacks down when a method ends."""
    return cast(Method, callback.with_callbacks(method))


def where_one_member(method: Method) -> Method:
    """Make a method one that only an estimator of one network has."""
    return cast(Method, available_if(has_one_member)(method))


def has_one_member(estimator: Any) -> bool:
    """Say whether there is a `partial_fit`; raises AttributeError, which says why, where there is none."""
    if isinstance(estimator.n_members, Integral) and int(estimator.n_members) > 1:  # what is no int, the call refuses
        raise AttributeError(f"partial_fit trains one network: 'n_members' must be 1. Got {estimator.n_members!r}.")
    return True
