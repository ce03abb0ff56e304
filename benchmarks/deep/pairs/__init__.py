"""Task-network pairs: networks on data sets, to compare methods of pruning on.

Modules: `pair` (what a pair is), `data` and `generators` (the rows), `train`; networks: `dense`, `convolutional`,
`text`, `recurrent`, `attention`, `memory`.
"""

from benchmarks.deep.pairs.table import PAIRS

__all__ = ["PAIRS"]
