"""What can be pruned: groups of units, and networks whose loss takes gates."""

from __future__ import annotations

from skbandit.networks.capabilities import (
    Costs,
    DenseLayers,
    FastDamages,
    GatesByRow,
    Prunable,
    ShowsActivations,
    SquaredErrors,
    offers,
    require,
)
from skbandit.networks.gated import GatedNetwork
from skbandit.networks.groups import Group, Groups, Slice

__all__ = [
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
    "offers",
    "require",
]
