"""Pictures, as displays in scikit-learn's style.

They need Matplotlib, ``pip install 'skbandit[plot]'``, which is imported when something is drawn.
"""

from skbandit.plotting.critical_difference import CriticalDifferenceDisplay

__all__ = ["CriticalDifferenceDisplay"]
