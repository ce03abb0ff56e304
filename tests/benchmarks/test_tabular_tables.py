"""The tables of the comparison on tabular sets: whose seconds they show, models on a few folds, development sets."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.tabular import development, report

SETS = {"wheat": "regression", "barley": "regression", "rye": "classification"}


def record(data, model, score, fold=0, seed=0, machine="new", seconds=1.0, **fields):
    task = SETS[data]
    found = {"data": data, "task": task, "seed": seed, "fold": fold, "model": model, "score": score}
    found |= {"machine": machine, "fit_seconds": seconds, "cpu_seconds": seconds, "compile_seconds": 0.0}
    found |= {"predict_1_seconds": 0.001, "predict_1000_seconds": 0.01, "bytes": 2048, "n_parameters": 10}
    found |= {"error": None, "skipped": False, "max_rows": 2000, "note": "", "versions": {}}
    return found | ({"log_loss": 1 - score} if task == "classification" else {}) | fields


def written(path, records):
    path.write_text("".join(json.dumps(one) + "\n" for one in records), encoding="utf-8")
    return path


def test_seconds_are_of_the_machine_that_ran_the_most_models():
    records = [record("wheat", "ridge", 0.5, fold, machine="old", seconds=9.0) for fold in range(3)]
    records += [record("wheat", "knn", 0.5, seconds=2.0), record("wheat", "ridge", 0.5, seed=1, seconds=1.0)]
    records += [record("barley", "knn", 0.5, seconds=5.0, bytes=8192)]  # a set that one of the models lacks there
    records += [record("barley", "ridge", 0.5, machine="old", seconds=5.0)]
    frame = pd.DataFrame(records)
    machine, found = report.of_one_machine(frame)
    assert (machine, len(found)) == ("new", 3)
    cost = report.costs(frame, report.scores_of(frame, "regression"))
    assert cost["fit_seconds"].to_dict() == pytest.approx({"ridge": 1.0, "knn": 2.0})
    assert cost["bytes"].to_dict() == pytest.approx({"ridge": 2048, "knn": 4096})


def test_models_on_a_few_folds_are_compared_on_these(tmp_path):
    others = ("CatBoost", *report.CONTROLS)
    full = [record(data, name, 0.1, fold) for data in ("wheat", "barley") for fold in (1, 2) for name in others]
    full += [record("wheat", name, 0.75 - 0.01 * i, 0) for i, name in enumerate(others)]
    full += [record("barley", name, 0.25 - 0.01 * i, 0) for i, name in enumerate(others)]
    few = written(tmp_path / "few.jsonl", [record("wheat", "TabM", 0.875), record("barley", "TabM", 0.135)])
    parts = report.on_few_folds(pd.DataFrame(full), [few], tmp_path)
    (row,) = [line for line in parts[-1].splitlines() if line.startswith("| TabM")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:7] == ["TabM", "regression", "2 of 2", "0.505", "0.500", "0.490", "0.480"]
    assert cells[7:9] == ["1 / 0 / 1", "1 / 0 / 1"]
    assert "[few.jsonl](few.jsonl)" in "\n".join(parts)
    # A control that has not been run is not in the table.
    alone = pd.DataFrame([one for one in full if one["model"] != report.CONTROLS[0]])
    assert report.CONTROLS[0] not in report.on_few_folds(alone, [few], tmp_path)[-1]
    assert report.on_few_folds(pd.DataFrame(full), [], tmp_path) == []


def test_the_table_of_the_development_sets(tmp_path):
    names = {"earlier_fast-1 @0": 0.5, "default-4 @0.5": 0.75}
    records = [record(data, name, score, fold) for data in SETS for name, score in names.items() for fold in range(2)]
    records.append(record("wheat", "default-4 @0.5", 0.0, fold=2))  # a fit that the other model does not have
    out = tmp_path / "page.md"
    development.main([str(written(tmp_path / "dev.jsonl", records)), "--out", str(out), "--without", "barley"])
    text = out.read_text(encoding="utf-8")
    assert "2 sets, 2 fits of each" in text
    assert "Without barley (error 0.5000 of earlier_fast-1 @0, error 0.2500 of default-4 @0.5)" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| default-4 @0.5")]
    assert "| -50.0 ± 0.0 | -50.0 | 2 / 0 | -50.0 | -50.0 | -50.0 | 1 | 2 | 1 | 10 |" in row
    assert "| wheat | regression | 0.750 | 0.500 |" in text
    for wrong in (["absent.jsonl"], ["dev.jsonl", "--reference", "knn"], ["dev.jsonl", "--without", "oats"]):
        with pytest.raises(SystemExit):
            development.main([str(tmp_path / wrong[0]), *wrong[1:], "--out", str(out)])
