"""What a choice costs: rows and seconds beside the exact ranking, and from which budget on a policy is as good."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import evidence_records as synthetic

from benchmarks.evidence.report import price, pulls, reading
from benchmarks.evidence.report.cells import Cell

METHODS = (*price.FIXED, *price.POLICIES)
N_UNITS, ROWS, BATCH = 100, 1024, 32


def ranking(kind, pair, seed, method, budget):
    about = {"kind": kind, "suite": "deep", "pair": pair, "seed": seed, "method": method, "n_units": N_UNITS}
    if budget is None:
        exact = method.startswith("leave_one_out")
        forward = N_UNITS * ROWS if exact else ROWS if method == "taylor" else 0
        cost = {"forward_rows": forward, "backward_rows": ROWS if method == "taylor" else 0, "pulls": 0}
        cost |= {"seconds": 4.0 if exact else 0.5, "replayed": exact}
    else:
        pulls = int(budget * N_UNITS)
        cost = {"forward_rows": pulls * BATCH, "backward_rows": 0, "pulls": pulls, "params": {"budget": budget}}
        cost |= {"seconds": 1.0, "replayed": True}
        cost |= {"seconds_live": 3.0} if method == "ucb1" and kind == "ranking" else {}
    regret = {"0.5": 0.1, "0.9": 0.2} if kind == "ranking" else {"0.5": 0.3, "0.9": 0.4}
    return about | cost | {"regret": regret}


def evidence(out_of=METHODS, effects=None, pairs=("mlp-a", "cnn-b")):
    options = {"ratios": (0.5, 0.9), "n_seeds": 1, "noise": 0.0, "controls": False}
    records = []
    for budget in (4.0, 8.0):
        bandits = [name for name in out_of if name in price.POLICIES]
        given = {"methods": bandits, "stages": ("raw", "tuned"), "extra": {"budget": budget}} | options
        shift = dict.fromkeys(bandits, 0.02 if budget == 8 else 0.0)
        records += synthetic.outcomes("deep", "classification", pairs, shift | (effects or {}), **given)
    fixed = [name for name in out_of if name not in price.POLICIES]
    given = {"methods": fixed, "stages": ("raw", "tuned")} | options
    records += synthetic.outcomes("deep", "classification", pairs, {"taylor": 0.01, "leave_one_out": 0.5}, **given)
    for record in records:
        if record["kind"] == "dense":
            record.pop("budget", None)
    for pair in pairs:
        for name in out_of:
            records.append(ranking("ranking", pair, 0, name, 8.0 if name in price.POLICIES else None))
            records += [ranking("replay", pair, 0, name, b) for b in (4.0, 8.0) if name in price.POLICIES]
    return reading.evidence_of(records)


def without(records, pair, method, budget=None, stage=None):
    """Return the records without some outcomes of a method on a pair."""

    def gone(record):
        return (
            record["kind"] == "outcome"
            and (record["pair"], record["method"]) == (pair, method)
            and (budget is None or record.get("budget") == budget)
            and (stage is None or record["stage"] == stage)
        )

    return reading.evidence_of([record for record in records if not gone(record)])


def row_of(text, name):
    return next(line for line in text.splitlines() if line.startswith(f"| {name} |")).split(" | ")


def test_rows_are_over_those_of_the_exact_ranking():
    found = price.points(evidence())
    share = found.groupby(["method", "budget"])["share"].median()
    assert share["leave_one_out", 0] == 1
    assert share["uniform", 8] == pytest.approx(8 * BATCH / ROWS)
    assert share["uniform", 4] == pytest.approx(4 * BATCH / ROWS)
    assert share["taylor", 0] == pytest.approx(3 / N_UNITS)
    assert share["random", 0] == 0
    regret = found[(found["method"] == "uniform") & (found["ratio"] == 0.9)]["regret"]
    assert np.allclose(regret, 0.4)  # of several repetitions, in the place of that of one


def test_time_is_that_of_a_clock():
    time = price.points(evidence()).groupby(["method", "budget"])["time"].median()
    assert time["leave_one_out", 0] == 1
    assert time["ucb1", 8] == pytest.approx(3 / 4)
    assert time["taylor", 0] == pytest.approx(0.5 / 4)
    assert np.isnan(time["uniform", 8])  # its pulls were looked up


def test_the_page_shows_costs_and_where_policies_catch_up(tmp_path):
    text = price.section(evidence(), tmp_path)
    assert "2 pairs, seed 0." in text
    assert row_of(text, "uniform")[1:3] == ["25 %", "-"]
    assert row_of(text, "ucb1")[1:3] == ["25 %", "75 %"]
    assert row_of(text, "leave_one_out")[1:3] == ["100 %", "100 %"]
    assert row_of(text, "**taylor**")[1:3] == ["3.0 %", "12 %"]
    taylor = next(line for line in text.splitlines() if line.startswith("- `taylor` "))
    assert "`uniform` 8" in taylor
    exact = next(line for line in text.splitlines() if line.startswith("- `leave_one_out` "))
    assert "`uniform` none" in exact
    assert (tmp_path / price.FIGURE).exists()
    assert "nan" not in text


def test_all_methods_of_a_table_are_on_the_same_networks(tmp_path):
    three = evidence(pairs=("mlp-a", "cnn-b", "mlp-c")).records
    whole = price.section(reading.evidence_of(three), tmp_path)
    # One pair lacks a method: it counts for none.
    part = price.section(without(three, "cnn-b", "racing_rms"), tmp_path)
    assert whole.count("3 pairs, seed 0.") == part.count("2 pairs, seed 0.") == 3
    # Most pairs lack one: the method is left out.
    few = without(three, "cnn-b", "racing_rms").records
    text = price.section(without(few, "mlp-a", "racing_rms"), tmp_path)
    assert "| racing_rms |" not in text
    assert "3 pairs, seed 0." in text


def test_a_budget_that_a_pair_lacks_is_no_mean_of_others(tmp_path):
    three = evidence(pairs=("mlp-a", "cnn-b", "mlp-c")).records
    text = price.section(without(three, "cnn-b", "racing", budget=4.0), tmp_path)
    curves = text[text.index("raw accuracy by pulls") :]
    assert row_of(curves, "racing")[1:] == row_of(curves, "uniform")[1:]
    assert "2 pairs, seed 0." in curves


def test_a_tuned_score_that_a_pair_lacks_is_not_shown(tmp_path):
    three = evidence(pairs=("mlp-a", "cnn-b", "mlp-c")).records
    text = price.section(without(three, "cnn-b", "taylor", stage="tuned"), tmp_path)
    assert row_of(text, "**taylor**")[5] == "-"
    assert row_of(text, "random")[5] != "-"


def test_without_records_there_is_no_text(tmp_path):
    assert price.section(evidence(("uniform", "random")), tmp_path) == ""
    assert price.section(evidence(("uniform", "taylor")), tmp_path) == ""  # no exact ranking
    assert price.section(reading.evidence_of([]), tmp_path) == ""


def test_a_curve_is_of_the_seeds_that_have_all_of_its_budgets():
    """A seed that has one budget only is another network, and would bend the curve there."""
    options = {"methods": ("uniform",), "ratios": (0.5,), "stages": ("raw",), "noise": 0.0, "controls": False}
    records = []
    for budget, n_seeds in ((4.0, 1), (8.0, 3), (16.0, 1)):
        given = options | {"n_seeds": n_seeds, "extra": {"budget": budget}}
        records += synthetic.outcomes("deep", "classification", ("mlp-a", "cnn-b"), {}, **given)
    for record in records:
        if record["kind"] == "outcome" and record["seed"]:
            record["scores"]["report"]["accuracy"] = 0.0
    found = pulls.scores_against_pulls(reading.evidence_of(records), Cell("deep", 0.5, "raw", "accuracy"))
    assert set(found["repeat"]) == {"0"}
    assert (found["value"] > 0.5).all()
    assert sorted(found.loc[found["pair"] == "mlp-a", "pulls"]) == [4.0, 8.0, 16.0]
