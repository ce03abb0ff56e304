"""The constructor parameters as a fit takes them: checked, and with Python's own numbers."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from skbandit._core.constraints import Number, check_values
from skbandit.estimators._parameters import CONSTRAINTS

_NUMBERS = {name for name, allowed in CONSTRAINTS.items() if any(isinstance(of, Number) for of in allowed)}


def check_parameters(owner: str, params: Mapping[str, Any]) -> None:
    """Raise ValueError for a parameter that is not what it may be, as it is or in the precision of training.

    Parameters
    ----------
    owner : str
        Name of the estimator, for the message.
    params : mapping
        Its parameters; those of the policy are checked, too, where it is an object.
    """
    check_values(owner, {"dtype": params["dtype"]}, CONSTRAINTS)
    check_values(owner, params, CONSTRAINTS, params["dtype"])
    if not isinstance(params["policy"], str):
        from skbandit._core.pytree import ParamsMixin

        if isinstance(params["policy"], ParamsMixin):
            params["policy"].check(params["dtype"])


def as_plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters that were checked, numbers as Python's: what computes with them knows no fractions."""

    def plain(value: Any) -> Any:
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
            return value
        return int(value) if isinstance(value, Integral) else float(value)

    return {name: plain(value) if name in _NUMBERS else value for name, value in params.items()}


def without_fields(estimator: Any, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters to set; raises ValueError for ``name__field`` where the parameter has no fields."""
    for key in params:
        name, has_field, _ = key.partition("__")
        if has_field and hasattr(estimator, name) and not hasattr(getattr(estimator, name), "set_params"):
            raise ValueError(f"Invalid parameter {key!r} for {type(estimator).__name__}: {name!r} has no fields.")
    return params
