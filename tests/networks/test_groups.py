from collections import namedtuple

import jax.numpy as jnp
import numpy as np
import pytest

from skbandit._tabular.network.mlp import MLP
from skbandit.networks.groups import Group, Groups, Slice

Dense = namedtuple("Dense", ["kernel", "bias"])

#: A network in the style of a CNN: dicts, lists and named tuples; 3 filters, then 4 units.
GROUPS = Groups(
    (
        Group(3, (Slice(("conv", "kernel"), 3), Slice(("conv", "bias"), 0), Slice(("dense", 0, 0), 2))),
        Group(4, (Slice(("dense", 0, 0), 3), Slice(("dense", 0, "bias"), 0), Slice(("dense", 1, 0), 0))),
    )
)
# A named tuple is indexed by position.
GROUPS = Groups(
    (GROUPS.groups[0], Group(4, (Slice(("dense", 0, 0), 3), Slice(("dense", 0, 1), 0), Slice(("dense", 1, 0), 0))))
)


@pytest.fixture
def params():
    rng = np.random.default_rng(0)
    return {
        "conv": {"kernel": rng.normal(size=(2, 2, 1, 3)), "bias": rng.normal(size=3)},
        "dense": [
            Dense(rng.normal(size=(5, 5, 3, 4)), rng.normal(size=4)),
            Dense(rng.normal(size=(4, 2)), rng.normal(size=2)),
        ],
        "scale": 2.0,
    }


def test_flat_indices_count_units_group_by_group():
    assert GROUPS.sizes == (3, 4)
    assert GROUPS.n_units == 7
    assert GROUPS.offsets == (0, 3)
    np.testing.assert_array_equal(GROUPS.layer_of(), [0, 0, 0, 1, 1, 1, 1])


@pytest.mark.parametrize("xp", [np, jnp])
def test_split_cuts_a_flat_array_into_groups(xp):
    first, second = GROUPS.split(xp.arange(7))
    np.testing.assert_array_equal(first, [0, 1, 2])
    np.testing.assert_array_equal(second, [3, 4, 5, 6])


def test_compact_keeps_the_slices_of_the_units_kept(params):
    small = GROUPS.compact(params, [np.array([0, 2]), np.array([1])])
    np.testing.assert_array_equal(small["conv"]["kernel"], params["conv"]["kernel"][..., [0, 2]])
    np.testing.assert_array_equal(small["conv"]["bias"], params["conv"]["bias"][[0, 2]])
    # Both groups cut this array: the filters its inputs, the units its outputs.
    np.testing.assert_array_equal(small["dense"][0].kernel, params["dense"][0].kernel[:, :, [0, 2]][..., [1]])
    np.testing.assert_array_equal(small["dense"][0].bias, params["dense"][0].bias[[1]])
    np.testing.assert_array_equal(small["dense"][1].kernel, params["dense"][1].kernel[[1]])
    np.testing.assert_array_equal(small["dense"][1].bias, params["dense"][1].bias)


def test_zero_clears_the_slices_of_the_units_removed_and_nothing_else(params):
    removed = [np.array([1]), np.array([0, 3])]
    cleared = GROUPS.zero(params, removed)
    kept = [np.array([0, 2]), np.array([1, 2])]
    for path, axis, units, others in [
        (("conv", "kernel"), 3, removed[0], kept[0]),
        (("conv", "bias"), 0, removed[0], kept[0]),
        (("dense", 1, 0), 0, removed[1], kept[1]),
        (("dense", 0, 1), 0, removed[1], kept[1]),
    ]:
        before, after = params, cleared
        for key in path:
            before, after = before[key], after[key]
        assert before.shape == after.shape
        assert not np.take(after, units, axis).any()
        np.testing.assert_array_equal(np.take(after, others, axis), np.take(before, others, axis))
    inner, outer = cleared["dense"][0].kernel, params["dense"][0].kernel
    assert not inner[:, :, 1].any()
    assert not inner[..., [0, 3]].any()
    np.testing.assert_array_equal(inner[:, :, [0, 2]][..., [1, 2]], outer[:, :, [0, 2]][..., [1, 2]])


@pytest.mark.parametrize("edit", [GROUPS.compact, GROUPS.zero])
def test_an_edit_keeps_the_containers_and_leaves_the_original_alone(params, edit):
    before = {"kernel": params["conv"]["kernel"].copy(), "dense": params["dense"][0].kernel.copy()}
    edited = edit(params, [np.array([1]), np.array([2])])
    np.testing.assert_array_equal(params["conv"]["kernel"], before["kernel"])
    np.testing.assert_array_equal(params["dense"][0].kernel, before["dense"])
    assert isinstance(edited["dense"], list)
    assert isinstance(edited["dense"][0], Dense)
    assert edited["scale"] is params["scale"]


def test_keeping_or_clearing_everything_or_nothing(params):
    everything = [np.arange(3), np.arange(4)]
    nothing = [np.array([], int), np.array([], int)]
    for same in (GROUPS.compact(params, everything), GROUPS.zero(params, nothing)):
        np.testing.assert_array_equal(same["dense"][0].kernel, params["dense"][0].kernel)
    assert not GROUPS.zero(params, everything)["conv"]["kernel"].any()


def test_device_arrays_come_back_as_numpy():
    groups = Groups((Group(2, (Slice((0,), 0),)),))
    (compacted,) = groups.compact((jnp.arange(4.0).reshape(2, 2),), [np.array([1])])
    assert type(compacted) is np.ndarray
    np.testing.assert_array_equal(compacted, [[2, 3]])


def test_groups_of_a_dense_network_are_column_bias_and_next_row():
    first, second = MLP((3, 4, 5, 2), "relu", "log_loss").groups.groups
    assert first == Group(4, (Slice((0, 0), 1), Slice((0, 1), 0), Slice((1, 0), 0)))
    assert second == Group(5, (Slice((1, 0), 1), Slice((1, 1), 0), Slice((2, 0), 0)))


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (Group(3, (Slice(("conv", "weights"), 3),)), "no axis 3 at"),
        (Group(3, (Slice(("conv", "bias"), 1),)), "no axis 1 at"),
        (Group(3, (Slice(("scale", 0), 0),)), "no axis 0 at"),
        (Group(4, (Slice(("conv", "bias"), 0),)), "group of 4 units has a slice of size 3"),
    ],
)
def test_slices_that_do_not_fit_the_parameters_are_refused(params, group, message):
    GROUPS.check(params)
    with pytest.raises(ValueError, match=message):
        Groups((GROUPS.groups[0], group)).check(params)


def test_no_groups_are_refused(params):
    with pytest.raises(ValueError, match="no groups"):
        Groups(()).check(params)
