"""The page: ``python -m benchmarks.evidence report FILE... [--out DIR]``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.evidence import bmrs
from benchmarks.evidence.design import APART, STAGES
from benchmarks.evidence.design import DRAWS as DRAWN
from benchmarks.evidence.report import advice, defaults, figures, later, price, ranks, rounds, tables
from benchmarks.evidence.report.cells import STAGE_NAMES, Book, Cell, plural
from benchmarks.evidence.report.comparisons import DRAWS
from benchmarks.evidence.report.reading import Evidence, published, read
from benchmarks.evidence.report.verdicts import secondary, verdicts

PAGE = Path("docs/results/evidence")
#: What the words of the page mean, and which methods are left out, and why.
WORDS, NOT_RANKED = (Path(__file__).with_name(name) for name in ("words.md", "not_ranked.md"))
NO_RECORDS = "There are no records for this part."
#: Where critical-difference diagrams are drawn.
DIAGRAMS = (
    Cell("tabular", 0.5, "tuned", "accuracy"),
    Cell("tabular", 0.5, "tuned", "r2", "regression"),
    Cell("deep", 0.5, "tuned", "accuracy"),
    Cell("deep", 0.9, "tuned", "accuracy"),
)


def write(evidence: Evidence, out: Path, files: Sequence[Path] = (), draws: int = DRAWS) -> Path:
    """Write the page and its figures, and return the path of the page."""
    out.mkdir(parents=True, exist_ok=True)
    found = verdicts(evidence, draws)
    book = published(evidence)
    sections: list[tuple[str, Callable[[], str]]] = [
        ("Hypotheses", lambda: f"{WORDS.read_text(encoding='utf-8')}\n{tables.hypotheses_table()}\n\n{tables.rules()}"),
        (
            "Verdicts",
            lambda: f"{tables.verdict_table(found)}\n\n{tables.verdict_notes(found)}\n\n{_secondary(evidence, out)}",
        ),
        ("What to use when", lambda: advice.advice(evidence, found)),
        ("Mean ranks", lambda: _ranks(book)),
        ("Critical differences", lambda: _diagrams(book, out)),
        ("Score against the share removed", lambda: _against_share(book, out)),
        ("Score and set regret against pulls", lambda: _against_pulls(evidence, out)),
        ("Methods that were added later", lambda: later.section(evidence)),
        ("The price of a choice", lambda: price.section(evidence, out)),
        ("The default of skbandit.prune", lambda: defaults.section(evidence)),
        ("The default policy of the estimators", lambda: rounds.section(evidence)),
        ("Score against latency and parameters", lambda: _pareto(book, evidence, out)),
        ("Reliability of exact damages", lambda: _reliability(evidence)),
        ("Dense networks", lambda: _gates(evidence)),
        ("Certified accuracy", lambda: tables.certified_table(evidence.certified) if len(evidence.certified) else ""),
        ("The protocol of 2017", lambda: tables.protocols_table(evidence)),
        ("BMRS's own experiment", lambda: bmrs.section([r for r in evidence.records if r.get("kind") == "bmrs"])),
        ("Methods that are not ranked", lambda: NOT_RANKED.read_text(encoding="utf-8").strip()),
        ("Failed", lambda: tables.errors_table(evidence.errors) if len(evidence.errors) else "Nothing."),
    ]
    parts = ["# Evidence", _setting(evidence)]
    parts += [f"## {number}. {title}\n\n{body() or NO_RECORDS}" for number, (title, body) in enumerate(sections)]
    if files:
        links = [f"[{path.name}]({Path(os.path.relpath(path, out)).as_posix()})" for path in files]
        parts.append(f"Records: {', '.join(links)}.")
    path = out / "README.md"
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path


def _setting(evidence: Evidence) -> str:
    """Say what the records are of."""
    lines = ["Methods of choosing the units to remove, compared on equal terms (`python -m benchmarks.evidence`)."]
    last = evidence.records[-1].get("versions") or {}
    controlled = evidence.scores[evidence.scores["protocol"] == "paired"]
    counts = controlled.groupby(["suite", "task"])
    for (suite, task), rows in counts:
        of = rows[~rows["standard"]]
        there = published(evidence).suite(suite, task)
        counted = there.repeats[False] if there is not None else frozenset()
        bare = of["pair"].isin(evidence.only_rankings)
        extra = f" (and {of.loc[bare, 'pair'].nunique()} for rankings only)" if bare.any() else ""
        of = of[~bare]
        repeats, fewer = len(counted), of["repeat"].nunique() - len(counted)
        also = f" (and {fewer} that fewer than half of them have, which counts nowhere)" if counted and fewer else ""
        lines.append(
            f"- {suite}, {task}: {of['pair'].nunique()} pairs{extra} on {of['data'].nunique()} data sets, "
            f"{repeats} {plural(repeats, 'repeat')}{also}, {of['method'].nunique()} methods and controls."
        )
    cpus = sorted({str(record["cpu"]) for record in evidence.records if record.get("cpu")})
    if cpus:
        lines.append(f"- Machines: {'; '.join(cpus)}.")
    if last:
        lines.append(
            f"- Versions (of the last record): {', '.join(f'{name} {value}' for name, value in last.items())}."
        )
    return lines[0] + "\n\n" + "\n".join(lines[1:])


def _secondary(evidence: Evidence, out: Path) -> str:
    rows = secondary(evidence)
    if not rows:
        return "There are no records of secondary cells."
    path = out / "secondary.md"
    text = (
        "The comparisons of the hypotheses in all cells but the primary ones: no verdict is read on them. p by "
        "Wilcoxon's test, q by Benjamini and Hochberg's procedure over all of them."
    )
    path.write_text(f"# Secondary cells\n\n{text}\n\n{tables.secondary_table(rows)}\n", encoding="utf-8")
    low = sum(row.q < 0.05 for row in rows)
    return (
        f"Of {len(rows)} comparisons in [secondary cells]({path.name}), {low} have q < 0.05 (Benjamini and Hochberg's; "
        "the difference may have either sign)."
    )


def _ranks(book: Book) -> str:
    parts = []
    for scope in ("layer", "global"):
        for suite, task, metric in ranks.suites(book):
            name = f"tabular {task}" if suite == "tabular" else suite
            for ratio in ranks.ratios(book, suite, task):
                table = ranks.rank_table(book, suite, task, metric, ratio, scope)
                if table:
                    where = "" if scope == "layer" else ", all layers together"
                    parts.append(f"### {name}, {ratio:.0%} of the units removed{where}\n\n{table}")
                    of = ranks.shares(book, suite, task, metric, ratio, scope)
                    counted = [name for name in of if name not in (ranks.CHANCE, *APART)]
                    sentence = ranks.share_sentence(of, counted)
                    parts += [sentence] if sentence else []
    if not parts:
        return ""
    about = (
        "Rank 1 is the best; controls are in italics and are ranked with the methods. *Choice*: raw score over that of "
        "a random choice; *repair*: repaired over raw; *tuning*: tuned over repaired, or over raw without repair. Raw "
        f"scores of `random`, and those of the paper's policies and `uniform` at 75 %, are means of {DRAWN} "
        "repetitions; others are of one. Methods that have a section of their own below are not in these tables."
    )
    return "\n\n".join([about, *parts])


def _diagrams(book: Book, out: Path) -> str:
    parts = []
    for cell in DIAGRAMS:
        for test, name in (("wilcoxon-holm", "wilcoxon"), ("nemenyi", "nemenyi")):
            path = out / f"critical_difference_{_slug(cell)}_{name}.png"
            n, missing = figures.critical_difference(book, cell, path, test)
            if n:
                what = (
                    "critical differences (Nemenyi)"
                    if name == "nemenyi"
                    else "groups that Wilcoxon's test does not tell apart"
                )
                parts.append(f"{cell}, {what}, n = {n}. {missing}".strip())
                parts.append(f"![{what}]({path.name})")
    return "\n\n".join(parts)


def _slug(cell: Cell) -> str:
    suite = f"tabular_{cell.task}" if cell.suite == "tabular" else cell.suite
    return f"{suite}_{100 * cell.ratio:.0f}_{cell.stage}"


def _against_share(book: Book, out: Path) -> str:
    parts = []
    for stage in STAGES:
        path = out / f"score_against_share_{stage}.png"
        n = figures.against_share(book, Cell("deep", 0.5, stage, "accuracy"), path)
        if n:
            name = STAGE_NAMES.get(stage, stage)
            dashed = "" if stage.startswith("tuned") else "; scratch as it is trained"
            parts.append(f"Accuracy, {name}: means over seeds, bands from the least to the largest one{dashed}.")
            parts.append(f"![accuracy against the share of units removed, {name}]({path.name})")
    return "\n\n".join(parts)


def _against_pulls(evidence: Evidence, out: Path) -> str:
    parts = []
    for name, cell, regret in (
        ("score", Cell("deep", 0.5, "raw", "accuracy"), False),
        ("log_loss", Cell("deep", 0.5, "raw", "log_loss"), False),
        ("regret", Cell("deep", 0.5, "raw", "regret"), True),
    ):
        path = out / f"{name}_against_pulls.png"
        if figures.against_pulls(evidence, cell, path, regret):
            parts.append(f"![{name.replace('_', ' ')} against pulls per unit]({path.name})")
        else:
            parts.append(
                f"There are no records of {'set regret' if regret else name.replace('_', ' ')} at several budgets."
            )
    if not any(part.startswith("!") for part in parts):
        return ""
    about = (
        "Means over seeds, bands from the least to the largest one. Accuracy and log loss are of the seeds that have "
        "all budgets of a policy, which may be one; regrets of all seeds."
    )
    return "\n\n".join([about, *parts])


def _pareto(book: Book, evidence: Evidence, out: Path) -> str:
    parts = []
    timed = [r for r in evidence.records if r.get("latency_ms") and r.get("suite") == "deep"]
    loads = [r["load"] for r in timed if r.get("load") is not None]
    cpus = sorted({str(r.get("cpu")).partition(",")[0] for r in timed})
    if loads:
        parts.append(
            f"Latencies were measured at a load average of {min(loads):.1f} to {max(loads):.1f}. Where it is more than "
            "the number of cores, other work slows them, and not all alike."
            + (f" Seeds ran on {len(cpus)} kinds of processors: {'; '.join(cpus)}." if len(cpus) > 1 else "")
        )
    for column, label in (("latency_256", "ms for 256 rows"), ("parameters", "parameters")):
        path = out / f"score_against_{column}.png"
        if figures.pareto(book, Cell("deep", 0.5, "tuned", "accuracy"), path, column, label):
            parts.append(f"![accuracy against {label}]({path.name})")
    return "\n\n".join(parts) if any(part.startswith("!") for part in parts) else ""


def _reliability(evidence: Evidence) -> str:
    if evidence.reliability.empty:
        return ""
    about = "Rank correlation of the damages of all units, measured on two halves of the rows."
    return f"{about}\n\n{tables.reliability_table(evidence.reliability)}"


def _gates(evidence: Evidence) -> str:
    if not evidence.gates:
        return ""
    return f"{tables.gates_table(evidence.gates)}\n\n{tables.missed_sentence(evidence)}"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence report", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.jsonl")
    parser.add_argument("--out", type=Path, default=PAGE, metavar="DIR", help="text and figures (default: %(default)s)")
    args = parser.parse_args(argv)
    absent = [str(path) for path in args.files if not path.exists()]
    if absent:
        parser.error(f"there is no file {', '.join(absent)}")
    evidence = read(args.files)
    if not evidence.records:
        raise SystemExit("There is no record.")
    print(f"wrote {write(evidence, args.out, args.files)}")
