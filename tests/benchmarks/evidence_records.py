"""Records of an experiment that was never run: methods have known effects, so that a report can be checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.evidence.design import CONFIRMATORY

METHODS = (*CONFIRMATORY, "random", "leave_one_out", "leave_one_out_rms", "racing_rms")
#: Damage of removing this share, after each stage.
LOSS = {0.25: 0.02, 0.5: 0.06, 0.75: 0.15, 0.9: 0.3}
SHARE = {"raw": 1.0, "repaired": 0.7, "tuned": 0.2, "tuned_long": 0.1}
N_UNITS, N_BATCHES = 128, 32
COMMON = {"versions": {"skbandit": "0.1.0"}, "cpu": "a processor", "load": 0.5, "date": "2026-01-01"}
#: Names and numbers of pairs; two networks on each data set.
ARCHITECTURES = ("mlp", "cnn")


def pair_names(n: int) -> list[str]:
    return [f"{ARCHITECTURES[i % 2]}-set{i // 2:02d}" for i in range(n)]


def _scores(suite_task: str, value: float) -> dict[str, Any]:
    value = float(value)
    if suite_task == "regression":
        return {"r2": value, "rmse": float(np.sqrt(max(1 - value, 1e-6)))}
    return {"accuracy": value, "log_loss": float(1.5 * (1 - value))}


def outcomes(
    suite: str,
    task: str,
    pairs: Sequence[str],
    effects: dict[str, float],
    *,
    methods: Sequence[str] = METHODS,
    ratios: Sequence[float] = (0.25, 0.5, 0.75, 0.9),
    stages: Sequence[str] = ("raw", "repaired", "tuned"),
    n_seeds: int = 3,
    noise: float = 0.004,
    seed: int = 0,
    controls: bool = True,
    gate: float = 0.6,
    extra: dict[str, Any] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield dense networks, outcomes and controls; an effect is in points of the score, on every pair and seed."""
    rng = np.random.default_rng(seed)
    for i, pair in enumerate(pairs):
        base = rng.uniform(0.8, 0.95)
        for s in range(n_seeds):
            about = {"suite": suite, "pair": pair, "data": pair.rpartition("-")[2], "seed": s, "task": task, **COMMON}
            about |= {"architecture": pair.partition("-")[0], **(extra or {})}
            level = base + rng.normal(0, noise)

            def score(method: str, loss: float, level: float = level) -> dict[str, Any]:
                value = level - loss + effects.get(method, 0.0)
                return {
                    part: _scores(task, np.clip(value + rng.normal(0, noise), 0, 1)) for part in ("report", "guard")
                }

            sizes = {"parameters": 10_000, "macs": 20_000, "latency_ms": {"1": 0.5, "256": 8.0}}
            yield {
                **{"kind": "dense", "gate": gate, "reference": "a paper", "number": i + 1, "epochs": 8, "seconds": 1.0},
                **{**about, **sizes, "scores": score("unpruned", 0.0)},
            }
            if controls:
                own = {"kind": "control", "scope": "layer", **about}
                yield {
                    **own,
                    **sizes,
                    "method": "trained_on",
                    "ratio": None,
                    "stage": "tuned",
                    "scores": score("trained_on", 0),
                }
            for ratio in ratios:
                left = (1 - ratio) ** 1.5
                small = {"parameters": int(10_000 * left), "macs": int(20_000 * left)}
                timed = {"latency_ms": {"1": 0.2 + 0.3 * left, "256": 1 + 7 * left}}
                for method in methods:
                    for stage in stages:
                        own = {"kind": "outcome", "method": method, "ratio": ratio, "scope": "layer", "stage": stage}
                        cost = {**small, **(timed if stage == "raw" else {})}
                        yield {**about, **own, **cost, "scores": score(method, LOSS[ratio] * SHARE[stage])}
                for stage in [stage for stage in stages if stage.startswith("tuned")] if controls else ():
                    own = {"kind": "control", "method": "scratch", "ratio": ratio, "scope": "layer", "stage": stage}
                    yield {**about, **own, **small, **timed, "scores": score("scratch", LOSS[ratio] * SHARE[stage])}


def rankings(
    pairs: Sequence[str],
    speed: dict[str, float],
    *,
    budgets: Sequence[int] = (1, 2, 4, 8, 16),
    n_seeds: int = 3,
    noise: float = 0.0,
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Yield rankings with set regrets: a method with twice the speed has the regret of twice the pulls."""
    rng = np.random.default_rng(seed)
    for pair in pairs:
        for s in range(n_seeds):
            about = {"kind": "ranking", "suite": "deep", "pair": pair, "seed": s, "n_units": N_UNITS, **COMMON}
            exact = {
                "method": "leave_one_out",
                "ratio": None,
                "pulls": N_BATCHES * N_UNITS,
                "reliability": 0.4 + 0.02 * s,
            }
            yield {**about, **exact, "forward_rows": 1024 * N_UNITS, "backward_rows": 0, "seconds": 1.0}
            for method, factor in speed.items():
                for budget in budgets:
                    regret = 0.2 / (budget * factor) * np.exp(rng.normal(0, noise))
                    own = {"method": method, "ratio": 0.5, "params": {"budget": budget}, "regret": regret}
                    yield {**about, **own, "pulls": budget * N_UNITS, "seconds": 0.1}


def budgets(
    pairs: Sequence[str], methods: Sequence[str], *, n_seeds: int = 3, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Yield raw scores at several budgets: more pulls are better."""
    rng = np.random.default_rng(seed)
    for pair in pairs:
        for s in range(n_seeds):
            for j, method in enumerate(methods):
                for budget in (1, 2, 4, 8, 16):
                    value = 0.8 - 0.3 / (budget + j) + rng.normal(0, 0.004)
                    about = {
                        "kind": "outcome",
                        "suite": "deep",
                        "pair": pair,
                        "data": pair.rpartition("-")[2],
                        "seed": s,
                    }
                    own = {
                        "method": method,
                        "params": {"budget": budget},
                        "ratio": 0.5,
                        "scope": "layer",
                        "stage": "raw",
                    }
                    yield {**about, **own, "scores": {"report": _scores("classification", value)}, **COMMON}


def certified(
    pairs: Sequence[str], effects: dict[str, float], *, n_seeds: int = 3, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Yield certified accuracies at three radii."""
    rng = np.random.default_rng(seed)
    for pair in pairs:
        base = rng.uniform(0.5, 0.7)
        for s in range(n_seeds):
            for method, effect in effects.items():
                for epsilon in (4 / 255, 8 / 255, 16 / 255):
                    value = float(base + effect - 8 * epsilon / 2 + rng.normal(0, 0.004))
                    about = {"kind": "certified", "suite": "certified", "pair": pair, "data": pair, "seed": s, **COMMON}
                    own = {"method": method, "ratio": None if method == "unpruned" else 0.5, "epsilon": epsilon}
                    bounds = {"certified": value, "certified_ibp": value / 3, "attacked": value + 0.1, "clean": 0.93}
                    halves = {"report": value, "guard": value}
                    yield {**about, **own, **bounds, "unstable": 0.4, "certified_halves": halves}


def standard(
    data: Sequence[str], effects: dict[str, float], *, n_seeds: int = 3, seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Yield models of other libraries on data sets of regression."""
    rng = np.random.default_rng(seed)
    for name in data:
        base = rng.uniform(0.7, 0.9)
        for s in range(n_seeds):
            for model, effect in effects.items():
                about = {
                    "kind": "standard",
                    "suite": "tabular",
                    "task": "regression",
                    "pair": name,
                    "data": name,
                    "seed": s,
                }
                yield {**about, "method": model, "scores": {"report": _scores("regression", base + effect)}, **COMMON}
