"""The tabular suite of the evidence: one model, the same units at each stage, and a run that goes on."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.evidence import cells, design, tabular
from benchmarks.tabular import protocol

OPTIONS = {"hidden_layer_sizes": (8, 6), "max_iter": 10}


def load(name):
    return protocol.bundled(name, load_breast_cancer, "classification")


def work(path, names=None):
    runner = cells.Runner(cells.Store(path), cells.Clock(1e6), lambda text: None)
    return tabular.Work(runner, "breast_cancer", "classification", 0, names, load=load, options=OPTIONS)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the records of two methods at one ratio, and their file."""
    path = tmp_path_factory.mktemp("tabular") / "records.jsonl"
    once = work(path)
    once.some(("magnitude", "leave_one_out", "random"), 0.5)
    once._control("worst", 0.5, "raw")
    once._control("trained_on", 0.5, "tuned")
    return [json.loads(line) for line in path.read_text().splitlines()], path


def of(records, **fields):
    return [record for record in records if all(record.get(name) == value for name, value in fields.items())]


def test_nothing_fails(made):
    records, _ = made
    assert not [record for record in records if "error" in record]
    assert len(records) == len({cells.key_of(record) for record in records})


def test_every_stage_has_the_units_of_the_ranking(made):
    records, _ = made
    for name in ("magnitude", "leave_one_out"):
        (ranking,) = of(records, kind="ranking", method=name)
        assert len(ranking["removed"]) == 7
        stages = of(records, kind="outcome", method=name)
        assert [record["stage"] for record in stages] == ["raw", "repaired", "tuned"]
        assert {tuple(record["sizes"]) for record in stages} == {(4, 3)}


def test_a_ranking_is_what_pruning_itself_removes(made):
    records, path = made
    again = work(path)
    direct = again._prune(again.model, 0.5, policy="magnitude", n_rounds=1, compensate=False, fine_tune_iter=0)
    (raw,) = of(records, kind="outcome", method="magnitude", stage="raw")
    assert raw["scores"]["report"] == again._scores(direct)
    assert of(records, kind="ranking", method="magnitude")[0]["removed"] == again._removed(direct)


def test_the_worst_units_are_not_those_of_the_best_choice(made):
    records, _ = made
    (worst,) = of(records, kind="control", method="worst")
    (best,) = of(records, kind="outcome", method="leave_one_out", stage="raw")
    (dense,) = of(records, kind="control", method="unpruned")
    losses = [record["scores"]["report"]["log_loss"] for record in (dense, best, worst)]
    assert losses[2] > losses[1]
    assert worst["sizes"] == best["sizes"]


def test_from_scratch_is_the_pruned_shape_and_all_epochs(made):
    records, _ = made
    (scratch,), (dense,) = of(records, kind="control", method="scratch"), of(records, kind="dense")
    (tuned,) = of(records, kind="outcome", method="magnitude", stage="tuned")
    assert scratch["sizes"] == tuned["sizes"]
    assert scratch["epochs"] == dense["epochs"] + tuned["epochs"]
    assert scratch["parameters"] == tuned["parameters"]
    (on,) = of(records, kind="control", method="trained_on")
    assert on["epochs"] == tuned["epochs"]
    assert on["scores_of_last"] != dense["scores"]["report"]
    assert on["scores"]["report"] == (on["scores_of_last"] if on["fine_tuned"] else dense["scores"]["report"])


@pytest.mark.parametrize("better", [True, False])
def test_the_network_that_was_trained_on_is_kept_where_its_loss_on_held_out_rows_is_lower(made, monkeypatch, better):
    records, path = made
    (dense,) = of(records, kind="dense")
    again = work(path)
    losses = {id(again.model): 1.0}
    monkeypatch.setattr(again, "_guard_loss", lambda model: losses.get(id(model), 0.5 if better else 1.5))
    found = again._controlled("trained_on", 0.5)
    assert found["fine_tuned"] is better
    assert found["scores"]["report"] == (found["scores_of_last"] if better else dense["scores"]["report"])


def test_the_loss_of_the_guard_is_that_of_pruning(made):
    again = work(made[1])
    pruned = again._prune(again.model, 0.5, policy="magnitude", n_rounds=1, **tabular.STAGES["raw"])
    assert again._guard_loss(again.model) == pytest.approx(pruned.pruning_history_[0]["loss_before"], rel=1e-6)


def test_random_is_the_mean_of_its_draws(made):
    records, _ = made
    (raw,) = of(records, kind="outcome", method="random", stage="raw")
    assert len(raw["draws"]) == design.DRAWS
    assert raw["scores"]["report"]["accuracy"] == pytest.approx(np.mean([draw["accuracy"] for draw in raw["draws"]]))


def test_what_is_done_is_not_done_again(made, monkeypatch):
    _, path = made
    monkeypatch.setattr(tabular.protocol, "split", lambda *args: pytest.fail("the table was read"))
    again = work(path)
    again.some(("magnitude", "leave_one_out", "random"), 0.5)
    assert again.runner.n_made == 0
    assert not again.is_done("confirmatory")


def test_methods_in_rounds_take_the_place_of_the_estimators_default(tmp_path):
    once = work(tmp_path / "records.jsonl", ("ucb1", "magnitude"))
    once.run("rounds")
    records = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert {r["protocol"] for r in records} == {design.ROUNDS}
    outcomes = of(records, kind="outcome")
    assert {(r["method"], r["ratio"], r["stage"]) for r in outcomes} == {
        (name, ratio, "tuned") for name in ("ucb1@auto", "magnitude@auto") for ratio in design.CONFIRMATORY_RATIOS
    }
    default, magnitude = once._prune(once.model, 0.5), once._prune(once.model, 0.5, policy="magnitude")
    (ucb1,) = of(outcomes, method="ucb1@auto", ratio=0.5)
    assert ucb1["scores"]["report"] == once._scores(default)
    assert of(outcomes, method="magnitude@auto", ratio=0.5)[0]["scores"]["report"] == once._scores(magnitude)
    assert once._scores(default) != once._scores(magnitude)
    assert len(default.pruning_history_) > 1
    assert once.is_done("rounds")


def test_records_of_another_dense_network_are_not_gone_on_with(tmp_path):
    once = work(tmp_path / "records.jsonl")
    once.require_same_network("confirmatory")  # there are no records yet
    once._dense()
    once.require_same_network("confirmatory")
    path = tmp_path / "records.jsonl"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"network": "0123456789abcdef"}) + "\n")
    with pytest.raises(ValueError, match="are of the dense network 0123456789abcdef, and a fit on this machine gives"):
        work(path).require_same_network("confirmatory")
    work(path).require_same_network("rounds")  # which has dense networks of its own
