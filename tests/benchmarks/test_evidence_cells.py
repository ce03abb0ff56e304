"""The cells of the evidence: what is done is not done again, failures are records, parts are a partition."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.common import datasets
from benchmarks.evidence import __main__ as command
from benchmarks.evidence import cells, design, methods

CELLS = [cells.Cell("outcome", "deep", "net-data", seed, "ucb1", 0.5, "layer", "raw", "abc") for seed in range(5)]


def runner(path, *, limit=1e6, retry=False):
    return cells.Runner(cells.Store(path, retry=retry), cells.Clock(limit), lambda text: None)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_is_done_is_not_done_again(tmp_path):
    path, calls = tmp_path / "records.jsonl", []

    def measure(cell):
        calls.append(cell)
        return {"scores": {"report": {"accuracy": 0.5}}}

    first = runner(path)
    for cell in CELLS[:2]:
        first.do(cell, lambda cell=cell: measure(cell), data="data")
    with path.open("a") as file:
        file.write('{"kind": "outcome", "su')  # the process was ended here
    second = runner(path)
    found = [second.do(cell, lambda cell=cell: measure(cell), data="data") for cell in CELLS]
    assert calls == CELLS  # each once
    assert [cells.key_of(record) for record in found] == CELLS
    whole = [line for line in path.read_text().splitlines() if not line.endswith('"su')]
    assert len(whole) == len(CELLS)


def test_a_record_says_where_and_when_it_was_made(tmp_path):
    path = tmp_path / "records.jsonl"
    runner(path).do(CELLS[0], lambda: {"pulls": 3}, data="data")
    (record,) = lines(path)
    assert {"versions", "cpu", "load", "date", "wall", "compile", "data", "network"} <= set(record)
    assert "jax" in record["versions"]
    assert record["pulls"] == 3
    assert "epsilon" not in record


def test_an_error_is_a_record_and_is_tried_again_only_if_asked_for(tmp_path):
    path = tmp_path / "records.jsonl"

    def fail():
        raise ValueError("no such units")

    assert runner(path).do(CELLS[0], fail, data="data") is None
    (record,) = lines(path)
    assert record["error"] == "ValueError: no such units"
    assert "fail" in record["trace"]
    assert runner(path).do(CELLS[0], lambda: pytest.fail("done again")) is None
    assert runner(path, retry=True).do(CELLS[0], lambda: {"pulls": 1})["pulls"] == 1
    assert runner(path).do(CELLS[0], lambda: pytest.fail("done again"))["pulls"] == 1  # the last record counts


def test_an_interrupt_is_no_record(tmp_path):
    path = tmp_path / "records.jsonl"

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner(path).do(CELLS[0], interrupted)
    assert not path.exists()


def test_a_part_begins_no_cell_that_would_last_beyond_its_time(tmp_path):
    path = tmp_path / "records.jsonl"
    before = runner(path)
    before.do(CELLS[0], lambda: {})
    record = before.store.get(CELLS[0]) | {"wall": 50.0}
    before.store.append(record)

    def later(limit):
        found = runner(path, limit=limit)
        found.n_made = 1  # the first cell of a run is done in any case
        return found

    with pytest.raises(cells.TimeIsUp, match="seed 1"):
        later(40).do(CELLS[1], lambda: pytest.fail("begun"))
    assert later(60).do(CELLS[1], lambda: {"pulls": 1})["pulls"] == 1
    unknown = CELLS[1]._replace(stage="tuned")
    assert later(cells.UNKNOWN + 10).do(unknown, lambda: {}) is not None
    with pytest.raises(cells.TimeIsUp):
        later(cells.UNKNOWN - 10).do(unknown._replace(seed=7, kind="control"), lambda: {})


def test_a_long_cell_of_one_pair_does_not_end_all_runs(tmp_path):
    path = tmp_path / "records.jsonl"
    before = runner(path)
    for name, wall in (("short", 1.0), ("shorter", 0.5), ("wide", 1300.0)):
        before.do(CELLS[0]._replace(pair=name), lambda: {})
        before.store.append(before.store.get(CELLS[0]._replace(pair=name)) | {"wall": wall})
    run = runner(path, limit=1200)
    assert run.clock.expected(CELLS[0]._replace(pair="another")) <= 1
    # Once in a run, as its first cell; after others there is no time for it.
    wide = CELLS[0]._replace(pair="wide", seed=1)
    assert run.do(wide, lambda: {}) is not None
    with pytest.raises(cells.TimeIsUp):
        run.do(wide._replace(seed=2), lambda: pytest.fail("begun"))


def test_a_pair_that_fails_outside_of_its_cells_does_not_end_a_run(tmp_path, capsys):
    path, done, said = tmp_path / "records.jsonl", [], []

    def suite(run, args):
        def one(phase, name, seed):
            if name == "broken":
                raise ValueError("no such rows")
            done.append((phase, name, seed))

        command._all(run, ("first", "second"), [("broken", 0), ("whole", 0)], one)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "_SUITES", {"deep": suite})
        patch.setattr(command, "keep_programs", lambda: None)
        found = command.run(command.parse(["run", "--suite", "deep", "--out", str(path)]), said.append)
        assert done == [("first", "whole", 0), ("second", "whole", 0)]
        assert len(found.failed) == 2
        assert "failed outside of a cell: first broken seed 0: ValueError: no such rows" in said
        assert "no such rows" in capsys.readouterr().err  # with its traceback
        with pytest.raises(SystemExit) as left:
            command.main(["run", "--suite", "deep", "--out", str(path)])
    assert left.value.code == 1


def test_records_of_other_code_are_not_gone_on_with(tmp_path, monkeypatch):
    path = tmp_path / "records.jsonl"
    runner(path).do(CELLS[0], lambda: {})
    monkeypatch.setattr(command, "code", lambda: "other")
    monkeypatch.setattr(command, "_SUITES", {"deep": lambda runner, args: None})
    arguments = ["run", "--suite", "deep", "--out", str(path)]
    with pytest.raises(SystemExit, match="other source code"):
        command.run(command.parse(arguments), lambda text: None)
    command.run(command.parse([*arguments, "--other-code"]), lambda text: None)


def test_two_processes_may_write_to_the_same_file(tmp_path):
    path = tmp_path / "records.jsonl"
    one, other = runner(path), runner(path)
    one.do(CELLS[0], lambda: {"order": list(range(20_000))})
    other.do(CELLS[1], lambda: {"order": list(range(20_000))})
    one.do(CELLS[2], lambda: {})
    assert one.store.is_done(CELLS[1])  # what the other one did is known by now
    assert [record["seed"] for record in lines(path)] == [0, 1, 2]


@pytest.mark.parametrize("n", [1, 2, 7, 60])
def test_parts_are_a_partition(n):
    items = cells.by_seed([f"net{i}-data" for i in range(18)], 3)
    assert items[:18] == [(f"net{i}-data", 0) for i in range(18)]  # all with seed 0 first
    parts = [cells.part_of(items, (i, n)) for i in range(1, n + 1)]
    assert sorted(item for part in parts for item in part) == sorted(items)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert all(part == [item for item in items if item in part] for part in parts)  # in the order of work


def test_every_method_of_the_design_is_in_the_table():
    for name in (*design.CONFIRMATORY, *design.REFERENCES, *design.LATER, *design.DEFAULTS, *methods.SECONDARY):
        assert methods.get(name).name == name
    for hypothesis in design.HYPOTHESES:
        for name in (*hypothesis.better, *hypothesis.than, *hypothesis.family):
            assert name in (*methods.METHODS, *design.CONTROLS, "stable_units", design.OURS)
    with pytest.raises(ValueError, match="No method 'ucb'"):
        methods.get("ucb")


def test_names_say_what_methods_rank_by():
    for method in methods.METHODS.values():
        rank_by = getattr(method.policy, "rank_by", "mean")
        assert method.name.endswith("_rms") == (rank_by == "rms")
        if method.rank_by:
            assert method.params["rank_by"] == rank_by


def test_tabular_sets_are_those_of_the_report_and_those_with_a_dagger():
    sets = design.tabular_sets(datasets.REPORT)
    assert sum(task == "regression" for task in sets.values()) == 20
    assert sum(task == "classification" for task in sets.values()) == 24
    assert sets["hotel_rates"] == "regression"
