"""The certified suite: the networks, what is removed, and the records."""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.evidence import bounds, certified
from skbandit.networks import DENSE_LAYERS, offers

TINY = certified.Net("tiny", (8, 6), True)


@pytest.fixture
def tiny(monkeypatch):
    """A pair of two classes that a network learns in no time."""
    rng = np.random.default_rng(0)

    def rows(n):
        X = rng.uniform(size=(n, 4)).astype(np.float32)
        return certified.Rows(X, (X[:, 0] + X[:, 1] > 1).astype(np.int32))

    parts = certified.Parts(rows(640), rows(128), rows(100))
    monkeypatch.setitem(certified.NETS, "tiny", TINY)
    monkeypatch.setattr(certified, "parts_of", lambda net, seed: parts)
    certified.case.cache_clear()
    certified.made.cache_clear()
    yield parts
    certified.case.cache_clear()
    certified.made.cache_clear()


def test_the_network_is_a_chain_of_dense_layers():
    network = certified.ReluNetwork((4, 8, 6, 2))
    assert offers(network, DENSE_LAYERS)
    params = certified.draw(0, network.layer_sizes)
    X = np.random.default_rng(0).uniform(size=(5, 4)).astype(np.float32)
    gates = (jnp.ones(8).at[3].set(0), jnp.ones(6))
    emissions = (jnp.full(8, 0.5), jnp.zeros(6))
    # By hand: unit 3 gives out 0.5 whatever comes in.
    h = np.maximum(X @ params[0][0] + params[0][1], 0)
    h[:, 3] = 0.5
    expected = np.maximum(h @ params[1][0] + params[1][1], 0) @ params[2][0] + params[2][1]
    found, hidden = network.forward(params, gates, emissions, X)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(hidden[0], h, rtol=1e-4, atol=1e-5)
    assert network.n_macs((3, 5)) == 4 * 3 + 3 * 5 + 5 * 2
    y = np.array([0, 1, 1, 0, 1])
    weight = np.array([0.5, 0.5, 0, 0, 0], np.float32)
    log_shares = expected - np.log(np.exp(expected).sum(axis=1, keepdims=True))
    loss = network.batch_loss(params, gates, emissions, X, y, weight)
    np.testing.assert_allclose(loss, -0.5 * (log_shares[0, 0] + log_shares[1, 1]), rtol=1e-4)


def test_training_learns(tiny):
    params = certified.train(certified.draw(1, (4, 8, 6, 2)), tiny.fit, epochs=20, rate=1e-2, seed=0)
    accuracy = (bounds.outputs(params, tiny.report.X).argmax(axis=1) == tiny.report.y).mean()
    assert accuracy > 0.9
    again = certified.train(certified.draw(1, (4, 8, 6, 2)), tiny.fit, epochs=20, rate=1e-2, seed=0)
    jax.tree.map(np.testing.assert_array_equal, params, again)


@pytest.mark.parametrize("method", certified.PRUNED)
def test_half_of_each_layer_is_removed(tiny, method):
    params = certified.train(certified.draw(0, (4, 8, 6, 2)), tiny.fit, epochs=5, rate=1e-2, seed=0)
    smaller = certified.removed(certified.ReluNetwork((4, 8, 6, 2)), params, tiny.select, method, 0)
    assert [W.shape for W, _ in smaller] == [(4, 4), (4, 3), (3, 2)]
    if method != "stable_units":  # it may hand units over to others
        columns = params[0][0].T.tolist()
        assert all(column in columns for column in smaller[0][0].T.tolist())


def test_a_record_is_a_cell_and_cells_are_done_once(tiny, tmp_path, capsys):
    out = tmp_path / "certified.jsonl"
    assert certified.run(out, [0], ["tiny"], 10)
    lines = out.read_text().splitlines()
    records = [json.loads(line) for line in lines]
    keys = [key for key, _ in certified.cells([0], ["tiny"])]
    assert [certified.key_of(r) for r in records] == keys
    assert len(keys) == len(set(keys)) == len(certified.METHODS) * len(certified.EPSILONS)
    for r in records:
        assert r["certified_ibp"] <= r["certified"] <= r["attacked"] <= r["clean"]
        pruned = r["method"] not in ("unpruned", "trained_on")
        assert r["widths"] == ([4, 3] if pruned else [8, 6])
        assert r["ratio"] == (0.5 if pruned else 0)
    # Nothing is done twice; what is lost is done again, and comes out the same.
    assert certified.run(out, [0], ["tiny"], 10)
    assert out.read_text().splitlines() == lines
    out.write_text("\n".join(lines[:-1]) + "\n")
    assert certified.run(out, [0], ["tiny"], 10)
    again = json.loads(out.read_text().splitlines()[-1])
    same = {"method", "epsilon", "certified", "clean", "attacked", "unstable", "accuracy"}
    assert {k: again[k] for k in same} == {k: records[-1][k] for k in same}
    out.unlink()
    assert not certified.run(out, [0], ["tiny"], 0)
    capsys.readouterr()
    table = certified.table(records, certified.EPSILONS[0])
    assert f"{100 * records[0]['certified']:.1f}" in table.splitlines()[2]


def test_gains_are_means_over_networks_of_means_over_seeds():
    epsilon = certified.EPSILONS[0]
    records = [
        {"pair": f"net {n}", "method": method, "epsilon": epsilon, "seed": seed, "certified": 0.1 * n + seed / 100 + up}
        for n in range(8)
        for seed in range(2)
        for method in certified.METHODS
        for up in [0.05 * (method == "ucb1") - 0.02 * (n < 3) * (method == "random") + 0.01 * (method == "scratch")]
    ]
    lines = certified.comparison(records, epsilon).splitlines()
    of = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in lines[2:]}
    # 8 gains of one sign: the exact two-sided p is 2 / 2^8 = 0.0078, times 6 comparisons.
    assert of["ucb1"] == ["+5.0", "8 / 8", "0.047", "+5.0", "8 / 8", "0.047", "+4.0", "8 / 8", "0.047"]
    assert of["random"][:2] == ["-0.8", "0 / 8"]  # -2 points on 3 of 8
    assert of["magnitude"][6:] == ["-1.0", "0 / 8", "0.047"]
    assert certified.comparison([], epsilon) == ""


def test_only_whole_comparisons_are_shown():
    pair, other = list(certified.NETS)[:2]
    records = [
        {"kind": "certified", "pair": p, "seed": seed, "method": method, "epsilon": epsilon, "n": n}
        for n, (p, seed) in enumerate([(other, 0), (pair, 1), (pair, 0)])
        for method in certified.METHODS
        for epsilon in certified.EPSILONS
    ]
    n = len(certified.METHODS) * len(certified.EPSILONS)
    assert [r["n"] for r in certified.complete(records)] == [2] * n + [1] * n + [0] * n
    assert [r["n"] for r in certified.complete(records[1:])] == [2] * n + [1] * n
    assert [r["n"] for r in certified.complete([*records[:-1], records[0]])] == [1] * n + [0] * n


@pytest.mark.parametrize(("data", "hidden", "image"), [("mnist10k", (8,), True), ("spambase", (8,), False)])
def test_rows_are_split_into_disjoint_parts(data_folder, data, hidden, image):
    parts = certified.parts_of(certified.Net(data, hidden, image), 0)
    assert {part.X.dtype for part in parts} == {np.dtype("float32")}
    assert len(parts.select.y) == (certified.SELECT if image else len(parts.select.y))
    if image:
        assert len(parts.report.y) == 2000
        assert sum(len(part.y) for part in parts) == 10_000
        assert all(part.X.min() >= 0 and part.X.max() <= 1 for part in parts)
        rows = [{row.tobytes() for row in part.X} for part in parts]
        assert sum(map(len, rows)) == len(set.union(*rows))
    else:
        np.testing.assert_allclose(parts.fit.X.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(parts.fit.X.std(axis=0), 1, atol=1e-4)
    other = certified.parts_of(certified.Net(data, hidden, image), 1)
    assert not np.array_equal(parts.report.y, other.report.y)
