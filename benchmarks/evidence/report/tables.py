"""The tables of the page that are no ranks: hypotheses, verdicts, gates, reliability, certified accuracy, protocols."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmarks.common.tables import markdown
from benchmarks.evidence.design import (
    ALPHA,
    CERTAINTY,
    CONTROLS,
    DECIMALS,
    FORMED_ON_SEEN,
    HYPOTHESES,
    PAPER,
    ROPES,
    SEEN,
    SEEN_PAIRS,
    Hypothesis,
)
from benchmarks.evidence.report import cells, ranks
from benchmarks.evidence.report.cells import METRIC_NAMES, Cell, Sheet, higher_is_better
from benchmarks.evidence.report.comparisons import DRAWS, Comparison
from benchmarks.evidence.report.reading import Evidence, Gate, published
from benchmarks.evidence.report.verdicts import NOTHING, CellVerdict, Secondary, Verdict, primary_cells
from skbandit import stats

RELATIONS = {
    "better": "{better} is better than {than}",
    "paired": "{paired}",
    "best": "the best of {better}, by its mean on the guard rows, is better than {than}",
    "equal": "{better} is practically equal to {than}",
    "first": "{better} has the best mean rank of {family}, none of which is better, and is better than {than}",
    "pulls": "{better} reaches a set regret of 0.05 with at most half the pulls of {than}",
}


def hypotheses_table() -> str:
    """Return the hypotheses as they were stated before the runs."""
    rows = [
        [
            hypothesis.name,
            hypothesis.claim,
            "; ".join(map(str, primary_cells(hypothesis))),
            how(hypothesis),
            hypothesis.source,
            _seen(hypothesis),
        ]
        for hypothesis in HYPOTHESES
    ]
    header = ["", "claim", "primary cells: suite, share removed, stage, score", "what is compared", "source"]
    return _left([*header, "seen before it was written down"], rows)


def _seen(hypothesis: Hypothesis) -> str:
    pairs = f"pairs {', '.join(map(str, SEEN_PAIRS))}, which are left out"
    return pairs if hypothesis.name in FORMED_ON_SEEN else SEEN.get(hypothesis.name, "nothing")


def how(hypothesis: Hypothesis) -> str:
    """Say which methods a hypothesis compares."""
    than = _any_of(hypothesis.than) if hypothesis.than else "each of the models of other libraries"
    family = ", ".join(hypothesis.ranked_among or hypothesis.family) or "all of them"
    paired = "; ".join(f"{a} is better than {b}" for a, b in zip(hypothesis.better, hypothesis.than, strict=False))
    listed = ", ".join(hypothesis.better)
    better = _any_of(hypothesis.better) if hypothesis.relation in ("better", "equal") else listed
    return RELATIONS[hypothesis.relation].format(better=better, than=than, family=family, paired=paired)


def _any_of(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"each of {', '.join(names)}"


def rules() -> str:
    """Say what the words of a verdict mean."""
    ropes = ", ".join(f"{rope:g} ({METRIC_NAMES[metric]})" for metric, rope in ROPES.items())
    ropes += "".join(f", and {one.rope:g} for {one.name}" for one in HYPOTHESES if one.rope is not None)
    points = (
        f"*Better*: p < {ALPHA:g} by Wilcoxon's signed-rank test, with Holm's correction within the family of the "
        f"hypothesis (all pairs of methods that it ranks), and P(better) > {CERTAINTY:g} by the Bayesian signed-rank "
        f"test, with a margin of {ropes}.",
        f"*Equal*: P(within the margin) > {CERTAINTY:g}.",
        "The difference must keep its sign when pairs are averaged for each data set and sets with a † are left out "
        "(*by data set* in the table).",
        "A claim is *confirmed* if all of its comparisons come out as claimed, *refuted* if one comes out as the "
        "opposite, or as equal where a difference is claimed, and *open* otherwise. A claim about several cells must "
        "hold in each of them.",
        f"Seeds are averaged first. A row of a test is a data set (tables) or a pair (deep), n counts them. Scores are "
        f"rounded to {DECIMALS} decimals.",
        "Differences are positive where *method* is better than *rival*, whatever the score. For H7 they are log₂ of "
        "pulls, beyond the half that is claimed.",
        f"*Power*: how often the test rejects, on the side of the median, in {DRAWS} tables of resampled rows.",
    )
    return "\n".join(f"- {point}" for point in points)


def _left(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# ---------------------------------------------------------------------- verdicts


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """Return a row for each deciding comparison of each primary cell."""
    header = ["", "cell", "verdict", "method", "rival", "n", "median difference", "95 % interval", "by data set"]
    header += ["p", "p (Holm)", "P(better)", "P(equal)", "power"]
    rows = []
    for verdict in verdicts:
        for cell in verdict.cells:
            row = [verdict.hypothesis.name, str(cell.cell), f"**{cell.text}**"]
            if not cell.deciding:
                rows.append([*row, *["-"] * (len(header) - len(row))])
            for comparison in cell.deciding:
                rows.append([*row, *_comparison(comparison)])
                row = ["", "", ""]
    return markdown(header, rows)


def _comparison(comparison: Comparison) -> list[str]:
    return [
        *(comparison.method, comparison.rival, f"{comparison.n} of {comparison.known}"),
        _signed(comparison.difference),
        f"{_signed(comparison.low)} to {_signed(comparison.high)}" if np.isfinite(comparison.low) else "-",
        _signed(comparison.sensitivity),
        *(f"{p:.2g}" if comparison.n else "-" for p in (comparison.p, comparison.holm)),
        *(_plain(value, "{:.2f}") for value in (comparison.better, comparison.equal, comparison.power)),
    ]


def _signed(value: float) -> str:
    return _plain(value, "{:+.3f}")


def _plain(value: float | None, form: str) -> str:
    return "-" if value is None or np.isnan(value) else form.format(value)


def verdict_notes(verdicts: Sequence[Verdict]) -> str:
    """Return what belongs to the verdicts: places, choices, pairs looked at before, and what is left out."""
    lines = []
    for verdict in verdicts:
        parts = [f"**{verdict.hypothesis.name}: {verdict.text}.**"]
        parts += [f"{verdict.hypothesis.remark}."] if verdict.hypothesis.remark else []
        lines.append(f"- {' '.join(parts)}")
        notes = {cell.cell: " ".join(filter(None, _notes(cell))) for cell in verdict.cells}
        lines += [f"  - *{cell}*: {text}" for cell, text in notes.items() if text]
    return "\n".join(lines)


def _notes(cell: CellVerdict) -> list[str]:
    """Return what belongs to the verdict in a cell."""
    parts = [f"{_upper(text)}." for text in (cell.place, cell.note) if text and text != NOTHING]
    parts += ["There is nothing to compare."] if cell.note == NOTHING else []
    parts += [_apart(cell.seen)] if cell.seen else []
    noun = cells.noun_of(cell.cell.suite)
    by_pairs: dict[tuple[str, ...], list[Comparison]] = {}
    for comparison in cell.deciding:
        by_pairs.setdefault(tuple(comparison.left_out), []).append(comparison)
    for pairs, comparisons in by_pairs.items():
        if pairs and len(comparisons) > 3:
            known, n = comparisons[0].known, len(pairs)
            of = f"{n} of {known} {cells.plural(known, noun)}"
            listed = ", ".join(pairs)
            parts.append(f"{of} left out of {len(comparisons)} comparisons, for want of records: {listed}.")
        else:
            missing = {cells.what_is_missing(c.left_out, c.known, noun): c for c in comparisons}
            parts += [f"{c.method}, {c.rival}: {text}" for text, c in missing.items() if text]
    return parts


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _apart(comparisons: Sequence[Comparison]) -> str:
    shown = [f"{c.method} over {c.rival} {_signed(c.difference)} (n = {c.n})" for c in comparisons if c.n and c.decides]
    return f"On the pairs looked at before, without a verdict: {'; '.join(shown)}." if shown else ""


def secondary_table(found: Sequence[Secondary]) -> str:
    """Return all secondary comparisons."""
    header = ["", "cell", "method", "rival", "n", "median difference", "p", "q"]
    rows = [
        [
            row.hypothesis,
            str(row.cell),
            row.method,
            row.rival,
            str(row.n),
            _signed(row.difference),
            f"{row.p:.2g}",
            f"{row.q:.2g}",
        ]
        for row in found
    ]
    return markdown(header, rows)


# ---------------------------------------------------------------------- networks


def gates_table(gates: Sequence[Gate]) -> str:
    """Return what dense networks should reach and what they did."""
    gates = [gate for gate in gates if np.isfinite(gate.gate) or not gate.ranked]
    header = ["pair", "data", "reference", "gate", "reached", "seeds", ""]
    rows = [
        [
            *(gate.pair, gate.data, gate.reference or "-", _plain(gate.gate, "{:.3f}"), _plain(gate.reached, "{:.3f}")),
            str(gate.n_seeds),
            ("" if gate.ranked else "rankings only") if gate.passed else "**missed**: not in the ranks",
        ]
        for gate in gates
    ]
    return markdown(header, rows)


def missed_sentence(evidence: Evidence) -> str:
    """Name the pairs that are left out for their dense networks."""
    missed = list(evidence.missed)
    if not missed:
        return "No dense network missed its gate."
    return f"Not trained well enough, and left out of all ranks and verdicts: {', '.join(missed)}."


def reliability_table(reliability: pd.DataFrame) -> str:
    """Return the split-half reliability of the exact damages of each pair, and what it means."""
    mean = reliability.groupby("pair")["value"].agg(["mean", "min", "max", "count"]).sort_values("mean")
    rows = [
        [str(pair), f"{row['mean']:.2f}", f"{row['min']:.2f} to {row['max']:.2f}", f"{int(row['count'])}"]
        for pair, row in mean.iterrows()
    ]
    low = [str(pair) for pair in mean.index[mean["mean"] < 0.5]]
    sentence = (
        f"Below 0.5 the exact ranking is mostly noise, and being near to it is no merit: {', '.join(low)}."
        if low
        else "It is 0.5 or more on all pairs."
    )
    return "\n\n".join([markdown(["pair", "rank correlation", "seeds from, to", "seeds"], rows), sentence])


def certified_table(certified: pd.DataFrame) -> str:
    """Return certified accuracies by method and radius: means over networks that have all methods, seeds first."""
    keys = ["method", "ratio", "epsilon"]
    seeds = certified.groupby(["pair", *keys], dropna=False, sort=False)[
        ["certified", "certified_ibp", "attacked", "clean", "unstable"]
    ].mean()
    parts = []
    table = seeds.reset_index()
    for ratio in sorted(table["ratio"].dropna().unique()):
        rows = table[(table["ratio"] == ratio) | table["ratio"].isna()]
        n_pairs = rows.groupby("method")["pair"].nunique()
        full = [method for method in n_pairs.index if n_pairs[method] == n_pairs.max()]
        own = rows[rows["method"].isin(full)]
        radii = sorted(own["epsilon"].unique())
        means = own.groupby(["method", "epsilon"])[
            ["certified", "certified_ibp", "attacked", "clean", "unstable"]
        ].mean()
        clean = own.groupby("method")["clean"].mean()
        order = means["certified"].groupby(level=0).mean().sort_values(ascending=False).index
        header = ["method", "clean", *(f"CROWN {_radius(e)}" for e in radii)]
        header += [f"{what} {_radius(e)}" for what in ("PGD", "IBP", "unstable") for e in radii]
        body = [
            [
                f"*{method}*" if method in CONTROLS else str(method),
                _plain(clean[method], "{:.3f}"),
                *(
                    _plain(means[column].get((method, e), np.nan), "{:.3f}")
                    for column in ("certified", "attacked", "certified_ibp", "unstable")
                    for e in radii
                ),
            ]
            for method in order
        ]
        few = [f"{method} ({n_pairs[method]})" for method in n_pairs.index if method not in full]
        note = f"Means over {int(n_pairs.max())} networks, {ratio:g} of the units removed."
        note += f" On fewer networks, not shown: {', '.join(few)}." if few else ""
        parts += [markdown(header, body), note]
    return "\n\n".join(parts)


def _radius(epsilon: float) -> str:
    """Return a radius in the units of image values where it is one."""
    steps = epsilon * 255
    return f"{round(steps)}/255" if epsilon < 0.2 and abs(steps - round(steps)) < 1e-6 else f"{epsilon:g}"


# ---------------------------------------------------------------------- protocols


#: Columns of the table of protocols: protocol, stage, part of the rows, and the end of the methods' names.
PROTOCOLS = {
    "controlled, raw": ("paired", "raw", "report", ""),
    "controlled, tuned": ("paired", "tuned", "report", ""),
    "2017": ("2017", "raw", "report", ""),
    "2017, by mean reward": ("2017", "raw", "report", "_by_mean"),
    "2017, on fresh rows": ("2017", "raw", "fresh", ""),
    "2017, one unit for UCB1": ("2017", "raw", "report", "_one_unit"),
}


def protocols_table(evidence: Evidence) -> str:
    """Return the mean ranks of the paper's policies under both protocols, and with each confound of 2017 alone."""
    parts = []
    other = published(evidence, "2017")
    for suite, task, metric in ranks.suites(other):
        pairs = set(other.suite_rows(suite, task)["pair"])
        for ratio in ranks.ratios(other, suite, task):
            columns: dict[str, tuple[dict[str, float], int]] = {}
            for name, (protocol, stage, part, end) in PROTOCOLS.items():
                sheet = published(evidence, protocol).sheet(Cell(suite, ratio, stage, metric, task), part)
                found = _policy_ranks(sheet, pairs, end, metric)
                if found is not None:
                    columns[name] = found
            if not any(name.startswith("2017") for name in columns):
                continue
            rows = [[policy, *(_plain(of.get(policy), "{:.2f}") for of, _ in columns.values())] for policy in PAPER]
            rows.append(["place of UCB1", *(_place(of) for of, _ in columns.values())])
            rows.append(["n", *(str(n) for _, n in columns.values())])
            head = f"Mean ranks, {suite} {task}, {ratio:.0%} of the units removed, data sets with records of 2017:"
            parts += [head, markdown(["policy", *columns], rows)]
    return "\n\n".join(parts)


def _policy_ranks(sheet: Sheet | None, pairs: set[str], end: str, metric: str) -> tuple[dict[str, float], int] | None:
    """Return the mean ranks of the paper's policies, with an end to the names of those that have such a variant."""
    if sheet is None:
        return None
    sheet = sheet.only(pairs)
    names = {policy: policy + end if policy + end in sheet.means else policy for policy in PAPER}
    there = {policy: name for policy, name in names.items() if name in sheet.means}
    if len(there) < 2 or (end and not any(name.endswith(end) for name in there.values())):
        return None
    table = sheet.table(list(there.values())).scores
    if table.empty:
        return None
    found = stats.mean_ranks(table, higher_is_better=higher_is_better(metric), decimals=DECIMALS).mean_ranks
    return dict(zip(there, found.tolist(), strict=True)), len(table)


def _place(of: dict[str, float]) -> str:
    return f"{1 + sum(rank < of['ucb1'] for rank in of.values())} of {len(of)}" if "ucb1" in of else "-"


def errors_table(errors: pd.DataFrame) -> str:
    """Return what failed, counted."""
    rows = []
    for (suite, kind, method, error), pairs in errors.groupby(["suite", "kind", "method", "error"], sort=False)["pair"]:
        said = str(error).replace("|", "/").replace("\n", " ")[:120]
        rows.append([suite, kind, method or "-", str(len(pairs)), ", ".join(sorted(set(pairs))), said])
    return _left(["suite", "cell", "method", "records", "where", "error"], rows)
