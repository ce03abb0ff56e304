"""The command of the evidence: names are checked, parts and time limits are kept, and the quick task is a task."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.deep.pairs import PAIRS
from benchmarks.evidence import __main__ as command
from benchmarks.evidence import quick, subject
from benchmarks.evidence.digits import DIGITS


@pytest.fixture
def no_cache(monkeypatch):
    """Leave JAX's folder of programs as the tests have it."""
    monkeypatch.setattr(command, "keep_programs", lambda: None)


def test_a_part_that_has_no_time_does_one_cell(no_cache, monkeypatch, tmp_path, capsys):
    # A cell that is longer than the limit would be done by no run if the first one were not.
    monkeypatch.setitem(PAIRS, DIGITS.name, DIGITS)
    out = tmp_path / "records.jsonl"
    for n_cells, left in ((1, "matrix"), (2, "control")):
        command.main(["run", "--suite", "deep", "--pairs", DIGITS.name, "--time-limit", "0", "--out", str(out)])
        assert f"time is up before: {left} {DIGITS.name} seed 0" in capsys.readouterr().out
        assert len(out.read_text().splitlines()) == n_cells


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "deep", "--pairs", "cnn-nothing"], "None of cnn-nothing"),
        (["--suite", "deep", "--methods", "ucb"], "No method 'ucb'"),
        (["--suite", "deep", "--phases", "dense"], "None of dense. Phases of this suite: confirmatory, later"),
    ],
)
def test_names_that_are_not_there_are_refused(no_cache, tmp_path, arguments, message):
    with pytest.raises(SystemExit, match=message):
        command.main(["run", *arguments, "--out", str(tmp_path / "records.jsonl")])


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b"])
def test_a_part_is_one_of_several(text):
    with pytest.raises(SystemExit):
        command.parse(["run", "--part", text])


def test_the_pairs_have_names_and_data_of_their_own():
    assert DIGITS.name not in PAIRS  # it is no evidence
    assert all(name == pair.name for name, pair in PAIRS.items())


@pytest.mark.parametrize("make", [DIGITS.parts, quick.sums])
def test_the_parts_of_the_quick_pairs_have_no_row_in_common(make):
    parts = make(0)
    rows = np.concatenate([part.X for part in parts])
    labelled = np.concatenate([np.concatenate([part.X, part.y[:, None]], axis=1) for part in parts])
    assert len(np.unique(labelled, axis=0)) == len(np.unique(rows, axis=0))  # a row has one class
    assert len(np.unique(rows, axis=0)) == len(rows)
    assert len(parts.select.y) % 32 == 0
    assert (make(0).fit.X == parts.fit.X).all()
    assert (make(1).fit.X != parts.fit.X).any()


def test_a_hash_tells_networks_apart():
    one = {"a": {"W": np.zeros((2, 3), np.float32)}}
    other = {"a": {"W": np.zeros((3, 2), np.float32)}}
    assert subject.hash_of(one) == subject.hash_of({"a": {"W": np.zeros((2, 3), np.float32)}})
    assert subject.hash_of(one) != subject.hash_of(other)
    assert subject.hash_of(one) != subject.hash_of({"b": one["a"]})
