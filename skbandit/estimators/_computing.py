"""Where the estimators begin to compute: what takes JAX is imported, as a whole, and JAX is given its settings."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from skbandit._core.imports import importing


def computing(dtype: str, device: str | None) -> AbstractContextManager[None]:
    """Return the scope in which to compute."""
    _load()
    from skbandit._core.scope import jax_scope

    return jax_scope(dtype, device)


def resolve(policy: Any) -> Any:
    """Return the criterion that ``policy`` stands for."""
    _load()
    from skbandit.criteria import resolve

    return resolve(policy)


def _load() -> None:
    with importing():
        from skbandit._tabular.pruning import task  # noqa: F401
        from skbandit._tabular.training import fit  # noqa: F401
        from skbandit.estimators import _settings  # noqa: F401
