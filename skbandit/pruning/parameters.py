"""What the parameters of pruning may be, for the functions and the estimators. Needs no JAX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skbandit._core.constraints import NON_NEGATIVE, NONE, UNIT, Number, OneOf, Where

#: Parameters that `prune` and the estimators share.
PRUNING: dict[str, tuple[Any, ...]] = {
    "budget": (Number(1, 1e9, closed="both"),),
    "pruning_ratio": (UNIT, OneOf(("auto",))),
    "tolerance": (NON_NEGATIVE,),
    "scope": (OneOf(("auto", "global", "layer")),),
    "n_rounds": (Number(1, integral=True),),
}

#: Parameters of the functions for any network.
OF_ANY_NETWORK: dict[str, tuple[Any, ...]] = PRUNING | {
    "batch_size": (Number(1, integral=True),),
    "max_rows": (Number(1, integral=True),),
    "max_pruning_ratio": (Number(0, 1, closed="both"), Where(lambda v: isinstance(v, Mapping), "a dict")),
    **dict.fromkeys(("repair", "fine_tune", "on_round"), (NONE, Where(callable, "callable"))),
}
