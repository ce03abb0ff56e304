import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skbandit._tabular.features import splitting
from skbandit._tabular.features.hashing import row_ranks
from skbandit._tabular.features.splitting import held_out_rows

FEW = settings(max_examples=60, deadline=None, derandomize=True)
SEEDS = st.integers(0, 2**31 - 1)
FRACTIONS = st.floats(0.05, 0.95)
STARTS = st.sampled_from([0.0, 0.25, 0.6])


@st.composite
def tables(draw):
    """Draw rows, targets, weights and whether the targets are classes: many copies, or none; dominating values."""
    rng = np.random.default_rng(draw(st.integers(0, 2**31 - 1)))
    n = draw(st.sampled_from([1, 2, 5, 30, 120, 400]))
    n_values = draw(st.sampled_from([1, 2, 6, 40, 10**6]))
    X = rng.integers(0, n_values, (n, draw(st.integers(1, 2)))).astype(float)
    X[rng.random(n) < draw(st.sampled_from([0.0, 0.0, 0.7]))] = 0
    classes = draw(st.booleans())
    noise = draw(st.sampled_from([0.0, 0.3, 10.0]))
    y = np.sin(X.sum(axis=1)) + noise * rng.normal(size=n)
    y = np.digitize(y, [-0.5, 0.5][: draw(st.integers(1, 2))]).astype(float) if classes else y
    if not classes and draw(st.booleans()):
        y = np.round(y, 1)
    weight = rng.integers(0, 4, n).astype(float) if draw(st.booleans()) else np.ones(n)
    weight[0] = 1
    return X, y[:, None], weight, classes


def split(table, fraction, seed, start=0.0, rows=slice(None), weight=None):
    X, y, own, classes = table
    strata = y[rows, 0].astype(int) if classes else None
    weight = own[rows] if weight is None else weight
    return held_out_rows(X[rows], weight, fraction, seed, strata, start=start, y=y[rows], classes=classes)


def numbered(*columns):
    return np.unique(np.column_stack(columns), axis=0, return_inverse=True)[1].ravel()


@FEW
@given(table=tables(), seed=SEEDS, fraction=FRACTIONS, start=STARTS)
def test_copies_of_a_row_share_one_fate(table, seed, fraction, start):
    X, y, weight, _ = table
    share = split(table, fraction, seed, start)
    assert set(share) <= {0.0, 1.0, fraction}
    assert not share[weight == 0].any()
    pair = numbered(X, y)
    for p in np.unique(pair):
        assert np.unique(share[(pair == p) & (weight > 0)]).size <= 1


@FEW
@given(table=tables(), seed=SEEDS, fraction=FRACTIONS, start=STARTS, data=st.data())
def test_the_order_of_the_rows_does_not_matter(table, seed, fraction, start, data):
    order = np.random.default_rng(data.draw(SEEDS)).permutation(len(table[0]))
    share = split(table, fraction, seed, start)
    np.testing.assert_array_equal(split(table, fraction, seed, start, rows=order), share[order])


@FEW
@given(table=tables(), seed=SEEDS, fraction=FRACTIONS, start=STARTS)
def test_an_integer_weight_is_a_repeated_row(table, seed, fraction, start):
    weight = table[2]
    rows = np.repeat(np.arange(weight.size), weight.astype(int))
    repeated = split(table, fraction, seed, start, rows=rows, weight=np.ones(rows.size))
    np.testing.assert_array_equal(repeated, split(table, fraction, seed, start)[rows])


@FEW
@given(table=tables(), seed=SEEDS, fraction=FRACTIONS, start=STARTS, factor=st.floats(1e-7, 1e6) | st.just(1e200))
def test_a_factor_on_all_weights_changes_nothing(table, seed, fraction, start, factor):
    scaled = split(table, fraction, seed, start, weight=factor * table[2])
    np.testing.assert_array_equal(scaled, split(table, fraction, seed, start))


@FEW
@given(table=tables(), seed=SEEDS, fraction=st.floats(0.05, 0.5), start=STARTS)
def test_the_share_of_the_weight_is_the_one_asked_for(table, seed, fraction, start):
    X, y, weight, classes = table
    share = split(table, fraction, seed, start)
    there = weight > 0
    if np.unique(numbered(X, y)[there]).size == 1:
        assert not share.any()
        return
    # What is not cut is of pairs of at most 2 % of the weight, and the one that crosses the share is on its right side.
    # Of a class, the only pair that is not cut stays.
    total, n_strata = weight.sum(), np.unique(y[there]).size if classes else 1
    assert abs(share @ weight - fraction * total) <= 0.01 * total * n_strata + 1e-9


@FEW
@given(table=tables(), seed=SEEDS, fraction=FRACTIONS, start=STARTS)
def test_every_heavy_row_value_and_every_class_is_trained(table, seed, fraction, start):
    X, y, weight, classes = table
    trains = (1 - split(table, fraction, seed, start)) * weight
    value = numbered(X)
    heavy = np.bincount(value, weights=weight) > 0.02 * weight.sum() * (1 + 1e-6)
    assert (np.bincount(value, weights=trains)[heavy] > 0).all()
    if classes:
        for label in np.unique(y[weight > 0]):
            assert trains[y[:, 0] == label].sum() > 0


@pytest.mark.parametrize("seed", range(5))
def test_a_heavy_value_of_many_targets_is_trained_whatever_is_drawn(seed):
    # Half of the rows have one value, each with a target of its own: with nine tenths held out, all of some may be.
    rng = np.random.default_rng(seed)
    X, y = np.r_[np.zeros(12), np.arange(1.0, 401)][:, None], rng.normal(size=(412, 1))
    share = held_out_rows(X, np.ones(412), 0.9, seed, y=y)
    assert (share[:12] < 1).any()


def test_of_many_distinct_rows_those_of_the_lowest_ranks_are_held_out():
    rng = np.random.default_rng(0)
    X, strata = rng.normal(size=(320, 2)), np.repeat([0, 1, 2], [200, 100, 20])
    share = held_out_rows(X, np.ones(320), 0.1, 7, strata, y=strata[:, None], classes=True)
    ranks = row_ranks(X, 7)
    for label, n_held in enumerate([20, 10, 2]):
        rows = np.flatnonzero(strata == label)
        lowest = rows[np.argsort(ranks[rows])[:n_held]]
        np.testing.assert_array_equal(np.sort(lowest), rows[share[rows] == 1])
    assert share.sum() == 32


def test_copies_without_a_second_target_are_held_out_whole():
    # A fifth of the rows is there twice: no repeated measurements, but copies, as of a table that was joined.
    X = np.random.default_rng(0).normal(size=(400, 2))
    X, y = np.r_[X, X[:100]], np.r_[X.sum(axis=1), X[:100].sum(axis=1)][:, None]
    share = held_out_rows(X, np.ones(500), 0.2, 0, y=y)
    assert set(share) == {0.0, 1.0}
    np.testing.assert_array_equal(share[:100], share[400:])


@pytest.mark.parametrize("n_cells", [2, 4, 24, 100, 300])
@pytest.mark.parametrize("classes", [False, True])
def test_cells_that_were_measured_again_are_cut(n_cells, classes):
    # Each cell has a mean of its own: if it is held out, nothing tells about it.
    rng = np.random.default_rng(n_cells)
    mean, cell = rng.normal(size=n_cells), np.repeat(np.arange(n_cells), 7)
    y = mean[cell] + 0.5 * rng.normal(size=cell.size)
    y = (y > 0).astype(float) if classes else y
    strata = y.astype(int) if classes else None
    share = held_out_rows(
        cell[:, None].astype(float), np.ones(cell.size), 0.2, 0, strata, y=y[:, None], classes=classes
    )
    assert (share == 0.2).all()


def test_repeated_measurements_that_tell_little_are_held_out_whole():
    # The noise is 20 times the spread of the cells' means: those are not known, and a best epoch is worth more.
    rng = np.random.default_rng(0)
    cell = np.repeat(np.arange(300), 7)
    y = rng.normal(size=300)[cell] + 20 * rng.normal(size=cell.size)
    share = held_out_rows(cell[:, None].astype(float), np.ones(cell.size), 0.2, 0, y=y[:, None])
    assert set(share) == {0.0, 1.0}
    assert share.mean() == pytest.approx(0.2, abs=0.001)


def test_a_dominating_row_is_cut_and_the_others_are_not():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 4))
    X[:700] = 0
    y = np.where(np.arange(1000) < 700, 0.0, X.sum(axis=1))[:, None]
    for seed in range(5):
        share = held_out_rows(X, np.ones(1000), 0.2, seed, y=y)
        assert (share[:700] == 0.2).all()
        assert set(share[700:]) == {0.0, 1.0}
        assert share.mean() == pytest.approx(0.2, abs=0.001)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_targets_of_any_size_are_compared(n_outputs):
    rng = np.random.default_rng(0)
    cell = np.repeat(np.arange(100), 5)
    y = (rng.normal(size=(100, n_outputs))[cell] + 0.1 * rng.normal(size=(cell.size, n_outputs))) * 1e200
    y[:, 1:] = 3.0  # a constant output says nothing about cells
    share = held_out_rows(cell[:, None].astype(float), np.ones(cell.size), 0.2, 0, y=y)
    assert (share == 0.2).all()


def test_without_targets_equal_rows_are_copies():
    X = np.r_[np.zeros(700), np.arange(1.0, 301)][:, None]
    share = held_out_rows(X, np.ones(1000), 0.2, 0)
    assert (share[:700] == 0.2).all()
    assert share.mean() == pytest.approx(0.2, abs=0.001)


@pytest.mark.parametrize("n_members", [2, 4, 5])
def test_windows_share_the_rows_evenly(n_members):
    rng = np.random.default_rng(0)
    X, strata = rng.normal(size=(120, 2)), np.repeat([0, 1], [80, 40])
    windows = [held_out_rows(X, np.ones(120), 0.25, 3, strata, start=k / n_members) for k in range(n_members)]
    for held in windows:
        assert [held[strata == s].sum() for s in (0, 1)] == [20, 10]
    # Each row is held out n_members / 4 times, rounded up or down.
    counts = np.sum(windows, axis=0)
    assert set(counts) <= {n_members // 4, -(-n_members // 4)}
    assert counts.sum() == 30 * n_members


def test_a_window_goes_on_from_the_first_row_after_the_last():
    X = np.random.default_rng(0).normal(size=(120, 2))
    order = np.argsort(row_ranks(X, 0))
    held = held_out_rows(X, np.ones(120), 0.25, 0, start=0.9)
    assert sorted(np.flatnonzero(held)) == sorted([*order[108:], *order[:18]])


def test_rows_without_weight_take_no_place():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    weight = np.r_[np.ones(100), np.zeros(100)]
    held = held_out_rows(X, weight, 0.2, 0)
    assert held[:100].sum() == 20
    np.testing.assert_array_equal(held, np.r_[held_out_rows(X[:100], np.ones(100), 0.2, 0), np.zeros(100)])


def test_another_seed_is_another_split():
    X = np.random.default_rng(0).normal(size=(200, 2))
    splits = [held_out_rows(X, np.ones(200), 0.5, seed) for seed in range(8)]
    for i in range(8):
        for j in range(i):
            # Two independent halves agree on 100 ± 7 rows; 5 standard deviations are 35.
            assert abs(int((splits[i] == splits[j]).sum()) - 100) < 36


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_held_out_rows_look_like_the_others(fraction):
    X = np.random.default_rng(1).normal(size=(2000, 1))
    held = held_out_rows(X, np.ones(2000), fraction, 0) == 1
    n_held = fraction * 2000
    assert abs(X[held].mean() - X[~held].mean()) < 5 * np.sqrt(1 / n_held + 1 / (2000 - n_held))


def test_rows_that_are_equal_in_the_networks_precision_are_on_one_side():
    # 0.1 as a float64, and what is left of it in float32: two rows for the one, one row for the other.
    X = np.random.default_rng(0).normal(size=(140, 2))
    both = np.concatenate([X, X.astype(np.float32).astype(np.float64)])
    assert np.unique(row_ranks(both, 0)).size == 280
    assert np.unique(row_ranks(both, 0, "float32")).size == 140
    held = held_out_rows(both, np.ones(280), 0.5, 0, dtype="float32")
    assert held.sum() == 140
    np.testing.assert_array_equal(held[:140], held[140:])
    # So it does not matter in which precision the rows came.
    np.testing.assert_array_equal(held_out_rows(X.astype(np.float32), np.ones(140), 0.5, 0), held[:140])


def window_of_one_stratum(whole, rank, mass, fraction, start, to_spare):
    """Say what is drawn of one stratum, written plainly: i[m]."""
    ordered = whole[np.argsort(rank[whole], kind="stable")]
    if not ordered.size:
        return ordered
    filled = np.cumsum(mass[ordered])
    if start > 0:
        first = np.searchsorted(filled - 0.5 * mass[ordered], start * filled[-1] * (1 - splitting.SLACK))
        ordered = np.roll(ordered, -int(first))
        filled = np.cumsum(mass[ordered])
    n = int(np.sum(filled - 0.5 * mass[ordered] <= fraction * filled[-1] * (1 + splitting.SLACK)))
    return ordered[: min(n, max(to_spare, 0))]


@FEW
@given(
    seed=SEEDS,
    fraction=FRACTIONS,
    start=STARTS,
    n_strata=st.sampled_from([1, 3, 40]),
    block=st.sampled_from([1, 7, splitting.BLOCK_PAIRS]),
)
def test_strata_in_blocks_are_drawn_as_each_by_itself(seed, fraction, start, n_strata, block):
    rng = np.random.default_rng(seed)
    stratum, mass = 3 * rng.integers(0, n_strata, 80), rng.exponential(size=80)
    rank, cut = rng.integers(0, 60, 80).astype(np.uint64), rng.random(80) < 0.2
    expected = []
    for s in np.unique(stratum):
        whole = np.flatnonzero((stratum == s) & ~cut)
        to_spare = whole.size if cut[stratum == s].any() else whole.size - 1
        expected.extend(window_of_one_stratum(whole, rank, mass, fraction, start, to_spare))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splitting, "BLOCK_PAIRS", block)
        found = splitting._drawn(stratum, rank, mass, cut, fraction, start)
    assert sorted(found) == sorted(expected)


def test_no_loop_goes_over_the_strata(monkeypatch):
    looks = []
    monkeypatch.setattr(splitting, "_window", lambda *args, of=splitting._window: looks.append(args) or of(*args))
    rng = np.random.default_rng(0)
    for n_strata in (2, 3000):
        stratum = np.append(np.arange(n_strata), rng.integers(0, n_strata, 9000))
        looks.clear()
        share = held_out_rows(rng.normal(size=(stratum.size, 2)), np.ones(stratum.size), 0.2, 0, stratum)
        assert 0.15 < share.mean() < 0.25
        assert len(looks) <= 2


@pytest.mark.parametrize("light", [1e-8, 1e-12, 1e-16, 1e-17, 1e-300, 5e-324])
def test_targets_of_next_to_no_weight_are_no_repeated_measurements(light):
    # Each row value has one target that counts and one that does not: 60 rows, of which six are held out whole or cut.
    rng = np.random.default_rng(0)
    X, y = np.repeat(rng.normal(size=(60, 2)), 2, axis=0), rng.normal(size=(120, 1))
    share = held_out_rows(X, np.tile([1.0, light], 60), 0.1, 0, y=y)
    counts = share[::2]
    assert set(counts) <= {0, 0.1, 1}
    assert counts.sum() == pytest.approx(6)


@pytest.mark.parametrize("classes", [False, True])
def test_weights_that_are_nothing_beside_others_are_those_of_rows_that_are_not_there(classes):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 2)), rng.integers(0, 3, (120, 1)).astype(float)
    there = rng.random(120) < 0.5
    options = {"y": y, "classes": classes, "strata": y[:, 0].astype(int) if classes else None}
    tiny = held_out_rows(X, np.where(there, 1e30, 1e-300), 0.1, 0, **options)
    np.testing.assert_array_equal(tiny, held_out_rows(X, np.where(there, 1e30, 0), 0.1, 0, **options))


def test_few_light_rows_beside_heavy_ones_are_cut_however_light():
    X = np.arange(12.0)[:, None]
    shares = [held_out_rows(X, np.where(np.arange(12) < 10, light, 1.0), 0.1, 0) for light in (1e-100, 1e-200)]
    np.testing.assert_array_equal(*shares)
    assert set(shares[0]) == {0.1}
