"""scikit-learn's decorators of methods, with types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from sklearn import callback

Method = TypeVar("Method", bound=Callable[..., Any])


def with_callbacks(method: Method) -> Method:
    """Tear callbacks down when a method ends."""
    return cast(Method, callback.with_callbacks(method))
