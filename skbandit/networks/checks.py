"""What the functions of a network take and return, checked while they are traced, before any work.

A function that returns something else would end in an error of JAX's that does not name it, or broadcast into a number
that is wrong without a word. No message shows a traced value: only its kind, shape and dtype.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from skbandit._core.constraints import shown


def described(value: Any) -> str:
    """Say what a function returned: the shape and dtype of an array, the length of a tuple, or the type."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"an array of shape {tuple(value.shape)} and dtype {value.dtype}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    if value is None or isinstance(value, (bool, int, float, complex, str)):
        return shown(value)
    return f"a {type(value).__name__}"


def is_float_array(value: Any, shape: tuple[int, ...]) -> bool:
    """Say whether a value is an array of this shape, of floats of any width: NumPy's, JAX's, or a traced one."""
    import jax.numpy as jnp

    if getattr(value, "shape", None) != shape or not hasattr(value, "dtype"):
        return False
    return bool(jnp.issubdtype(value.dtype, jnp.floating))


def checked_loss(owner: str, value: Any) -> Any:
    """Return what a loss returned; raise ValueError if it is no scalar array of a float."""
    if not is_float_array(value, ()):
        wanted = "a float" if getattr(value, "shape", None) == () else "a scalar array"
        raise ValueError(f"The {owner} must return {wanted}. It returned {described(value)}.")
    return value


def checked_losses(value: Any, n_rows: int) -> Any:
    """Return what a loss of rows returned; raise ValueError if it is not a float for each row."""
    if not is_float_array(value, (n_rows,)):
        raise ValueError(
            f"The 'loss' must return an array of {n_rows} floats here, one for each row: (outputs, y) → losses. It is "
            f"no mean over rows. It returned {described(value)}."
        )
    return value


def checked_activations(value: Any, n_rows: int, sizes: Sequence[int]) -> tuple[Any, ...]:
    """Return what ``activations`` returned; raise ValueError if it is not f[n_rows, size] for each group."""
    wanted = [(n_rows, size) for size in sizes]
    is_list = isinstance(value, (tuple, list))
    if not is_list or len(value) != len(wanted) or not all(map(is_float_array, value, wanted)):
        found = [getattr(h, "shape", None) for h in value] if is_list else type(value).__name__
        if found == wanted:
            found = ", ".join(map(described, value))
        raise ValueError(
            f"The 'activations' of a network must return an array for each group, of the shapes {wanted} here, of "
            f"floats: a row for each row of X, a column for each unit. It returned {found}."
        )
    return tuple(value)


def checked_damages(value: Any, n_units: int) -> Any:
    """Return what ``damages`` returned; raise ValueError if it is not a float for each unit."""
    if not is_float_array(value, (n_units,)):
        raise ValueError(
            f"The 'damages' of a network must return an array of {n_units} floats, one for each unit. It returned "
            f"{described(value)}."
        )
    return value


def check_signature(owner: str, name: str, function: Callable[..., Any], takes: Sequence[str]) -> None:
    """Raise ValueError if a function does not take so many arguments: it may be called after hours of work only."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin may have none
        return
    try:
        signature.bind(*takes)
    except TypeError as error:
        raise ValueError(
            f"The {name!r} parameter of {owner} must be callable with ({', '.join(takes)}). Got one of the signature "
            f"{signature}: {error}."
        ) from None
