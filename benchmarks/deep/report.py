"""The page of the zoo, made of its records: ``python -m benchmarks.deep report``."""

from __future__ import annotations

import collections
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common.records import KEPT, Record, read
from benchmarks.common.tables import markdown, number

PAGE = Path("docs/results/deep/zoo.md")
OURS, THEIRS = KEPT / "deep" / "zoo.jsonl", KEPT / "deep" / "torch_zoo.jsonl"
#: Reasons that nobody would expect to be otherwise.
PLAIN_REASONS = ("an input", "an output", "the window", "one position", "an axis of size 1")
LONGEST_REASON = 60

PAGE_TEXT = """# What is found prunable: a zoo of networks

`skbandit.networks.infer_groups` is given each network as it is, in inference mode: no hint, no change. Values are
random; widths are those of the networks as published, images have 32 to 96 pixels.

{counts}

* *units*: all units of all groups; what a unit is depends on the group (a channel, a head, a unit of an LSTM).
* *prunable*: the share of parameters, and of multiply-accumulates (MACs) in products and convolutions, that would be
  gone if no unit were left. *left at half*: the shares that are left when half of every group is removed.
* *gated = smaller*: the largest difference, relative to the largest output, of the outputs with gates at 0 and those of
  the smaller function, where half of the units of every group is removed at random. *noise*: of the gated outputs
  before and after noise was put on everything that leaves.
* *seconds*: of JAX's own trace; of finding the groups (which traces too); of verifying them, which compiles three
  programs. {machine}

{networks}
{failed}
## What is refused

Axes of parameters by reason; inputs, outputs, windows of convolutions and single positions are left out.

{refused}

## Half of every group removed, against Torch-Pruning

The same architectures in PyTorch ([code](../../../benchmarks/deep/torch_models.py)), pruned by Torch-Pruning
{versions} as its README advises: magnitude importance, ratio 0.5, the output layer ignored. *as it is*: that call
alone. *with hints*: the number of heads is given for each projection, heads are removed, and the attributes of the
modules are set by hand afterwards. Ours: no hint; half of the units of each group. All columns say what is left; MACs
are counted by the same rule on both sides; that of a transposed convolution is larger in JAX, which computes it as a
convolution over zeros as well.

{against}

{verdict}

---

Records: [zoo.jsonl](../../../benchmarks/records/deep/zoo.jsonl),
[torch_zoo.jsonl](../../../benchmarks/records/deep/torch_zoo.jsonl). Made by `python -m benchmarks.deep zoo`,
`python -m benchmarks.deep torch_zoo` and `python -m benchmarks.deep report`.
"""


def main(out: Path | None = None) -> None:
    path = out or PAGE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(read(OURS), read(THEIRS)), encoding="utf-8")
    print(path)


def page(ours: Sequence[Record], theirs: Sequence[Record]) -> str:
    """Return the page."""
    found = [record for record in ours if "groups" in record]
    cpus = sorted({f"{record['cpu']}, {record['cores']} cores" for record in ours})
    return PAGE_TEXT.format(
        counts=_counts(ours, found),
        machine=f"Machine: {'; '.join(cpus)}, shared with other work: orders of magnitude.",
        networks=_networks(found),
        failed=_failed(ours),
        refused=_refused(found),
        versions=", ".join(sorted({record["torch-pruning"] for record in theirs})),
        against=_against(found, theirs),
        verdict=_verdict(found, theirs),
    )


def _counts(ours: Sequence[Record], found: Sequence[Record]) -> str:
    shipped = [record for record in found if record["package"]]
    packages = len({record["package"] for record in shipped})
    largest = max((record["compacted"] for record in found), default=0.0)
    noise = max((record["noise"] for record in found), default=0.0)
    return (
        f"Of {len(ours)} networks, groups are found in {len(found)}; {len(shipped)} of these are shipped by {packages} "
        f"packages that others wrote. The largest difference of gated and smaller is {largest:.0e}, that of noise "
        f"{noise:.0e}."
    )


def _name(record: Record) -> str:
    package = f"{record['package']} {record['version']}" if record["package"] else "written here"
    return f"{record['name']} ({package})"


def _networks(found: Sequence[Record]) -> str:
    header = ["network", "groups", "units", "parameters", "prunable", "MACs prunable", "left at half", "MACs"]
    rows = [
        [
            *(_name(record), str(record["groups"]), str(record["units"]), _short(record["parameters"])),
            *(f"{record['parameters_prunable']:.1%}", f"{record['macs_prunable']:.1%}", *_left(record)),
            *(f"{record['compacted']:.0e}", f"{record['noise']:.0e}"),
            " + ".join(number(record[f"seconds_{part}"], 2) for part in ("trace", "infer", "verify")),
        ]
        for record in found
    ]
    return markdown([*header, "gated = smaller", "noise", "seconds"], rows)


def _short(n: float) -> str:
    """Return a count with three digits."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            return f"{number(n / size)} {letter}"
    return f"{n:.0f}"


def _failed(ours: Sequence[Record]) -> str:
    lines = [
        f"* {_name(record)}: {record['failed'] if 'failed' in record else 'skipped: ' + record['skipped']}"
        for record in ours
        if "groups" not in record
    ]
    return "\n".join(["\nNot measured:\n", *lines, ""]) if lines else ""


def _refused(found: Sequence[Record]) -> str:
    counts: collections.Counter[str] = collections.Counter()
    networks: collections.defaultdict[str, list[str]] = collections.defaultdict(list)
    for record in found:
        for reason, n in record["refused"].items():
            if not reason.startswith(PLAIN_REASONS):
                short = reason if len(reason) <= LONGEST_REASON else reason[:LONGEST_REASON].rsplit(" ", 1)[0] + " …"
                counts[short] += n
                networks[short].append(f"{record['name']} ({n})")
    rows = []
    for reason, n in counts.most_common():
        names = networks[reason]
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        rows.append([reason, str(n), str(len(names)), ", ".join(names[:4]) + more])
    return markdown(["reason", "axes", "networks", "where"], rows)


def _against(found: Sequence[Record], theirs: Sequence[Record]) -> str:
    header = ["architecture", "ours: parameters", "MACs", "Torch-Pruning as it is: parameters", "MACs"]
    rows = []
    for architecture in dict.fromkeys(record["architecture"] for record in theirs):
        mine = next((record for record in found if record["architecture"] == architecture), None)
        left = _left(mine) if mine is not None else ["not measured", "-"]
        modes = {record["mode"]: record for record in theirs if record["architecture"] == architecture}
        hints = _theirs(modes["hints"]) if "hints" in modes else ["-", "-"]
        rows.append([architecture, *left, *_theirs(modes["plain"]), *hints])
    return markdown([*header, "with hints: parameters", "MACs"], rows)


def _left(record: Record) -> list[str]:
    return [f"{record[f'{what}_half'] / record[what]:.0%}" for what in ("parameters", "macs")]


def _theirs(record: Record) -> list[str]:
    if not record["runs"]:
        return [f"pruning fails: {_code(record['error'])}", "-"]
    if not record["forward"]:
        return [f"the smaller network fails: {_code(record['error'])}", "-"]
    if record["parameters_half"] == record["parameters"]:
        return ["nothing is pruned", "-"]
    return _left(record)


def _code(error: str) -> str:
    """Return an error as it may stand in a cell of a table."""
    return f"`{error.replace('|', '/')}`"


def _verdict(found: Sequence[Record], theirs: Sequence[Record]) -> str:
    def works(record: Record) -> bool:
        return bool(record["runs"] and record["forward"] and record["parameters_half"] < record["parameters"])

    names = list(dict.fromkeys(record["architecture"] for record in theirs))
    plain = {record["architecture"] for record in theirs if record["mode"] == "plain" and works(record)}
    hinted = {record["architecture"] for record in theirs if works(record)}
    mine = {record["architecture"] for record in found if record["parameters_half"] < record["parameters"]}
    same, both = _agreement(found, [record for record in theirs if works(record)])
    return (
        f"Of {len(names)} architectures, Torch-Pruning gives a smaller network that runs for {len(plain)} as it is and "
        f"for {len(hinted)} with hints; ours for {len(mine & set(names))}. Where both do, as many parameters are "
        f"left, to the digit, in {same} of {both}."
    )


def _agreement(found: Sequence[Record], theirs: Sequence[Record]) -> tuple[int, int]:
    """Count the architectures that both prune, and those of them with as many parameters left on both sides."""
    mine: dict[str, int] = {}
    for record in found:
        mine.setdefault(record["architecture"], record["parameters_half"])
    pairs = [(mine[record["architecture"]], record) for record in theirs if record["architecture"] in mine]
    return sum(n == record["parameters_half"] for n, record in pairs), len(pairs)
