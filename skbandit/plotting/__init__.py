"""Pictures, as scikit-learn's Display objects."""

from skbandit.plotting.critical_difference import CriticalDifferenceDisplay

__all__ = ["CriticalDifferenceDisplay"]
