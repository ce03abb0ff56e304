"""The deep suite of the evidence: recorded damages are those of the network, and a run goes on where it was stopped."""

import json
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.common.given import in_order
from benchmarks.deep.pairs.train import Dense
from benchmarks.evidence import cells, deep, design, methods, replay
from benchmarks.evidence.digits import DIGITS
from benchmarks.evidence.subject import Subject, hash_of


def dense(pair, seed):
    """A network that is not trained: enough to rank its units."""
    parts = pair.parts(seed)
    return Dense(pair.draw(jax.random.key(seed), pair.shapes(parts)), parts, 0.0, 3, {})


@pytest.fixture(scope="module")
def subject():
    made = Subject(DIGITS, 0, dense(DIGITS, 0))
    made.matrix = made.record()
    return made


def test_the_matrix_is_that_of_exact_damages(subject):
    scores = subject._scores(methods.get("leave_one_out"), 0.5)
    np.testing.assert_allclose(subject.matrix.exact, scores.damage, atol=1e-6)
    assert subject.matrix.damages.shape == (len(subject.parts.select.y) // design.BATCH, subject.n_units)
    assert -1 <= subject.matrix.reliability() <= 1
    curvature = -np.asarray(subject._scores(methods.get("leave_one_out_curvature"), 0.5).value)
    np.testing.assert_allclose((subject.matrix.damages - subject.matrix.slopes).mean(axis=0), curvature, atol=1e-6)
    assert np.abs(subject.matrix.slopes).max() > 1e-3


@pytest.mark.parametrize(
    "name", ["ucb1", "racing", "leave_one_out_rms", "uniform_curvature", "taylor_racing", "taylor_racing_rms"]
)
def test_replay_makes_the_pulls_and_the_choice_of_a_live_run(subject, name):
    method = methods.get(name)._replace(budget=3.0)
    replayed, live = subject.rank(method, 0.5), subject.rank(method, 0.5, live=True)
    assert replayed.also["replayed"]
    assert not live.also["replayed"]
    assert replayed.pulls == live.pulls
    chosen = [replay.chosen(ranking.order, subject.sizes, 0.5) for ranking in (replayed, live)]
    assert (chosen[0] == chosen[1]).all()


def test_another_budget_is_another_choice(subject):
    orders = [subject.rank(methods.get("ucb1")._replace(budget=b), 0.5).order for b in (1.0, 8.0)]
    assert (orders[0] != orders[1]).any()  # so that the equality of replay and live says something


@pytest.mark.parametrize("ratio", design.RATIOS)
def test_as_many_units_of_each_group_leave_as_prune_removes(subject, ratio):
    order = np.random.default_rng(0).permutation(subject.n_units)
    removed = subject.remove(order, ratio)
    left = np.asarray(subject.sizes) - replay.quotas(subject.sizes, int(ratio * subject.n_units + 1e-9))
    assert removed.sizes == tuple(left)
    chosen = replay.chosen(order, subject.sizes, ratio)
    kept = subject.groups.compact(subject.params, [np.flatnonzero(~part) for part in subject.groups.split(chosen)])
    assert hash_of(kept) == hash_of(removed.params)


def test_quotas_are_those_of_any_sizes():
    rng = np.random.default_rng(0)
    for _ in range(200):
        sizes = rng.integers(1, 30, rng.integers(1, 6))
        n_remove = int(rng.integers(0, sizes.sum() + 1))
        quota = replay.quotas(sizes, n_remove)
        assert (quota < sizes).all()
        assert quota.sum() == min(n_remove, sizes.sum() - len(sizes))


def test_regret_is_0_for_the_best_choice_and_1_on_average(subject):
    rng, damage, sizes = np.random.default_rng(0), np.arange(30.0), (10, 20)
    assert replay.regret(np.arange(30), damage, sizes, 0.5) == 0
    draws = [replay.regret(rng.permutation(30), damage, sizes, 0.5) for _ in range(2000)]
    assert abs(np.mean(draws) - 1) < 4 * np.std(draws) / np.sqrt(2000)


def test_an_order_is_what_prune_goes_by():
    value = np.asarray(in_order([2, 0, 1]).value)
    assert replay.order_of(value).tolist() == [2, 0, 1]
    assert replay.order_of(np.array([1.0, np.nan, 2.0])).tolist() == [2, 0, 1]


def test_steps_of_a_tenth_end_in_an_order_of_all_units(subject):
    ranking = subject.rank(methods.get("sequential"), 0.9)
    assert sorted(ranking.order) == list(range(subject.n_units))
    # On 4 mini-batches each: all units, nine tenths of them, and so on.
    left = [subject.n_units - int(r / 10 * subject.n_units + 1e-9) for r in range(9)]
    assert ranking.pulls == 4 * sum(left)


# --- a run ------------------------------------------------------------------------------------------------------------

NAMES = ("magnitude", "uniform", "random")


@pytest.fixture
def work(monkeypatch):
    """Return a function that makes the work of a run, with few cells."""
    monkeypatch.setattr(deep, "train_dense", dense)
    monkeypatch.setattr(deep.Work, "_confirmatory", few)

    def make(path, limit=1e6, seed=0):
        runner = cells.Runner(cells.Store(path), cells.Clock(limit), lambda text: None)
        # The network is not trained, and would miss a gate.
        return deep.Work(runner, DIGITS._replace(gate=0.0), seed, path.with_suffix(""), NAMES)

    return make


def few(self):
    self._rankings(NAMES, (0.5,))
    self._outcomes(NAMES, 0.5, "raw")
    self._outcomes(NAMES, 0.5, "tuned")


def keys(path):
    return [cells.key_of(json.loads(line)) for line in path.read_text().splitlines()]


def test_a_run_that_was_ended_goes_on_and_does_nothing_twice(work, tmp_path, monkeypatch):
    whole, path = tmp_path / "whole.jsonl", tmp_path / "records.jsonl"
    work(whole).run("confirmatory")
    assert work(whole).is_done("confirmatory")
    do = cells.Runner.do

    def ended(self, cell, measure, **about):
        if self.n_made == 3:
            raise KeyboardInterrupt
        return do(self, cell, measure, **about)

    monkeypatch.setattr(cells.Runner, "do", ended)
    for _ in range(10):
        first = work(path)
        assert not first.is_done("confirmatory")
        try:
            first.run("confirmatory")
            break
        except KeyboardInterrupt:
            continue
    assert keys(path) == keys(whole)
    assert len(keys(path)) > 6
    assert len(set(keys(path))) == len(keys(path))


def test_a_cell_gives_the_same_numbers_again(work, tmp_path):
    found = []
    for name in ("one.jsonl", "two.jsonl"):
        work(tmp_path / name).run("confirmatory")
        records = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        found.append([{k: r.get(k) for k in ("scores", "order", "pulls", "network", "sizes")} for r in records])
    assert found[0] == found[1]
    assert not [record for record in records if "error" in record]


def test_another_dense_network_has_cells_of_its_own(work, tmp_path, monkeypatch):
    path = tmp_path / "records.jsonl"
    work(path).run("confirmatory")
    n = len(keys(path))
    monkeypatch.setattr(deep, "train_dense", lambda pair, seed: dense(pair, 5))
    other = work(path)
    other.run("confirmatory")
    assert len(keys(path)) == 2 * n
    assert other.runner.store.get(other._cell("dense"))["network"] == other.subject.hash


def test_a_network_that_fails_is_a_record(work, tmp_path, monkeypatch):
    def fail(pair, seed):
        raise RuntimeError("no data")

    monkeypatch.setattr(deep, "train_dense", fail)
    work(tmp_path / "records.jsonl").run("confirmatory")
    (line,) = (tmp_path / "records.jsonl").read_text().splitlines()
    assert json.loads(line)["error"] == "RuntimeError: no data"
    work(tmp_path / "records.jsonl").run("confirmatory")
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == 1


def test_policies_that_are_compared_for_equality_are_means_of_repetitions(work, tmp_path, monkeypatch):
    # One pull of each unit: with all of them, every repetition would be the same.
    monkeypatch.setitem(methods.METHODS, "uniform", methods.get("uniform")._replace(budget=1.0))
    monkeypatch.setattr(design, "DRAWS", 3)
    monkeypatch.setattr(deep.Work, "_confirmatory", lambda self: self._outcomes(("uniform",), 0.75, "raw"))
    found = work(tmp_path / "records.jsonl")
    found.run("confirmatory")
    (record,) = [r for r in found.runner.store.records() if r["kind"] == "outcome"]
    drawn = [draw["log_loss"] for draw in record["draws"]]
    assert len(set(drawn)) == 3
    assert record["scores"]["report"]["log_loss"] == pytest.approx(np.mean(drawn))
    subject = found.subject
    one = subject.remove(subject.rank(methods.get("uniform"), 0.75).order, 0.75)
    assert drawn[0] == subject.scores(one.params)["report"]["log_loss"]  # the choice of its ranking


def test_nothing_is_measured_where_no_other_seed_could_lift_the_mean_over_the_gate(work, tmp_path, monkeypatch):
    accuracy = {"report": {"accuracy": 0.5, "log_loss": 1.0}}
    monkeypatch.setattr(deep, "train_dense", lambda pair, seed: dense(pair, seed)._replace(scores=accuracy))
    monkeypatch.setitem(design.SEEDS, "deep", 3)
    path = tmp_path / "records.jsonl"
    for gate, kinds in ((0.84, {"dense"}), (0.83, {"dense", "matrix", "ranking", "outcome"})):
        found = work(path)
        found.pair = found.pair._replace(gate=gate)
        assert not found.is_done("confirmatory") or gate == 0.84
        found.run("confirmatory")
        assert {key.kind for key in keys(path)} == kinds
        assert found.is_done("confirmatory")


def test_a_matrix_of_an_earlier_version_is_measured_anew(work, tmp_path):
    path = tmp_path / "records.jsonl"
    found = work(path)
    found.run("confirmatory")
    (kept,) = path.with_suffix("").glob("*.npz")
    with np.load(kept) as file:
        whole = dict(file)
    np.savez(kept, **{name: array for name, array in whole.items() if name != "slopes"})
    again = work(path)
    again.run("confirmatory")
    for name, array in again.subject.matrix._asdict().items():
        np.testing.assert_array_equal(array, whole[name])


def test_what_a_choice_costs_is_measured_at_all_budgets(tmp_path, monkeypatch):
    monkeypatch.setattr(deep, "train_dense", dense)
    monkeypatch.setattr(deep, "SCORED", ("uniform",))
    runner = cells.Runner(cells.Store(tmp_path / "a.jsonl"), cells.Clock(1e6), lambda text: None)
    names = ("taylor", "taylor_racing", "uniform")
    once = deep.Work(runner, DIGITS._replace(gate=0.0), 0, tmp_path / "a", names)
    once.run("price")
    records = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert not [record for record in records if "error" in record]
    rankings = {(r["method"], r.get("ratio")): r for r in records if r["kind"] == "ranking"}
    n = rankings["taylor", None]["n_units"]
    rows = rankings["taylor", None]["forward_rows"]
    assert rankings["taylor", None]["backward_rows"] == rows
    assert rankings["taylor_racing", 0.5]["same_live"]
    assert rankings["taylor_racing", 0.5]["forward_rows"] == 8 * n * design.BATCH + rows
    replays = {r["budget"]: r for r in records if r["kind"] == "replay" and r["method"] == "taylor_racing"}
    assert set(replays) == set(map(float, design.BUDGETS))
    assert replays[1.0]["forward_rows"] == n * design.BATCH + rows
    assert replays[1.0]["backward_rows"] == rows
    scored = {
        (r["method"], r["params"].get("budget")) for r in records if r["kind"] == "outcome" and r["stage"] == "raw"
    }
    assert {("uniform", 1.0), ("taylor_racing", 16.0), ("taylor", None)} <= scored
    assert once.is_done("price")


def test_racing_and_uniform_are_replayed_up_to_all_pulls(subject):
    runner = cells.Runner(cells.Store(None), cells.Clock(1e6), lambda text: None)
    once = deep.Work(runner, DIGITS, 0, None, ("racing", "uniform", "ucb1"))
    once._subject = subject
    once._curves(deep.CURVES)
    regret = {(r["method"], r["budget"]): r["regret"]["0.5"] for r in runner.store.records()}
    assert set(regret) == {(name, float(b)) for name in ("racing", "uniform", "ucb1") for b in design.BUDGETS} | {
        (name, float(b)) for name in ("racing", "uniform") for b in design.MORE_BUDGETS
    }
    assert regret["uniform", 32.0] == pytest.approx(0, abs=1e-6)


def test_kept_damages_are_replayed_without_the_network(tmp_path, monkeypatch):
    names, path = ("racing", "taylor_racing"), tmp_path / "a.jsonl"
    pair = DIGITS._replace(gate=0.0)

    def made(path):
        return {
            (r["method"], r["budget"]): r["regret"]
            for r in map(json.loads, path.read_text().splitlines())
            if "budget" in r
        }

    with_network = deep.Work(cells.Runner(cells.Store(path), cells.Clock(1e6), print), pair, 0, tmp_path / "a", names)
    monkeypatch.setattr(deep, "train_dense", dense)
    with_network._dense()
    with_network._matrix()
    first = path.read_text()
    with_network._curves(names)
    found = made(path)
    assert len(found) == 2 * len(design.BUDGETS) + len(design.MORE_BUDGETS)
    path.write_text(first)
    monkeypatch.setattr(deep, "train_dense", lambda *args: pytest.fail("the network was trained"))
    again = deep.Work(cells.Runner(cells.Store(path), cells.Clock(1e6), print), pair, 0, tmp_path / "a", names)
    assert not again.is_done("replays")
    again.run("replays")
    assert made(path) == found
    assert again.is_done("replays")
    # A file without slopes is enough for what needs none.
    path.write_text(first)
    (file,) = (tmp_path / "a").glob("*.npz")
    with np.load(file) as kept:
        np.savez(file, damages=kept["damages"], losses=kept["losses"])
    bare = deep.Work(cells.Runner(cells.Store(path), cells.Clock(1e6), print), pair, 0, tmp_path / "a", names)
    bare.run("replays")
    assert made(path) == {key: regret for key, regret in found.items() if key[0] == "racing"}
    file.unlink()
    gone = deep.Work(cells.Runner(cells.Store(path), cells.Clock(1e6), print), pair, 0, tmp_path / "a", names)
    with pytest.raises(ValueError, match="no file"):
        gone.run("replays")
