"""What a user waits for: a fit at the defaults, warm, against other libraries' at theirs; and an ensemble.

The peers prune nothing. scikit-learn's MLP has one layer of 100 and stops when it has converged, or after 200 epochs;
ours has three of 128 (the preset "fast"), and as many epochs as ``max_iter="auto"`` gives. Four members against four
fits, one after the other, of the same estimator; both sides are warm.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

from sklearn.neural_network import MLPRegressor

from benchmarks.common.timing import interleave
from benchmarks.speed import models
from benchmarks.speed.measure import Options, Output, Row
from skbandit import BanditPrunedMLPRegressor

#: Rows, features, and the most that our fit may cost, as a multiple of scikit-learn's.
CASES = ((1_000, 10, 4.0), (20_000, 50, None))
QUICK_CASES = ((100, 3, None),)
MEMBERS = 4
#: Four members cost no more than this share of four fits.
SHARE = 1.0


def run(options: Options) -> Output:
    quick: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_iter": 3} if options.quick else {}
    for rows, features, target in QUICK_CASES if options.quick else CASES:
        yield from defaults(options, rows, features, target, quick)
    rows, features, _ = (QUICK_CASES if options.quick else CASES)[0]
    yield from members(options, rows, features, quick)


def defaults(options: Options, rows: int, features: int, target: float | None, quick: dict[str, Any]) -> Iterator[Row]:
    X, y = models.regression(rows, features)
    sides: dict[str, Any] = {
        "ours": lambda: BanditPrunedMLPRegressor(random_state=0, **quick).fit(X, y),
        "scikit-learn's MLP": lambda: MLPRegressor(random_state=0).fit(X, y),
    }
    if importlib.util.find_spec("xgboost") is not None:
        from xgboost import XGBRegressor

        sides["XGBoost"] = lambda: XGBRegressor(random_state=0).fit(X, y)
    repeats = options.repeats if rows < 10_000 else min(options.repeats, 3)
    seconds = interleave(sides, repeats, warm_up=1)
    for peer in list(sides)[1:]:
        limit = target if peer.startswith("scikit") else None
        yield Row(f"{rows}x{features}, defaults", seconds["ours"], seconds[peer], peer, limit, at_most=True)


def members(options: Options, rows: int, features: int, quick: dict[str, Any]) -> Iterator[Row]:
    X, y = models.regression(rows, features)
    sides = {
        "ensemble": lambda: BanditPrunedMLPRegressor(n_members=MEMBERS, random_state=0, **quick).fit(X, y),
        "fits": lambda: [BanditPrunedMLPRegressor(random_state=k, **quick).fit(X, y) for k in range(MEMBERS)],
    }
    seconds = interleave(sides, options.repeats, warm_up=1)
    case = f"{rows}x{features}, {MEMBERS} members"
    yield Row(case, seconds["ensemble"], seconds["fits"], f"{MEMBERS} fits", SHARE, at_most=True)
