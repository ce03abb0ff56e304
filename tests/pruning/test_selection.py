import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skbandit.pruning.selection import choose_units, evenly, remark_on_damages, remark_on_slopes


@st.composite
def rankings(draw):
    sizes = draw(st.lists(st.integers(1, 7), min_size=1, max_size=4))
    layer = np.repeat(np.arange(len(sizes)), sizes)
    active = np.array(draw(st.lists(st.booleans(), min_size=layer.size, max_size=layer.size)))
    for g in range(len(sizes)):  # a layer is never empty
        active[np.flatnonzero(layer == g)[0]] = True
    values = st.one_of(st.integers(-3, 3).map(float), st.floats(), st.just(np.nan))
    value = np.array(draw(st.lists(values, min_size=layer.size, max_size=layer.size)))
    return value, active, layer, draw(st.integers(0, int(active.sum())))


MANY = settings(max_examples=100, deadline=None, derandomize=True)


@pytest.mark.parametrize("scope", ["global", "layer"])
@MANY
@given(case=rankings())
def test_as_many_units_leave_as_asked_for_and_no_layer_is_emptied(scope, case):
    value, active, layer, n_remove = case
    removed = choose_units(value, active, layer, n_remove, scope)
    assert not removed[~active].any()
    left = np.bincount(layer[active & ~removed], minlength=layer[-1] + 1)
    assert (left >= 1).all()
    assert removed.sum() == min(n_remove, active.sum() - (layer[-1] + 1))


@MANY
@given(case=rankings())
def test_the_safest_units_leave_first(case):
    value, active, layer, n_remove = case
    removed = choose_units(value, active, layer, n_remove, "global")
    safety = np.where(np.isnan(value), -np.inf, value)
    left = np.bincount(layer[active & ~removed], minlength=layer[-1] + 1)
    for unit in np.flatnonzero(removed):
        # A unit that is safer than one that left stays only as the last of its layer.
        better = active & ~removed & (safety > safety[unit])
        assert (left[layer[better]] == 1).all()
        assert (layer[better] != layer[unit]).all()


@MANY
@given(case=rankings())
def test_every_layer_gives_its_share(case):
    value, active, layer, n_remove = case
    removed = choose_units(value, active, layer, n_remove, "layer")
    n = np.bincount(layer[active])
    gone = np.bincount(layer[removed], minlength=n.size)
    share = n_remove * n / n.sum()
    if (np.ceil(share) <= n - 1).all():  # no layer would be emptied
        assert (np.abs(gone - share) < 1).all()
    safety = np.where(np.isnan(value), -np.inf, value)
    for g in range(n.size):
        stay, leave = (safety[(layer == g) & mask] for mask in (active & ~removed, removed))
        assert leave.size == 0 or leave.min() >= stay.max()


def test_unknown_damage_is_the_least_safe():
    value = np.array([np.nan, -np.inf, -5.0, np.nan])
    removed = choose_units(value, np.ones(4, bool), np.zeros(4, int), 1, "global")
    np.testing.assert_array_equal(removed, [False, False, True, False])


def test_choice_by_hand():
    value = np.array([9.0, 8, 7, 1, 2, 3, 4, 5, 6])
    layer = np.repeat([0, 1], [3, 6])
    everyone = np.ones(9, bool)
    # Over all: 9, 8, then 6, 5; the third of the first layer would leave it empty.
    np.testing.assert_array_equal(np.flatnonzero(choose_units(value, everyone, layer, 4, "global")), [0, 1, 7, 8])
    # A third of each layer.
    np.testing.assert_array_equal(np.flatnonzero(choose_units(value, everyone, layer, 3, "layer")), [0, 7, 8])


def test_evenly_is_in_proportion_to_the_widths_of_layers():
    layer = np.repeat([0, 1], [4, 8])
    active = np.arange(12) != 0
    for n_remove, leave in ((3, [1, 4, 5]), (6, [1, 2, 4, 5, 6, 7])):
        removed = choose_units(evenly(active, layer), active, layer, n_remove, "global")
        np.testing.assert_array_equal(np.flatnonzero(removed), leave)


@pytest.mark.parametrize(
    ("damage", "loss", "remark"),
    [
        ([0, 0, 0], 0.0, "within the rounding"),
        ([1e-8, 0, np.nan], 1.0, "within the rounding"),  # half a digit of 1
        ([-64, 0, 64], -1e9, "within the rounding"),
        ([1e-35, 0, 0], 0.0, "within the rounding"),  # its last digits are flushed to 0
        ([0.5, 0.5], 1.0, "the same damage, 0.5"),
        ([0.5, 0.25], 1.0, ""),
        ([1e-6, 0], 1.0, ""),
        ([1e-25, 0], 0.0, ""),
        ([0], 1.0, ""),  # of one unit there is nothing to tell
        ([np.nan, np.nan], 1.0, ""),  # a criterion that estimates none
        ([np.inf, 0], 1.0, ""),
    ],
)
def test_damages_within_the_rounding_of_the_loss_are_told_from_others(damage, loss, remark):
    said = remark_on_damages(np.array(damage, float), loss)
    assert remark in said
    assert bool(said) == bool(remark)


def test_slopes_that_are_all_0_are_remarked_on():
    active = np.array([True, True, False])
    assert "no derivative" in remark_on_slopes({"slope": np.array([0.0, 0.0, 1.0])}, active)
    for info in ({"slope": np.array([0.0, 1e-9, 0.0])}, {"pulls": np.zeros(3)}, None, ()):
        assert remark_on_slopes(info, active) == ""


def test_what_a_layer_may_not_lose_the_others_share_in_proportion():
    layer = np.repeat([0, 1, 2], [256, 512, 64])
    everyone, value = np.ones(layer.size, bool), np.zeros(layer.size)
    least = np.array([256, 1, 1])
    removed = choose_units(value, everyone, layer, 249, "layer", least)
    np.testing.assert_array_equal(np.bincount(layer[removed], minlength=3), [0, 221, 28])
    removed = choose_units(value, everyone, layer, 249, "layer", np.array([200, 1, 60]))
    np.testing.assert_array_equal(np.bincount(layer[removed], minlength=3), [56, 189, 4])
    assert choose_units(value, everyone, layer, 249, "layer", np.array([256, 512, 64])).sum() == 0
    by_chance = np.random.default_rng(0).normal(size=layer.size)
    assert choose_units(by_chance, everyone, layer, 249, "global", least)[layer == 0].sum() == 0
