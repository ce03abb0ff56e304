"""What can be pruned: any JAX function, or a loss that takes gates.

`infer_groups` finds the units of a function, and `skbandit.prune` prunes it. A `GatedNetwork` is a loss that takes
gates, with groups that the user lists. The modules `flax` (linen), `nnx`, `equinox` and `haiku` turn a module of the
framework into a function, and return a smaller module after pruning. The protocols, such as `FastDamages`, say what
else a network class may offer. For each there is a constant, such as `FAST_DAMAGES`, that a criterion lists in its
``needs``. `offers` and `require` compare the two.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from skbandit.networks.capabilities import (
    ACTIVATIONS,
    COSTS,
    DENSE_LAYERS,
    FAST_DAMAGES,
    GATES_BY_ROW,
    OUTGOING,
    PRUNABLE,
    SQUARED_ERRORS,
    Capability,
    Costs,
    DenseLayers,
    FastDamages,
    GatesByRow,
    Prunable,
    ShowsActivations,
    SquaredErrors,
    demand,
    offers,
    require,
)
from skbandit.networks.gated import GatedNetwork
from skbandit.networks.groups import Group, Groups, Refusal, Slice, Verified

if TYPE_CHECKING:
    from skbandit.networks import equinox, flax, haiku, nnx, rules
    from skbandit.networks.inference import infer_groups
    from skbandit.networks.trace import Variables
    from skbandit.networks.traced import TracedNetwork

#: What needs JAX when it is imported, and the module that it comes from; "" is a submodule.
_LAZY = {
    "TracedNetwork": "skbandit.networks.traced",
    "Variables": "skbandit.networks.trace",
    "infer_groups": "skbandit.networks.inference",
    **dict.fromkeys(("equinox", "flax", "haiku", "nnx", "rules"), ""),
}

__all__ = [
    "ACTIVATIONS",
    "COSTS",
    "DENSE_LAYERS",
    "FAST_DAMAGES",
    "GATES_BY_ROW",
    "OUTGOING",
    "PRUNABLE",
    "SQUARED_ERRORS",
    "Capability",
    "Costs",
    "DenseLayers",
    "FastDamages",
    "GatedNetwork",
    "GatesByRow",
    "Group",
    "Groups",
    "Prunable",
    "Refusal",
    "ShowsActivations",
    "Slice",
    "SquaredErrors",
    "TracedNetwork",
    "Variables",
    "Verified",
    "demand",
    "equinox",
    "flax",
    "haiku",
    "infer_groups",
    "nnx",
    "offers",
    "require",
    "rules",
]


def __getattr__(name: str) -> Any:
    """Import what needs JAX on first use (PEP 562): groups and results need none."""
    if _LAZY.get(name) == "":
        return importlib.import_module(f"skbandit.networks.{name}")
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'skbandit.networks' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
