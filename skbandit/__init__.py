"""Bandit-driven structured pruning of neural networks, with scikit-learn's interface.

``import skbandit`` is light: JAX is imported when a network is trained or pruned, never to load or serve a model.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "BanditPrunedMLPClassifier": "skbandit.estimators",
    "BanditPrunedMLPRegressor": "skbandit.estimators",
    "CriticalDifferenceDisplay": "skbandit.plotting",
    "enable_compilation_cache": "skbandit._core.cache",
    "prune": "skbandit.pruning",
}
_SUBMODULES = ("criteria", "policies", "presets", "rewards", "stats")

__all__ = [
    "BanditPrunedMLPClassifier",
    "BanditPrunedMLPRegressor",
    "CriticalDifferenceDisplay",
    "criteria",
    "enable_compilation_cache",
    "policies",
    "presets",
    "prune",
    "rewards",
    "stats",
]

if TYPE_CHECKING:
    from skbandit import criteria, policies, presets, rewards, stats
    from skbandit._core.cache import enable_compilation_cache
    from skbandit.estimators import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor
    from skbandit.plotting import CriticalDifferenceDisplay
    from skbandit.pruning import prune


def __getattr__(name: str) -> Any:
    """Import public names on first use (PEP 562)."""
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    if name in _SUBMODULES:
        return importlib.import_module(f"skbandit.{name}")
    raise AttributeError(f"module 'skbandit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
