"""What a choice costs: rows and seconds beside the exact ranking, and from which budget on a policy is as good."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import evidence_records as synthetic

from benchmarks.evidence.report import price, reading

METHODS = (*price.FIXED, *price.POLICIES)
N_UNITS, ROWS, BATCH = 100, 1024, 32


def ranking(kind, pair, seed, method, budget, seconds=1.0):
    about = {"kind": kind, "suite": "deep", "pair": pair, "seed": seed, "method": method, "n_units": N_UNITS}
    if budget is None:
        exact = method.startswith("leave_one_out")
        forward = N_UNITS * ROWS if exact else ROWS if method == "taylor" else 0
        cost = {"forward_rows": forward, "backward_rows": ROWS if method == "taylor" else 0, "pulls": 0}
    else:
        pulls = int(budget * N_UNITS)
        cost = {"forward_rows": pulls * BATCH, "backward_rows": 0, "pulls": pulls, "params": {"budget": budget}}
    regret = {"0.5": 0.1, "0.9": 0.2} if kind == "ranking" else {"0.5": 0.3, "0.9": 0.4}
    return about | cost | {"regret": regret, "seconds": seconds}


def evidence(out_of=METHODS, effects=None, pairs=("mlp-a", "cnn-b"), seconds=1.0):
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
            records.append(ranking("ranking", pair, 0, name, 8.0 if name in price.POLICIES else None, seconds))
            records += [ranking("replay", pair, 0, name, b) for b in (4.0, 8.0) if name in price.POLICIES]
    return reading.evidence_of(records)


def test_rows_are_over_those_of_the_exact_ranking():
    found = price.points(evidence())
    share = found.groupby(["method", found["budget"].fillna(0)])["share"].median()
    assert share["leave_one_out", 0] == 1
    assert share["uniform", 8] == pytest.approx(8 * BATCH / ROWS)
    assert share["uniform", 4] == pytest.approx(4 * BATCH / ROWS)
    assert share["taylor", 0] == pytest.approx(3 / N_UNITS)
    assert share["random", 0] == 0
    regret = found[(found["method"] == "uniform") & (found["ratio"] == 0.9)]["regret"]
    assert np.allclose(regret, 0.4)  # of several repetitions, in the place of that of one


def test_the_page_shows_costs_and_where_policies_catch_up(tmp_path):
    text = price.section(evidence(), tmp_path)
    assert "2 pairs, seed 0." in text
    row = next(line for line in text.splitlines() if line.startswith("| uniform |"))
    assert row.startswith("| uniform | 25 % | 1e+02 % |") or row.startswith("| uniform | 25 % | 100 % |")
    assert "| **taylor** | 3 % |" in text
    taylor = next(line for line in text.splitlines() if line.startswith("- 50% removed, `taylor`"))
    assert "`uniform` 8" in taylor
    exact = next(line for line in text.splitlines() if line.startswith("- 50% removed, `leave_one_out` "))
    assert "`uniform` none" in exact
    assert (tmp_path / price.FIGURE).exists()
    assert "nan" not in text


def test_networks_that_lack_a_method_are_left_out(tmp_path):
    records = evidence().records
    part = [r for r in records if not (r.get("method") == "racing_rms" and r["pair"] == "cnn-b")]
    assert "1 pairs" not in price.section(reading.evidence_of(records), tmp_path)
    assert price.section(reading.evidence_of(part), tmp_path).startswith("2 pairs")  # half of them lack it
    more = evidence(pairs=("mlp-a", "cnn-b", "mlp-c")).records
    part = [r for r in more if not (r.get("method") == "racing_rms" and r["pair"] == "cnn-b")]
    assert price.section(reading.evidence_of(part), tmp_path).startswith("2 pairs")


def test_without_records_there_is_no_text(tmp_path):
    assert price.section(evidence(("uniform", "random")), tmp_path) == ""
