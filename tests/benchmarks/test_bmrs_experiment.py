"""The experiment of BMRS: the network, what is removed, and the records."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.evidence import bmrs
from benchmarks.evidence.certified import Rows
from skbandit.criteria import BMRSNormal


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(size=(6, 28, 28, 1)).astype(np.float32)


def reference(params, x):
    """The same network in other words, without gates."""
    for name in ("conv1", "conv2"):
        layout = ("NHWC", "HWIO", "NHWC")
        x = jax.lax.conv_general_dilated(x, params[name]["kernel"], (1, 1), "VALID", dimension_numbers=layout)
        x = jax.nn.relu(x + params[name]["bias"])
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    x = x.reshape(len(x), -1)
    for name in ("dense1", "dense2"):
        x = jax.nn.relu(x @ params[name]["kernel"] + params[name]["bias"])
    return x @ params["head"]["kernel"] + params["head"]["bias"]


def on(params):
    return tuple(jnp.ones(n) for n in bmrs.widths_of(params).values())


def test_shifted_copies_convolve(images):
    params = bmrs.draw(0, bmrs.WIDTHS)
    np.testing.assert_allclose(bmrs.apply(params, on(params), images), reference(params, images), rtol=1e-4, atol=1e-4)


def test_gates_of_rows_are_gates(images):
    params, rng = bmrs.draw(0, bmrs.WIDTHS), np.random.default_rng(1)
    by_row = tuple(rng.uniform(size=(len(images), n)).astype(np.float32) for n in bmrs.WIDTHS.values())
    together = bmrs.apply(params, by_row, images)
    for i in range(len(images)):
        alone = bmrs.apply(params, tuple(g[i] for g in by_row), images[i : i + 1])
        np.testing.assert_allclose(together[i], alone[0], rtol=1e-4, atol=1e-4)


@pytest.mark.exhaustive
def test_the_records_of_a_data_set(monkeypatch):
    rng = np.random.default_rng(0)
    rows = Rows(rng.uniform(size=(128, 28, 28, 1)).astype(np.float32), rng.integers(0, 10, 128).astype(np.int32))
    monkeypatch.setattr(bmrs, "split_of", lambda name, seed: bmrs.Split(rows, rows))
    monkeypatch.setattr(bmrs, "train", lambda params, *_: params)
    monkeypatch.setattr(bmrs, "accuracy", lambda params, rows: 1 / bmrs.size(params))
    monkeypatch.setattr(bmrs, "METHODS", ("unpruned", "bmrs_n", "magnitude", "scratch"))
    # The rate of the noise is high enough to remove something in a few steps.
    monkeypatch.setattr(bmrs, "criteria", lambda n: {"bmrs_n": BMRSNormal(n_steps=n, noise_learning_rate=1.0)})
    records = list(bmrs.run("mnist10k", 0, 40))
    assert [r["method"] for r in records] == list(bmrs.METHODS)
    unpruned, reduced, magnitude, scratch = records
    assert unpruned["compression"] == 0
    # 6 * 26 + 16 * (25 * 6 + 1) + 120 * (256 + 1) + 84 * 121 + 10 * 85
    assert unpruned["parameters"] == 156 + 2416 + 30840 + 10164 + 850
    assert 0 < reduced["compression"] < 1
    assert sum(magnitude["widths"].values()) == sum(reduced["widths"].values()) < sum(bmrs.WIDTHS.values())
    assert scratch["widths"] == reduced["widths"]
    assert scratch["parameters"] == reduced["parameters"]
    # The last two are done again, and the first are not.
    again = list(bmrs.run("mnist10k", 0, 40, [bmrs.key_of(r) for r in records[:2]]))
    assert [(r["method"], r["widths"]) for r in again] == [(r["method"], r["widths"]) for r in records[2:]]
    assert list(bmrs.run("mnist10k", 0, 40, [bmrs.key_of(r) for r in records])) == []
    row = bmrs.table(records, "mnist10k").splitlines()[3]
    assert f"| {100 * reduced['compression']:.1f} |" in row
    assert row.endswith("86.9 | 95.6 |")


def test_magnitude_keeps_as_many_units_as_bmrs_did():
    rng = np.random.default_rng(0)
    rows = Rows(rng.uniform(size=(64, 28, 28, 1)).astype(np.float32), rng.integers(0, 10, 64).astype(np.int32))
    kept = {"conv1": 3, "conv2": 8, "dense1": 20, "dense2": 10}
    params = bmrs.removed("magnitude", bmrs.draw(0, bmrs.WIDTHS), rows, 0, 1, kept)
    assert sum(bmrs.widths_of(params).values()) == sum(kept.values())
    assert bmrs.apply(params, on(params), rows.X[:2]).shape == (2, 10)


def test_the_report_shows_each_data_set_beside_the_paper():
    about = {"seed": 0, "steps": 40, "rows": 8000, "kind": "bmrs"}
    scores = {"bmrs_n": (0.9, 0.95, 0.97), "scratch": (0.9, None, 0.96)}
    records = [
        {**about, "data": "mnist10k", "method": name, "compression": c, "accuracy_raw": raw, "accuracy": tuned}
        for name, (c, raw, tuned) in scores.items()
    ]
    text = bmrs.section(records)
    assert "### mnist10k: 8000 rows to train on, 40 steps of the noise model" in text
    assert "fashion" not in text
    assert "| bmrs_n | 90.0 | 95.0 | 97.0 | 86.9 | 95.6 |" in text
    assert "| scratch | 90.0 | - | 96.0 | - | - |" in text
    assert bmrs.section([]) == ""
    # Runs of other lengths have tables of their own, and a seed that a method lacks counts for none.
    longer = [record | {"steps": 90, "accuracy_raw": 0.5} for record in records[:1]]
    seed = [records[0] | {"seed": 1, "accuracy": 0.1}]
    both = bmrs.section([*records, *longer, *seed])
    assert "| bmrs_n | 90.0 | 95.0 | 97.0 | 86.9 | 95.6 |" in both
    assert "| bmrs_n | 90.0 | 50.0 | 97.0 | 86.9 | 95.6 |" in both
    assert both.count("Seeds: 0.") == 2
