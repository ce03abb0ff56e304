"""The default policy of the estimators by the records: the rule, and what the page shows."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import evidence_records as synthetic

from benchmarks.evidence import design
from benchmarks.evidence.report import ranks, reading, rounds
from benchmarks.evidence.report.cells import Cell

UCB1, UNIFORM = design.IN_ROUNDS[:2]
#: So many that 32 comparisons can be told apart after Holm's correction.
SETS = [f"set{i}" for i in range(14)]
TASKS = ("classification", "regression")


def evidence(effects, tasks=TASKS, **options):
    given = {"methods": design.IN_ROUNDS, "ratios": (0.5, 0.9), "stages": ("tuned",), "n_seeds": 5} | options
    given |= {"extra": {"protocol": design.ROUNDS}}
    records = []
    for task in tasks:
        names = [f"{task[:3]}-{name}" for name in SETS]
        records += synthetic.outcomes("tabular", task, names, effects, **given)
    return reading.evidence_of(records)


def chosen(found):
    return rounds.defaults.choice(found, [name for name in design.IN_ROUNDS if name != rounds.CHANCE])


def test_ucb1_stays_unless_another_method_is_better():
    found = rounds.found(evidence({}))
    assert [(one.cell.task, one.cell.ratio) for one in found] == list(design.ROUNDS_CELLS)
    assert chosen(found) == UCB1
    assert chosen(rounds.found(evidence({UNIFORM: 0.05}))) == UNIFORM
    assert chosen(rounds.found(evidence({UNIFORM: 0.05, "racing@auto": 0.1}))) == "racing@auto"


def test_a_random_choice_is_never_the_default():
    assert chosen(rounds.found(evidence({rounds.CHANCE: 0.1}))) == UCB1


def test_a_method_that_is_worse_on_one_task_is_not_chosen():
    better = evidence({UNIFORM: 0.05}, tasks=("classification",)).records
    worse = evidence({UNIFORM: -0.05}, tasks=("regression",)).records
    assert chosen(rounds.found(reading.evidence_of([*better, *worse]))) == UCB1


def test_the_page_shows_both_tasks_and_the_choice():
    text = rounds.section(evidence({UNIFORM: 0.05}))
    assert f"By this rule the default is **`{UNIFORM}`**." in text
    assert "R², regression, 90%" in text
    assert "accuracy, classification, 50%" in text
    assert "nan" not in text
    part = rounds.section(evidence({UNIFORM: 0.05}, n_seeds=2))
    assert "as far as there are records: 4 of 4 cells (14 of 14 data sets; " in part
    assert "2.0 of 5 seeds" in part
    assert rounds.section(evidence({}, methods=("random",))) == ""


def test_the_rule_waits_for_data_sets_that_lack_records():
    found = evidence({UNIFORM: 0.05})
    planned = {("tabular", task): {f"{task[:3]}-{name}": name for name in SETS} for task in TASKS}
    assert "as far as" not in rounds.section(reading.evidence_of(found.records, planned))
    planned["tabular", "regression"]["reg-later"] = "later"
    text = rounds.section(reading.evidence_of(found.records, planned))
    assert "(14 of 14 data sets; 14 of 14 data sets; 14 of 15 data sets; 14 of 15 data sets)" in text


def test_seconds_are_compared_where_one_machine_measured_both():
    made = evidence({}).records
    for record in made:
        if record["kind"] == "outcome":
            record["seconds"] = 3.0 if record["method"] == UNIFORM else 2.0
            if record["method"] == "racing@auto":
                record["cpu"] = "another one"
            if record["method"] == "magnitude@auto":
                record["code"] = "another one"
    text = rounds.section(reading.evidence_of(made))
    assert f"| {UNIFORM} | 1.50 | 280 |" in text
    assert "| racing@auto | 1.00" not in text
    assert "| magnitude@auto | 1.00" not in text


def test_their_dense_networks_are_not_those_of_other_tables():
    own = evidence({}, tasks=("classification",)).records
    options = {"ratios": (0.5,), "stages": ("tuned",), "n_seeds": 5}
    others = list(synthetic.outcomes("tabular", "classification", [f"cla-{name}" for name in SETS], {}, **options))
    for records, network, accuracy in ((own, "a", 0.9), (others, "b", 0.7)):
        for record in records:
            if record["kind"] == "dense":
                record |= {"network": network, "scores": {"report": {"accuracy": accuracy}}}
    found = reading.evidence_of([*others, *own])
    ranked = ranks.ranked(reading.published(found), Cell("tabular", 0.5, "tuned", "accuracy"))
    assert not set(ranked.ranks) & set(design.IN_ROUNDS)
    assert ranked.means["unpruned"] == 0.7
    assert chosen(rounds.found(found)) == UCB1
