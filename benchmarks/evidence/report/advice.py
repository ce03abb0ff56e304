"""What to use when: sentences that the figures choose. No number of them is written by hand."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.evidence.design import CONTROLS
from benchmarks.evidence.report import cells, ranks
from benchmarks.evidence.report.cells import METRIC_NAMES, Book, Cell
from benchmarks.evidence.report.comparisons import LEAST, Two, compare
from benchmarks.evidence.report.reading import Evidence, published
from benchmarks.evidence.report.verdicts import CellVerdict, Verdict


class Question(NamedTuple):
    """What a user asks, and the hypothesis that answers it."""

    text: str
    hypothesis: str
    confirmed: str
    refuted: str
    open: str


#: The answers to a claim that is confirmed, refuted and open.
QUESTIONS = (
    Question(
        "Is the best bandit better than a random choice and than magnitude?",
        "H5",
        "Yes.",
        "No: at this share of units removed, one of the two does as well once the network is tuned.",
        "Not shown for both.",
    ),
    Question(
        "Which of the paper's policies?",
        "H4",
        "Any: at 8 pulls they are equal to uniform sampling, which needs no setting.",
        "It matters which: at least one differs from uniform sampling. See `random` beside them before you take one.",
        "No difference from uniform sampling is shown, and no equality.",
    ),
    Question(
        "Do adaptive pulls save time?",
        "H7",
        "Yes: `racing` needs at most half the pulls of uniform sampling.",
        "No: `racing` does not halve the pulls of uniform sampling.",
        "Not shown either way.",
    ),
    Question(
        "Rank once, or again after each tenth?",
        "H6",
        "Again: it costs no more forward rows than one exact ranking.",
        "Once: scoring again is not better than one exact ranking.",
        "Not shown either way.",
    ),
    Question(
        "Rank by the mean of damages, or by their root mean square?",
        "H10",
        "By the root mean square (`rank_by='rms'`), with the same pulls.",
        "By the mean: the root mean square is not better throughout.",
        "Not shown in all cells.",
    ),
    Question(
        "Prune, or train a small network from scratch?",
        "H8",
        "Prune and tune.",
        "Train the small shape from scratch if the shape is known: pruning is not better at equal total epochs.",
        "Not shown either way: if the shape is known, training it from scratch is the simpler choice.",
    ),
    Question(
        "Does pruning make networks more robust, as certified?",
        "H9",
        "Yes, over both the dense network and the small one from scratch. The table of certified accuracy shows what "
        "removing random units gains, and whether accuracy under attack rises.",
        "No: not over both the dense network and the small one from scratch.",
        "Not shown either way.",
    ),
)

#: Claims of the paper.
PAPER_CLAIMS = ("H1", "H2", "H3")


def advice(evidence: Evidence, verdicts: list[Verdict]) -> str:
    """Return the page of advice."""
    by_name = {verdict.hypothesis.name: verdict for verdict in verdicts}
    book = published(evidence)
    lines = [f"- **{question.text}** {_answer(question, by_name[question.hypothesis])}" for question in QUESTIONS]
    lines += [line for suite in ranks.suites(book) for line in _methods(book, *suite)]
    spread = _spread(book)
    lines += ["- **Is the choice visible after tuning?**", *(f"  - {line}" for line in spread)] if spread else []
    worth = [
        f"- {name}, {_claim(by_name[name])}: **{by_name[name].text}**.{_detail(by_name[name])}" for name in PAPER_CLAIMS
    ]
    return "\n".join([*lines, "", "What the paper's claims are worth here:", "", *worth])


def _answer(question: Question, verdict: Verdict) -> str:
    answers = {"confirmed": question.confirmed, "refuted": question.refuted, "open": question.open}
    text = verdict.text
    said = answers[verdict.verdict] if not text.startswith("open:") else "There are too few records to say."
    return f"{said} ({verdict.hypothesis.name} {text}{_numbers(verdict)})".strip()


def _numbers(verdict: Verdict) -> str:
    """Return the verdict of each cell, with the comparison that it hangs on."""
    if verdict.text.startswith("open:"):
        return ""
    return "".join(f"; {_number(verdict, cell)}" for cell in verdict.cells)


def _number(verdict: Verdict, cell: CellVerdict) -> str:
    suite = f"tables, {cell.cell.task}" if cell.cell.suite == "tabular" else cell.cell.suite
    text = f"{suite}, {cell.cell.ratio:.0%}, {cells.STAGE_NAMES.get(cell.cell.stage, cell.cell.stage)}: "
    text += cell.text if len(verdict.cells) > 1 or cell.text.startswith("open:") else ""
    enough = [comparison for comparison in cell.deciding if comparison.n >= LEAST]
    if enough:
        # The one that the verdict hangs on: the least advantage; for equality the least probability.
        is_equality = verdict.hypothesis.relation == "equal"
        telling = min(enough, key=lambda comparison: comparison.equal if is_equality else comparison.difference)
        unit = "octaves beyond half the pulls" if cell.cell.metric == "regret" else METRIC_NAMES[cell.cell.metric]
        text += ", " if not text.endswith(": ") else ""
        text += f"`{telling.method}` over `{telling.rival}` {telling.difference:+.3f} {unit}, "
        text += f"P(equal) {telling.equal:.2f}" if is_equality else f"p {telling.holm:.2g}"
        text += f", n {telling.n}"
    return text


def _claim(verdict: Verdict) -> str:
    claim = verdict.hypothesis.claim
    return claim[0].lower() + claim[1:] if not claim[:3].isupper() else claim


def _detail(verdict: Verdict) -> str:
    places = "; ".join(cell.place for cell in verdict.cells if cell.place)
    return f" {places[0].upper()}{places[1:]}." if places else ""


# ---------------------------------------------------------------------- which method


def _methods(book: Book, suite: str, task: str, metric: str) -> list[str]:
    """Name the best method of a suite at each ratio, after tuning, and those that no test tells from it."""
    lines = []
    for ratio in ranks.ratios(book, suite, task):
        cell = Cell(suite, ratio, "tuned", metric, task)
        found = ranks.ranked(book, cell)
        name = f"tables, {task}" if suite == "tabular" else f"{suite} networks"
        head = f"- **{name[0].upper()}{name[1:]}, {ratio:.0%} of the units removed, tuned:**"
        if found is None:
            continue
        methods = [name for name in found.ranks if name not in CONTROLS]
        if found.n < LEAST or len(methods) < 2:
            known = found.table.known
            lines.append(f"{head} open: {found.n} of {known} {cells.plural(known, cells.noun_of(suite))}.")
            continue
        best = min(methods, key=lambda name: found.ranks[name])
        pairs = [Two(best, name, found.table, True) for name in methods if name != best]
        tests = compare(pairs, metric, draws=0)
        alike = [test.rival for test in tests if test.outcome != "better"]
        worse = [test.rival for test in tests if test.outcome == "better"]
        line = (
            f"{head} `{best}` has the best mean rank ({found.ranks[best]:.2f} of {len(found.ranks)}, n = {found.n}). "
        )
        line += f"Worse than it: {_list(worse)}. " if worse else "None of the others is shown to be worse. "
        line += f"Not shown to be worse: {_list(alike)}." if worse and alike else ""
        lines.append(line.strip())
    return lines


def _list(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _spread(book: Book) -> list[str]:
    """Say how far methods are apart before and after tuning: medians over the pairs of best minus worst."""
    lines = []
    for suite, task, metric in ranks.suites(book):
        for ratio in ranks.ratios(book, suite, task):
            ranges = {}
            for stage in ("raw", "tuned"):
                found = ranks.ranked(book, Cell(suite, ratio, stage, metric, task))
                if found is not None:
                    own = found.table.scores[[name for name in found.table.scores if name not in CONTROLS]]
                    if own.shape[1] > 1:
                        ranges[stage] = float(np.median(own.max(axis=1) - own.min(axis=1)))
            if len(ranges) == 2:
                name = f"tables, {task}" if suite == "tabular" else f"{suite} networks"
                lines.append(
                    f"{name}, {ratio:.0%} removed: best and worst method are {ranges['raw']:.3f} apart in "
                    f"{METRIC_NAMES[metric]} before tuning, {ranges['tuned']:.3f} after it (medians)."
                )
    return lines
