"""Bandit-driven structured pruning of neural networks, with scikit-learn's interface.

``import skbandit`` is light: JAX is imported when a network is trained or pruned, never to load or serve a model.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from skbandit._core import forks as _forks  # notes forks from here on  # noqa: F401

__version__ = "0.1.0"

if TYPE_CHECKING:
    from skbandit import criteria as criteria
    from skbandit import networks as networks
    from skbandit import plotting as plotting
    from skbandit import policies as policies
    from skbandit import presets as presets
    from skbandit import pruning as pruning
    from skbandit import rewards as rewards
    from skbandit import saved as saved
    from skbandit import stats as stats
    from skbandit._core.cache import disable_compilation_cache as disable_compilation_cache
    from skbandit._core.cache import enable_compilation_cache as enable_compilation_cache
    from skbandit.estimators import BanditPrunedMLPClassifier as BanditPrunedMLPClassifier
    from skbandit.estimators import BanditPrunedMLPRegressor as BanditPrunedMLPRegressor
    from skbandit.plotting import CriticalDifferenceDisplay as CriticalDifferenceDisplay
    from skbandit.pruning import PruneResult as PruneResult
    from skbandit.pruning import prune as prune
    from skbandit.pruning import rank_units as rank_units

#: Each public name, and the module that it is imported from on first use; "" is a submodule.
_PUBLIC = {
    "BanditPrunedMLPClassifier": "skbandit.estimators",
    "BanditPrunedMLPRegressor": "skbandit.estimators",
    "CriticalDifferenceDisplay": "skbandit.plotting",
    "PruneResult": "skbandit.pruning",
    "criteria": "",
    "disable_compilation_cache": "skbandit._core.cache",
    "enable_compilation_cache": "skbandit._core.cache",
    "networks": "",
    "plotting": "",
    "policies": "",
    "presets": "",
    "prune": "skbandit.pruning",
    "pruning": "",
    "rank_units": "skbandit.pruning",
    "rewards": "",
    "saved": "",
    "stats": "",
}

__all__ = [*_PUBLIC]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Import public names on first use (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'skbandit' has no attribute {name!r}")
    module = _PUBLIC[name]
    return getattr(importlib.import_module(module), name) if module else importlib.import_module(f"skbandit.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
