"""What can be pruned: groups of units, and networks whose loss takes gates."""

from __future__ import annotations

from skbandit.networks.gated import GatedNetwork
from skbandit.networks.groups import Group, Groups, Slice

__all__ = ["GatedNetwork", "Group", "Groups", "Slice"]
