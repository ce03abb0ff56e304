"""Pulls per second of a pruning phase: on one host device, on eight, on a GPU.

Each in a fresh process, warm: ``estimator.prune`` without fine-tuning of a network trained for two epochs. Eight host
devices share the same cores (``--xla_force_host_platform_device_count``), so they show what dividing the work costs or
wins, not what eight processors would give. The roofline is that of `models.phase_flops` at the rate of a matrix product
that the same device reaches in the same process.
"""

from __future__ import annotations

import os
from typing import Any

from benchmarks.speed import children, models
from benchmarks.speed.measure import Options, Output, Row
from benchmarks.speed.processes import call_in_process

ROWS, FEATURES, HIDDEN, BUDGET, WIDTH = 5000, 20, (256, 256), 8, 256


def run(options: Options) -> Output:
    one = measured(options)
    yield row("one host device", one, options)
    if options.quick:
        return
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8".strip()
    eight = measured(options, "cpu:*", XLA_FLAGS=flags)
    yield row(f"{len(eight['devices'])} host devices", eight, options, one, "one host device")
    gpu = measured(options, "gpu")
    if "reason" in gpu:
        yield f"GPU skipped: {gpu['reason']}"
    else:
        yield row(f"GPU {gpu['devices'][0]}", gpu, options, one, "one host device")


def measured(options: Options, device: str | None = None, **environment: str) -> Any:
    return call_in_process(
        children.pulls_per_second,
        environment,
        here=options.quick,
        **size(options.quick),
        features=FEATURES,
        repeats=options.repeats,
        budget=BUDGET,
        device=device,
    )


def size(quick: bool) -> dict[str, Any]:
    return {"rows": 300, "hidden": [16, 16]} if quick else {"rows": ROWS, "hidden": list(HIDDEN)}


def row(case: str, result: Any, options: Options, peer: Any = None, peer_name: str = "") -> Row:
    at = size(options.quick)
    sizes = (FEATURES, *at["hidden"], 1)
    flops_per_pull = models.phase_flops(sizes, min(WIDTH, at["rows"]), 1)
    best = result["flops"] / flops_per_pull
    median = sorted(result["rates"])[len(result["rates"]) // 2]
    return Row(
        f"{case}, {result['n_pulls']} pulls",
        result["rates"],
        None if peer is None else peer["rates"],
        peer_name,
        unit="/s",
        note=f"{median / best:.2%} of {best:.3g} pulls/s, the roofline at {result['flops'] / 1e9:.0f} GFLOP/s",
    )
