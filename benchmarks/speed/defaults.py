"""What a user waits for: a warm fit of a preset, against other libraries at their defaults; and an ensemble.

The peers prune nothing. scikit-learn's MLP has one layer of 100 and stops when it has converged, or after 200 epochs;
the preset "fast" has four members with three layers of 64 each, and as many epochs as ``max_iter="auto"`` gives;
"strong" has eight. Four members that embed nothing are compared with four fits, one after the other, and with one.
Libraries that are not installed are left out.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from typing import Any

from sklearn.neural_network import MLPRegressor

from benchmarks.common.timing import interleave
from benchmarks.speed import models
from benchmarks.speed.measure import Options, Output, Row
from skbandit import BanditPrunedMLPRegressor

#: Preset, rows, features, and the most that our fit may cost, as a multiple of scikit-learn's.
CASES = (("fast", 1_000, 10, 4.0), ("strong", 1_000, 20, None), ("strong", 2_000, 20, None), ("fast", 20_000, 50, None))
QUICK_CASES = (("fast", 100, 3, None),)
#: Gradient boosting: package, class, and what keeps it quiet.
BOOSTING = {
    "XGBoost": ("xgboost", "XGBRegressor", {}),
    "LightGBM": ("lightgbm", "LGBMRegressor", {"verbose": -1}),
    "CatBoost": ("catboost", "CatBoostRegressor", {"verbose": False, "allow_writing_files": False}),
}
MEMBERS = 4
#: Four members cost no more than this share of four fits, and than this many times one member.
SHARE, TIMES = 1.0, 2.1
#: Fits of more rows, and those of "strong", are repeated three times.
MANY_ROWS = 10_000


def run(options: Options) -> Output:
    quick: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_iter": 3} if options.quick else {}
    for preset, rows, features, target in QUICK_CASES if options.quick else CASES:
        yield from fits(options, preset, rows, features, target, quick)
    _, rows, features, _ = (QUICK_CASES if options.quick else CASES)[0]
    yield from members(options, rows, features, quick)


def boosting() -> dict[str, Any]:
    """Return the estimators of the gradient boosting libraries that are installed, unfitted, by name."""
    found = {}
    for name, (package, cls, params) in BOOSTING.items():
        if importlib.util.find_spec(package) is not None:
            found[name] = getattr(importlib.import_module(package), cls)(random_state=0, **params)
    return found


def fits(
    options: Options, preset: str, rows: int, features: int, target: float | None, quick: dict[str, Any]
) -> Iterator[Row]:
    X, y = models.regression(rows, features)
    ours = BanditPrunedMLPRegressor.from_preset(preset, random_state=0, **quick)
    peers = {"scikit-learn's MLP": MLPRegressor(random_state=0), **boosting()}
    contenders = {"ours": ours, **peers}
    sides: dict[str, Any] = {name: lambda model=model: model.fit(X, y) for name, model in contenders.items()}
    slow = rows > MANY_ROWS or preset == "strong"
    seconds = interleave(sides, min(options.repeats, 3) if slow else options.repeats, warm_up=1)
    for peer in peers:
        limit = target if peer.startswith("scikit") else None
        yield Row(f"{rows}x{features}, {preset}", seconds["ours"], seconds[peer], peer, limit, at_most=True)


def members(options: Options, rows: int, features: int, quick: dict[str, Any]) -> Iterator[Row]:
    X, y = models.regression(rows, features)
    one: dict[str, Any] = {"n_members": 1, "numeric_embedding": None, "random_state": 0}
    sides = {
        "ensemble": lambda: BanditPrunedMLPRegressor(**one | {"n_members": MEMBERS}, **quick).fit(X, y),
        "fits": lambda: [
            BanditPrunedMLPRegressor(**one | {"random_state": k}, **quick).fit(X, y) for k in range(MEMBERS)
        ],
        "one": lambda: BanditPrunedMLPRegressor(**one, **quick).fit(X, y),
    }
    seconds = interleave(sides, options.repeats, warm_up=1)
    case = f"{rows}x{features}, {MEMBERS} members"
    yield Row(case, seconds["ensemble"], seconds["fits"], f"{MEMBERS} fits", SHARE, at_most=True)
    yield Row(case, seconds["ensemble"], seconds["one"], "one member", TIMES, at_most=True)
