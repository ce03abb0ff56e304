"""Which criterion runs on which kind of network: ``python -m benchmarks.deep criteria``.

A convolutional network, an LSTM and a transformer, small and of random weights, as functions that nothing was changed
in. A criterion either ranks the units of all groups, or is refused before any work, by what it needs.
"""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.common.records import KEPT, Record
from benchmarks.common.tables import markdown
from benchmarks.deep.evaluator import Case, convolutional, cross_entropy, draw, transformer
from skbandit import rank_units
from skbandit.criteria import CRITERIA, resolve
from skbandit.networks import infer_groups
from skbandit.policies import POLICIES

OUT = KEPT / "deep" / "criteria.jsonl"
PAGE = Path("docs/results/deep/criteria.md")


def lstm(width: int = 12, length: int = 8, rows: int = 32) -> Case:
    """Return an LSTM over sequences of 4 numbers."""
    rng = np.random.default_rng(0)
    params = {"input": draw(rng, 4, 4 * width), "hidden": draw(rng, width, 4 * width), "head": draw(rng, width, 5)}

    def apply(p: Any, x: Any) -> Any:
        def step(carry: Any, x_t: Any) -> Any:
            h, c = carry
            i, f, g, o = jnp.split(x_t @ p["input"] + h @ p["hidden"], 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        zeros = jnp.zeros((x.shape[0], width))
        (h, _), _ = jax.lax.scan(step, (zeros, zeros), jnp.swapaxes(x, 0, 1))
        return h @ p["head"]

    return Case(apply, params, draw(rng, rows, length, 4))


CASES = {
    "convolutional": convolutional,
    "lstm": lstm,
    "transformer": lambda: transformer(width=16, heads=4, hidden=24, length=6, rows=32),
}


def key(record: Record) -> tuple[Any, ...]:
    """What tells one measurement from another."""
    return record["network"], record["criterion"]


def run(names: Sequence[str] = ()) -> Iterator[Record]:
    """Rank the units of each network with every criterion, and with each policy in a bandit."""
    for network, make in CASES.items():
        case = make()
        groups = infer_groups(*case, verify=False)
        for name in (*POLICIES, *CRITERIA):
            if not names or {network, name} & set(names):
                yield {"network": network, "criterion": name, "jax": jax.__version__} | outcome(case, groups, name)
        jax.clear_caches()


def outcome(case: Case, groups: Any, name: str) -> Record:
    """Rank the units; return what came of it."""
    criterion = resolve(name)
    if hasattr(criterion, "n_steps"):  # what is trained is trained for long by default
        criterion = dataclasses.replace(criterion, n_steps=20)
    rows = np.asarray(case.X)
    y = np.arange(len(rows)) % 5
    start = time.perf_counter()
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            scores = rank_units(
                *(case.apply, case.params, rows, y), loss=cross_entropy, groups=groups, policy=criterion, batch_size=16
            )
    except ValueError as error:
        return {"refused": str(error).split(" Got ")[0]}
    return {
        "finite": float(np.isfinite(scores.value).mean()),
        "pulls": int(scores.n_pulls),
        "seconds": time.perf_counter() - start,
        "warnings": [str(w.message).split(":")[0] for w in said],
    }


def line(record: Record) -> str:
    """Return a record as a line to read."""
    said = record.get("refused") or f"{record['seconds']:6.1f} s, {record['finite']:.0%} finite {record['warnings']}"
    return f"{record['network']:14s} {record['criterion']:28s} {said}"


def page(records: Sequence[Record]) -> str:
    """Return the page of the records."""
    by_name: dict[str, dict[str, Record]] = {}
    for record in records:
        by_name.setdefault(record["criterion"], {})[record["network"]] = record
    rows = [[f"`{name}`", *(_cell(found[network]) for network in CASES)] for name, found in by_name.items()]
    return f"""# Criteria on deep networks

Made by `python -m benchmarks.deep report` of the [records](../../../benchmarks/records/deep/criteria.jsonl) of
`python -m benchmarks.deep criteria`.

Every policy (in a bandit) and every criterion on three functions that nothing was changed in: a convolutional network
with four groups (144 units), an LSTM with one (12 units) and a transformer with five (72 units); random weights, 32
rows. A cell says that all values were finite, after how many pulls, or what the criterion asked for, before any work,
that the network does not have. Criteria that train were given 20 steps.

{markdown(["criterion", *CASES], rows)}

`bmrs_n` and `bmrs_u` on filters are as in their paper: noise on the output of a whole filter, its scale learned.
"""


def _cell(record: Record) -> str:
    if "refused" in record:
        return "needs a network that " + record["refused"].split(" that ", 1)[-1].split(":")[0]
    finite = "" if record["finite"] == 1 else f", {record['finite']:.0%} finite"
    told = ", warns" if record["warnings"] else ""
    return (f"{record['pulls']} pulls" if record["pulls"] else "runs") + finite + told
