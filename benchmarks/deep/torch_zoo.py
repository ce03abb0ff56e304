"""The zoo's architectures in PyTorch, pruned by Torch-Pruning: ``python -m benchmarks.deep torch_zoo``.

As its README advises: `BasePruner` with `GroupMagnitudeImportance`, half of the channels of each group, the output
layer ignored. Each network is pruned twice: ``plain`` is that call alone; ``hints`` is with the number of heads of each
projection given, whole heads removed, and the attributes of the modules set by hand afterwards. Networks without such
hints have one record. MACs are counted in both, before and after, by PyTorch's counter of operations.
"""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.common.machine import cpu_model, missing, n_cores, versions
from benchmarks.common.records import KEPT, Record

OUT = KEPT / "deep" / "torch_zoo.jsonl"
RATIO = 0.5


def key(record: Record) -> tuple[Any, ...]:
    """What tells one network from another."""
    return record["architecture"], record["mode"]


def run(names: Sequence[str] = ()) -> Iterator[Record]:
    """Make the records of each architecture that is named; of all by default."""
    absent = missing("torch", "torch_pruning")
    if absent is not None:
        raise SystemExit(absent)
    import torch

    from benchmarks.deep.torch_models import PEERS

    common = versions(["torch", "torch-pruning"]) | {"cpu": cpu_model(), "cores": n_cores()}
    for architecture, make in PEERS.items():
        if names and architecture not in names:
            continue
        torch.manual_seed(0)
        modes = ("plain", "hints") if make().heads else ("plain",)
        for mode in modes:
            torch.manual_seed(0)
            yield {"architecture": architecture, "mode": mode} | common | measure(make(), mode == "hints")


def measure(peer: Any, hints: bool) -> Record:
    """Prune a network; return sizes before and after, and whether pruning and the smaller network run."""
    import torch

    peer.model.eval()
    with torch.no_grad():
        shape = peer.model(peer.example).shape
    record: Record = {"parameters": n_parameters(peer.model), "macs": n_macs(peer.model, peer.example)}
    start = time.perf_counter()
    try:
        heads = prune(peer, hints)
        if hints:
            peer.after(heads)
    except Exception as error:
        return record | {"runs": False, "error": first_line(error), "seconds": time.perf_counter() - start}
    record |= {"runs": True, "seconds": time.perf_counter() - start}
    try:
        with torch.no_grad():
            outputs = peer.model(peer.example)
        record["forward"] = outputs.shape == shape
        if not record["forward"]:
            record["error"] = f"outputs of shape {tuple(outputs.shape)} in place of {tuple(shape)}"
    except Exception as error:
        return record | {"forward": False, "error": first_line(error)}
    return record | {"parameters_half": n_parameters(peer.model), "macs_half": n_macs(peer.model, peer.example)}


def prune(peer: Any, hints: bool) -> dict[Any, int]:
    """Remove half of the channels in place; return the heads that are left."""
    import torch_pruning

    options: dict[str, Any] = {}
    if hints:
        options = {"num_heads": dict(peer.heads), "prune_num_heads": True, "prune_head_dims": False}
        options["head_pruning_ratio"] = RATIO
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pruner = torch_pruning.pruner.BasePruner(
            peer.model,
            peer.example,
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=RATIO,
            ignored_layers=list(peer.last),
            **options,
        )
        pruner.step()
    return dict(pruner.num_heads)


def n_parameters(model: Any) -> int:
    """Count parameters, shared ones once."""
    return sum(parameter.numel() for parameter in model.parameters())


def n_macs(model: Any, example: Any) -> float:
    """Count the multiply-accumulates of a row in products and convolutions."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    # Attention and recurrent layers in the small operations that the counter knows.
    with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH), counter:
        model.train()(example)
    model.eval()
    return counter.get_total_flops() / 2 / example.shape[0]


def first_line(error: Exception) -> str:
    """Return the class of an error and the first line of its text; without a text, the line of code."""
    lines = str(error).strip().splitlines() or [traceback.extract_tb(error.__traceback__)[-1].line or ""]
    return f"{type(error).__name__}: {lines[0]}"


def line(record: Record) -> str:
    """Return a record as a line for the terminal."""
    name = f"{record['architecture']:26s} {record['mode']:6s}"
    if not record.get("forward"):
        what = "the smaller network fails" if record["runs"] else "pruning fails"
        return f"{name} {what}: {record['error']}"
    return (
        f"{name} parameters {record['parameters']:9d} -> {record['parameters_half']:9d}  MACs {record['macs']:.3g} -> "
        f"{record['macs_half']:.3g}  {record['seconds']:.1f} s"
    )
