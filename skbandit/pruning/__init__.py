"""The pruning loop, for any network."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_EXPORTS = {
    "PruneResult": "skbandit.pruning.engine",
    "PruningRound": "skbandit.pruning.engine",
    "prune": "skbandit.pruning.engine",
}

__all__ = ["PruneResult", "PruningRound", "prune"]

if TYPE_CHECKING:
    from skbandit.pruning.engine import PruneResult, PruningRound, prune


def __getattr__(name: str) -> Any:
    """Import public names on first use (PEP 562): the package itself needs no JAX."""
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'skbandit.pruning' has no attribute {name!r}")
