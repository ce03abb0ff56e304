"""The pruning loop, for any JAX network: `prune` removes units, `rank_units` only scores them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from skbandit.pruning.results import Outcome, PruneResult, PruningRound

_LAZY = {
    "FineTuning": "skbandit.pruning.fine_tuning",
    "prune": "skbandit.pruning.api",
    "rank_units": "skbandit.pruning.ranking",
}

__all__ = ["FineTuning", "Outcome", "PruneResult", "PruningRound", "prune", "rank_units"]

if TYPE_CHECKING:
    from skbandit.pruning.api import prune
    from skbandit.pruning.fine_tuning import FineTuning
    from skbandit.pruning.ranking import rank_units


def __getattr__(name: str) -> Any:
    """Import the functions on first use (PEP 562): results need no JAX."""
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'skbandit.pruning' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
