"""What is found prunable in each network of the zoo: ``python -m benchmarks.deep zoo``.

For each network: groups and units, the share of parameters and of multiply-accumulates (MACs) that would be gone if no
unit were left, what is refused and why, the differences that `skbandit.networks.infer_groups` measured, seconds, and
parameters and MACs with half of each group removed. Nothing in the networks is changed, and no hint is given.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks.common.machine import cpu_model, missing, n_cores, versions
from benchmarks.common.records import KEPT, Record
from benchmarks.deep.architectures import OWN
from benchmarks.deep.networks import Entry, Network
from benchmarks.deep.shipped import SHIPPED
from skbandit.networks import Groups, TracedNetwork, Variables, infer_groups

OUT = KEPT / "deep" / "zoo.jsonl"
ENTRIES = (*OWN, *SHIPPED)
#: Distributions of the packages that are not called as their modules are.
DISTRIBUTIONS = {"haiku": "dm-haiku", "mamba2_jax": "mamba2-jax", "jax_models": "jax-models"}
#: Share of each group that is removed, as `benchmarks.deep.torch_zoo` does.
RATIO = 0.5
#: Axes that nobody would expect to be prunable.
NOT_TOLD = ("an input", "an output", "the window", "one position", "an axis of size 1")
MOST_TOLD = 8


def key(record: Record) -> tuple[Any, ...]:
    """What tells one network from another."""
    return record["name"], record["package"]


def run(names: Sequence[str] = ()) -> Iterator[Record]:
    """Make the record of each network whose name, or package, is given; of all by default."""
    common = {"jax": jax.__version__, "cpu": cpu_model(), "cores": n_cores()}
    for entry in ENTRIES:
        if names and not {entry.name, entry.package} & set(names):
            continue
        package: str | None = DISTRIBUTIONS.get(entry.package, entry.package) if entry.package else None
        start = {"name": entry.name, "package": package, "architecture": entry.architecture}
        start["version"] = versions([package]).get(package) if package else None
        yield start | common | outcome(entry)
        jax.clear_caches()


def outcome(entry: Entry) -> Record:
    """Return what is found in a network, or why nothing is."""
    absent = missing(*filter(None, (entry.package, *entry.needs)))
    if absent is not None:
        return {"skipped": absent.removeprefix("skipped: ")}
    try:
        network = entry.make()
    except Exception as error:
        return {"failed": f"the package's own error: {first_line(error)}"}
    try:
        return measure(network)
    except Exception as error:
        return {"failed": first_line(error)}


def first_line(error: Exception) -> str:
    """Return the class of an error and the first line of its text."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def measure(network: Network) -> Record:
    """Return what is found in a network."""
    trace, _ = seconds_of(lambda: jax.make_jaxpr(network.apply)(*network.arguments))
    infer, _ = seconds_of(lambda: groups_of(network, verify=False))
    verify, groups = seconds_of(lambda: groups_of(network, verify=True))
    verified = groups.verified
    rows = network.example[0].shape[0]
    traced = TracedNetwork.of(network.apply, groups, _loss, network.params, network.example, network.state)
    none, half = ([0 * n for n in groups.sizes], [n - int(RATIO * n) for n in groups.sizes])
    macs = [float(traced.n_macs(widths)) for widths in (groups.sizes, none, half)]
    parameters = n_parameters(network.params)
    return {
        "parameters": parameters,
        "macs": macs[0],
        "rows": rows,
        "groups": len(groups.groups),
        "units": groups.n_units,
        "sizes": list(groups.sizes),
        "parameters_prunable": 1 - left_over(groups, network) / parameters,
        "macs_prunable": 1 - macs[1] / macs[0],
        "parameters_half": n_parameters(compact(groups, network, half)),
        "macs_half": macs[2],
        "identity": verified.identity,
        "compacted": verified.compacted,
        "noise": verified.noise,
        "refused": dict(collections.Counter(refusal.reason for refusal in groups.refused)),
        "told": told(groups),
        "seconds_trace": trace,
        "seconds_infer": infer,
        "seconds_verify": verify - infer,
    }


def groups_of(network: Network, verify: bool) -> Groups:
    return infer_groups(network.apply, network.params, *network.example, state=network.state, verify=verify)


def seconds_of(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of one call, and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def _loss(outputs: Any, y: Any) -> Any:
    """Stands for a loss where none is computed."""
    return outputs


def n_parameters(params: Any) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params))


def left_over(groups: Groups, network: Network) -> int:
    """Count the parameters that belong to no unit."""
    stays: dict[Any, dict[int, np.ndarray]] = {}
    for group in groups.groups:
        for s in group.slices:
            size = np.shape(s.of(_variables(network)))[s.axis]
            mask = stays.setdefault(s.path, {}).setdefault(s.axis, np.ones(size, bool))
            mask &= False if s.labels is None else np.asarray(s.labels) < 0
    prefix = () if network.state is None else ("params",)
    total = 0
    for path, leaf in jax.tree_util.tree_flatten_with_path(network.params)[0]:
        shape = list(leaf.shape)
        for axis, mask in stays.get((*prefix, *map(_plain_key, path)), {}).items():
            shape[axis] = int(mask.sum())
        total += int(np.prod(shape))
    return total


def _plain_key(key: Any) -> Any:
    """Return a key of a path as `skbandit.networks.Slice` writes it."""
    return next(getattr(key, name) for name in ("key", "idx", "name") if hasattr(key, name))


def _variables(network: Network) -> Any:
    """Parameters and state, as groups are of them."""
    return network.params if network.state is None else Variables(network.params, network.state)


def compact(groups: Groups, network: Network, widths: Sequence[int]) -> Any:
    """Return the parameters with so many units left in each group, without their values."""
    shapes = jax.tree.map(lambda leaf: np.broadcast_to(np.zeros((), "int8"), leaf.shape), _variables(network))
    small = groups.compact(shapes, [np.arange(n) for n in widths])
    return small if network.state is None else small.params


def told(groups: Groups) -> list[str]:
    """Return a line for the first axes that are refused, less those that nobody would expect to be prunable."""
    lines = []
    for refusal in groups.refused:
        if refusal.reason.startswith(NOT_TOLD):
            continue
        place = Path(refusal.source).name
        lines.append(
            f"{'.'.join(map(str, refusal.path))}[{refusal.axis}] ({refusal.size}): {refusal.reason}"
            + (f", {place}" if place else "")
        )
    return lines[:MOST_TOLD]


def line(record: Record) -> str:
    """Return a record as a line for the terminal."""
    name = f"{record['name']} ({record['package'] or 'written here'})"
    if "groups" not in record:
        return f"{name:40s} {record.get('skipped') or record['failed']}"
    return (
        f"{name:40s} {record['groups']:3d} groups {record['units']:6d} units  parameters "
        f"{record['parameters_prunable']:4.0%}  MACs {record['macs_prunable']:4.0%}  gated = smaller "
        f"{record['compacted']:.0e}  noise {record['noise']:.0e}  {record['seconds_trace']:.1f} s + "
        f"{record['seconds_infer']:.1f} s + {record['seconds_verify']:.0f} s"
    )
