"""The rows of the pairs: how they are divided, and the generators against brute force."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.common import datasets
from benchmarks.deep.pairs import PAIRS, data, generators
from benchmarks.deep.pairs.pair import Rows

SELECT, GUARD = 1024, 500
with_data = pytest.mark.skipif(not datasets.available(), reason="the folder of public data sets is not there")


def contents(rows):
    return {row.tobytes() for row in rows.X}


def same(a, b):
    return all((x.X == y.X).all() and (x.y == y.y).all() for x, y in zip(a, b, strict=True))


# --- how rows are divided ---------------------------------------------------------------------------------------------


def numbers(n):
    """Rows that say what their class is."""
    X = np.arange(n, dtype=np.int32)[:, None]
    return Rows(X, (X[:, 0] * 7) % 5)


def test_drawn_parts_are_disjoint_and_hold_each_row_once():
    rows = numbers(4000)
    doubled = Rows(np.concatenate([rows.X, rows.X[:300]]), np.concatenate([rows.y, rows.y[:300]]))
    parts = data.divide(doubled, 0, 1000)
    assert [len(part.y) for part in parts] == [4000 - 1000 - SELECT - GUARD, SELECT, GUARD, 1000]
    assert sorted(np.concatenate([part.X[:, 0] for part in parts])) == list(range(4000))
    assert all((part.y == (part.X[:, 0] * 7) % 5).all() for part in parts)


def test_official_rows_are_reported_but_for_those_that_are_trained_on():
    rows = numbers(4000)
    official = np.arange(4000) >= 3000
    rows.X[3000:3100] = rows.X[:100]
    parts = data.divide(rows, 0, official, guard=300)
    assert [len(part.y) for part in parts] == [3000 - SELECT - 300, SELECT, 300, 900]
    assert sorted(parts.report.X[:, 0]) == list(range(3100, 4000))
    assert sorted(np.concatenate([part.X[:, 0] for part in parts[:3]])) == list(range(3000))


def test_rows_of_one_text_are_one_row():
    rows = numbers(3000)
    texts = [str(number // 2) for number in range(3000)]
    parts = data.divide(rows, 0, 200, guard=100, texts=texts)
    kept = np.concatenate([part.X[:, 0] // 2 for part in parts])
    assert sorted(kept) == list(range(1500))


def test_a_seed_changes_all_parts_and_the_same_seed_none():
    rows = numbers(4000)
    once, again, other = (data.divide(rows, seed, 1000) for seed in (0, 0, 1))
    assert same(once, again)
    assert all(contents(a) != contents(b) for a, b in zip(once, other, strict=True))


def test_words_are_those_of_the_rows_to_train_on():
    n = 2000
    texts = [f"w{i} common w{i}" if i % 2 else f"once{i} common" for i in range(n)]
    parts = data.divided_texts(texts, np.arange(n) % 3, 0, 4, 100)
    n_known = sum(len({int(t) for t in row if t > 2}) for part in parts[:3] for row in part.X)
    assert parts.n_tokens == 3 + n_known  # padding, unknown, "common", and a word of each row that has one twice
    assert {len(set(part.X[:, 1])) for part in parts} == {1}
    assert set(parts.report.X[:, 0]) == {1}  # words of its own
    assert (parts.fit.X[:, 3] == 0).all()


@with_data
@pytest.mark.parametrize(
    ("name", "report"),
    [("mlp-mnist", 2000), ("cnn-usps", 2007), ("cnn-mnist1d", 1000), ("transformer-listops", 1500)],
)
def test_rows_of_a_pair_are_disjoint(name, report):
    parts = PAIRS[name].parts(0)
    assert [len(part.y) for part in parts[1:]] == [SELECT, GUARD, report]
    assert len(parts.fit.y) > 2000
    assert sum(len(contents(part)) for part in parts) == len(set.union(*map(contents, parts)))
    assert sum(len(part.y) for part in parts) == sum(len(contents(part)) for part in parts)
    assert {int(label) for part in parts for label in part.y} == set(range(parts.n_classes))
    assert same(parts, PAIRS[name].parts(0))


@with_data
@pytest.mark.parametrize(
    ("name", "official"), [("textcnn-trec", 500), ("lstm-sst2", 1821), ("transformer-babi1", 1000)]
)
def test_sentences_have_the_sizes(name, official):
    pair = PAIRS[name]
    parts = (pair.official or pair.parts)(0)
    assert [len(part.y) for part in parts[1:3]] == [SELECT, GUARD]
    assert 0.97 * official < len(parts.report.y) <= official  # without those that stand among the others
    assert parts.fit.X.dtype == np.int32
    if pair.official:
        assert [len(part.y) for part in pair.parts(0)[1:]] == [SELECT, GUARD, 1000]


@with_data
def test_stories_begin_with_the_question_and_the_latest_sentence():
    parts = data.stories((1,), 0, 12, 6)
    X = parts.fit.X
    assert X.shape[1:] == (13, 6)
    where, is_ = X[0, 0, :2]  # "where is mary"
    assert (X[:, 0, :2] == (where, is_)).all()
    assert ((X[:, 0] > 0).sum(1) == 3).all()
    # The answer is the last word of the latest sentence that begins with who is asked for.
    ends = {}
    for row, answer in zip(X, parts.fit.y, strict=True):
        sentence = next(s for s in row[1:] if s[0] == row[0, 2])
        ends.setdefault(int(answer), set()).add(int(sentence[sentence > 0][-1]))
    assert all(len(found) == 1 for found in ends.values())


# --- generators -------------------------------------------------------------------------------------------------------


def test_sums_are_those_of_all_pairs():
    X, y = generators.modular_sums(7)
    expected = {(a, b): (a + b) % 7 for a, b in itertools.product(range(7), repeat=2)}
    assert {(int(a), int(b)): int(c) for (a, b, _), c in zip(X, y, strict=True)} == expected
    assert (X[:, 2] == 7).all()
    parts = data.sums(0)
    assert [len(part.y) for part in parts] == [97**2 // 2, SELECT, GUARD, 97**2 - 97**2 // 2 - SELECT - GUARD]
    assert sum(len(contents(part)) for part in parts) == 97**2


def brute_force(text):
    """Evaluate an expression by Python's own parser, with every operator as a function of the standard library."""
    import statistics

    names = {"[MIN": "min", "[MAX": "max", "[MED": "middle", "[SM": "last_digit"}
    code = "".join(f"{names[t]}([" if t in names else "])," if t == "]" else f"{t}," for t in text.split())
    functions = {"middle": lambda v: int(statistics.median(v)), "last_digit": lambda v: sum(v) % 10}
    return eval(code, {"min": min, "max": max, **functions})[0]


def test_drawn_expressions_have_their_values():
    rng = np.random.default_rng(0)
    drawn = [generators.list_operation(rng) for _ in range(400)]
    assert all(one.value == brute_force(one.text) == generators.value_of(one.text) for one in drawn)
    assert {token for one in drawn for token in one.text.split()} == set(generators.TOKENS)
    # An operator comes first in a quarter: three standard errors of 400 draws are 0.065.
    assert abs(np.mean([one.text[0] == "[" for one in drawn]) - 0.25) < 0.065


def test_expressions_are_different_short_and_the_same_twice():
    X, y = generators.list_operations(300, 0, 30)
    again = generators.list_operations(300, 0, 30)
    assert all((one == other).all() for one, other in zip((X, y), again, strict=True))
    assert len({row.tobytes() for row in X}) == 300
    names = {number: token for token, number in generators.TOKENS.items()}
    texts = [" ".join(names[int(t)] for t in row if t) for row in X]
    assert [brute_force(text) for text in texts] == list(y)


@with_data
def test_stored_expressions_have_their_values():
    frame = data.table("reasoning", "listops")
    assert [generators.value_of(text) for text in frame["text"][:3000]] == list(frame["target"][:3000].astype(int))


def test_signals_are_the_published_ones():
    X, y = data.published_signals()
    assert X.shape == (5000, 40)
    # The file of the data set: https://github.com/greydanus/mnist1d, mnist1d_data.pkl.
    np.testing.assert_allclose(X[0, :6], [-0.33201, -0.47191, -0.7787, -1.00974, -0.88235, 0.10393], atol=1e-5)
    np.testing.assert_allclose(X[-1, -6:], [-0.39591, -0.09865, 0.44723, 0.65988, 0.87773, 1.19315], atol=1e-5)
    assert list(y[:12]) == [2, 6, 4, 5, 6, 6, 6, 0, 3, 1, 6, 9]
    assert list(y[-6:]) == [1, 2, 5, 9, 6, 4]
    assert np.bincount(y).tolist() == [500] * 10
