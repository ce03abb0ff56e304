"""Prediction: latency of one row and throughput of many, pruned by half, against scikit-learn's unpruned MLP.

That is the choice that a user has: the network as it was, or ours after pruning. Both come from the same hidden sizes;
both calls validate their input. The rows are float64, or float32 with both models fitted to float32 rows, so that
neither converts more than it must. A million rows go through in slices of a hundred thousand on both sides, because
scikit-learn holds the activations of all rows of a call at once.

As information, what a compiled call would give: the compact network as a jitted JAX function in float32, the conversion
of the rows and the transfer there and back included, without any validation.

Then what a call costs at the presets "fast" (the defaults) and "strong" (four members that embed numbers), beside
boosted trees at their defaults, where these are installed. All of them are fitted to float64 rows; few epochs do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.common.machine import missing
from benchmarks.common.timing import interleave
from benchmarks.speed import models
from benchmarks.speed.measure import Options, Output, Row
from skbandit import BanditPrunedMLPRegressor

FEATURES, SLICE = 20, 100_000
HIDDEN = ((100,), (256, 256))
#: Rows of a call, and how many times faster we want to be.
TARGETS = {1: 1.0, 100_000: 2.0, 1_000_000: None}

PRESETS = ("fast", "strong")
#: Rows of a call at the presets.
PRESET_ROWS = (1, 1000, 100_000)
#: How many times as long as LightGBM a call may take, by preset and rows.
LIMITS = {("strong", 1000): 1.5}


def run(options: Options) -> Output:
    targets = {1: 1.0, 1000: 2.0} if options.quick else TARGETS
    for hidden in ((16, 16),) if options.quick else HIDDEN:
        for dtype in ("float32",) if options.quick else ("float64", "float32"):
            pruned, whole, X = fitted(hidden, dtype, max(targets))
            for rows, target in targets.items():
                yield from compare(options, pruned, whole, X[:rows], target)
    yield from beside_trees(options)


def fitted(hidden: tuple[int, ...], dtype: str, rows: int) -> tuple[Any, Any, np.ndarray]:
    """Return our pruned model, scikit-learn's whole one, and rows to predict; how well they fit does not matter."""
    X, y = models.regression(1000, FEATURES, dtype)
    pruned = models.fit(models.ours(hidden, 5, pruning_ratio=0.5), X, y)
    whole = models.fit(models.theirs(hidden, 5), X, y)
    return pruned, whole, np.random.default_rng(1).standard_normal((rows, FEATURES), dtype=dtype)


def compare(options: Options, pruned: Any, whole: Any, X: np.ndarray, target: float | None) -> Iterator[Row]:
    slices = [X[start : start + SLICE] for start in range(0, len(X), SLICE)]

    def all_rows(predict: Callable[[np.ndarray], Any]) -> Callable[[], Any]:
        return lambda: [predict(part) for part in slices]

    functions = {"ours": pruned.predict, "theirs": whole.predict, "jitted": jitted(pruned)}
    np.testing.assert_allclose(functions["jitted"](X[:100]), pruned.predict(X[:100]), rtol=1e-3, atol=1e-4)
    sides = {name: all_rows(function) for name, function in functions.items()}
    seconds = interleave(sides, options.repeats, at_least=0.02 if options.quick else 0.1)
    hidden = "x".join(str(len(b)) for b in whole.intercepts_[:-1])
    case = f"{len(X)} row{'s' if len(X) > 1 else ''}, {hidden}, {X.dtype}"
    note = f"pruned to {'x'.join(map(str, pruned.hidden_layer_sizes_))}" if len(X) == 1 else ""
    yield Row(case, seconds["ours"], seconds["theirs"], "scikit-learn, unpruned", target, note=note)
    yield Row(case, seconds["ours"], seconds["jitted"], "jitted JAX, pruned")


def beside_trees(options: Options) -> Output:
    """Compare the presets with boosted trees, each of which may be absent."""
    X, y = models.regression(1000, FEATURES)
    small: dict[str, Any] = {"hidden_layer_sizes": (8, 8)} if options.quick else {}
    fitted = {
        preset: BanditPrunedMLPRegressor.from_preset(preset, max_iter=5, random_state=0, **small).fit(X, y)
        for preset in PRESETS
    }
    peers: dict[str, Any] = {}
    for name, make in {"LightGBM": _lightgbm, "CatBoost": _catboost}.items():
        if reason := missing(name.lower()):
            yield f"{name} {reason}"
        else:
            peers[name] = make().fit(X, y)
    rng = np.random.default_rng(1)
    for dtype in ("float32", "float64"):
        for n in PRESET_ROWS[:2] if options.quick else PRESET_ROWS:
            rows = rng.standard_normal((n, FEATURES), dtype=dtype)
            sides = {name: partial(model.predict, rows) for name, model in (fitted | peers).items()}
            seconds = interleave(sides, options.repeats, at_least=0.02 if options.quick else 0.1)
            for preset in PRESETS:
                case = f"{n} row{'s' if n > 1 else ''}, preset {preset}, {dtype}"
                if not peers:
                    yield Row(case, seconds[preset])
                for peer in peers:
                    limit = LIMITS.get((preset, n)) if peer == "LightGBM" else None
                    yield Row(case, seconds[preset], seconds[peer], peer, limit, at_most=True)


def _lightgbm() -> Any:
    import lightgbm

    return lightgbm.LGBMRegressor(random_state=0, verbose=-1)


def _catboost() -> Any:
    import catboost

    return catboost.CatBoostRegressor(random_seed=0, verbose=False, allow_writing_files=False)


def jitted(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return the forward pass of a fitted model's compact network as a jitted function, in float32."""
    layers = [
        (jnp.asarray(W, jnp.float32), jnp.asarray(b, jnp.float32))
        for W, b in zip(model.coefs_, model.intercepts_, strict=True)
    ]

    @jax.jit
    def forward(h: jax.Array) -> jax.Array:
        for W, b in layers[:-1]:
            h = jax.nn.relu(h @ W + b)
        W, b = layers[-1]
        return (h @ W + b)[:, 0]

    return lambda X: np.asarray(forward(X.astype(np.float32, copy=False)))
