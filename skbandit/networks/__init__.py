"""What can be pruned: groups of units, and networks whose loss takes gates.

`GatedNetwork` is the way to hand a network over. The protocols say what a network class of one's own may offer beyond
that; the constants of the same meaning are what criteria ask for (`needs`), with `offers` and `require`.
"""

from __future__ import annotations

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
from skbandit.networks.groups import Group, Groups, Slice

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
    "ShowsActivations",
    "Slice",
    "SquaredErrors",
    "demand",
    "offers",
    "require",
]
