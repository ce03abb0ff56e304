import dataclasses
import enum
import pickle
import sys
from collections import namedtuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skbandit._tabular.network.mlp import MLP
from skbandit.networks import OUTGOING, GatedNetwork, Group, Groups, Slice, offers, require
from skbandit.networks.groups import Leaves, dense_chain, replace_at

Dense = namedtuple("Dense", ["kernel", "bias"])
MANY = settings(max_examples=50, deadline=None, derandomize=True)

#: A network in the style of a CNN: dicts, lists and named tuples; 3 filters, then 4 units.
GROUPS = Groups(
    [
        Group(
            "filters",
            3,
            incoming=[Slice(("conv", "kernel"), 3), Slice(("conv", "bias"), 0)],
            outgoing=[Slice(("dense", 0, "kernel"), 2)],
        ),
        Group(
            "units",
            4,
            incoming=[Slice(("dense", 0, "kernel"), 3), Slice(("dense", 0, "bias"), 0)],
            outgoing=[Slice(("dense", 1, "kernel"), 0)],
        ),
    ]
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
    np.testing.assert_array_equal(GROUPS.group_of(), [0, 0, 0, 1, 1, 1, 1])


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
        (("dense", 1, "kernel"), 0, removed[1], kept[1]),
        (("dense", 0, "bias"), 0, removed[1], kept[1]),
    ]:
        before, after = Slice(path, axis).of(params), Slice(path, axis).of(cleared)
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
    groups = Groups([Group("rows", 2, [Slice(0, 0)])])
    (compacted,) = groups.compact((jnp.arange(4.0).reshape(2, 2),), [np.array([1])])
    assert type(compacted) is np.ndarray
    np.testing.assert_array_equal(compacted, [[2, 3]])


def test_groups_of_a_dense_network_are_column_bias_and_next_row():
    first, second = MLP((3, 4, 5, 2), "relu", "log_loss").groups.groups
    assert first.incoming == (Slice((0, 0), 1), Slice((0, 1), 0))
    assert first.outgoing == (Slice((1, 0), 0),)
    assert second.slices == (Slice((1, 0), 1), Slice((1, 1), 0), Slice((2, 0), 0))
    assert (first.size, second.size) == (4, 5)
    assert dense_chain((3, 4, 2), 2).groups[0].incoming == (Slice((0, 0), 1), Slice((0, 1), 0), Slice((0, 2), 0))


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (Group("g", 3, [Slice(("conv", "weights"), 3)]), "no axis 3 at"),
        (Group("g", 3, [Slice(("conv", "bias"), 1)]), "no axis 1 at"),
        (Group("g", 3, [Slice(("scale", 0), 0)]), "no axis 0 at"),
        (Group("g", 3, [Slice("scale", 0)]), "no axis 0 at .* where the group 'g' has a slice"),
        (Group("g", 2**30, [Slice("scale", 0)]), "no axis 0 at"),
        (
            Group("g", 2**30, [Slice(("dense", 1, "bias"), 0, [0, 1])]),
            "group 'g' has 1073741824 units, most of which own",
        ),
        (Group("g", 3, [Slice(("dense", 1, "bias"), 0, [0, 2]), Slice(("conv", "bias"), 0, [0, 2, -1])]), "belong to"),
        (Group("g", 3, [Slice(("conv", "bias"), -1, [0, 1, 2])]), "'g' names positions .* belong to a unit already"),
        (Group("g", 4, [Slice(("dense", 1, "bias"), 0)]), "group of 4 units has a slice of size 2"),
        (Group("g", 2, [Slice(("dense", 1, "bias"), 0, [0, 2])]), "numbers below 2.* up to 2"),
        (Group("g", 1, [Slice(("dense", 1, "bias"), 0, [0])]), "must be 2 numbers .* got 1 numbers"),
        (Group("g", 3, [Slice(("conv", "bias"), 0)]), "belong to a unit already"),
        (Group("g", 3, [Slice(("conv", "bias"), -1)]), "belong to a unit already"),
        (
            Group("g", 2, [Slice(("dense", 1, "kernel"), 1), Slice(("dense", 1, "kernel"), -1)]),
            "belong to a unit already",
        ),
        (Group("g", 3, [Slice(("dense", 1, "bias"), 0, [0, 2])]), r"own nothing: \[1\]"),
        (Group("g", 2), r"own nothing: \[0, 1\]"),
    ],
)
def test_slices_that_do_not_fit_the_parameters_are_refused(params, group, message):
    GROUPS.check(params)
    with pytest.raises(ValueError, match=message):
        Groups((GROUPS.groups[0], group)).check(params)


def test_no_groups_are_refused(params):
    with pytest.raises(ValueError, match="no groups"):
        Groups(()).check(params)


# --- labels: which unit each position belongs to -------------------------------------------------------------------


@pytest.mark.parametrize(
    "labels", [[[0, 1]], [0.0, 1.0], [-2, 0], "ab", np.arange(2, dtype=np.uint64) + 2**32, [0, 2**31]]
)
def test_labels_are_a_vector_of_numbers_of_units(labels):
    with pytest.raises(ValueError, match=r"'labels' of the slice \('w',\), axis 1, must be a vector of ints"):
        Slice("w", 1, labels)


def test_slices_with_the_same_labels_are_equal_and_can_be_keys():
    a, b, other = Slice("w", 1, [0, 0, 1]), Slice(("w",), 1, np.array([0, 0, 1], np.int64)), Slice("w", 1, [0, 1, 1])
    assert a == b
    assert len({a, b, other, Slice("w", 1)}) == 3
    assert "labels=[0, 0, 1]" in repr(a)


def test_paths_may_be_those_of_jax():
    tree = {"a": [Dense(np.zeros(2), np.ones(3))]}
    path = jax.tree_util.tree_flatten_with_path(tree)[0][1][0]
    np.testing.assert_array_equal(Slice(path, 0).of(tree), np.ones(3))
    assert Slice(path, 0) == Slice(("a", 0, "bias"), 0)


def test_keys_that_have_a_name_of_their_own_stay_as_they_are():
    class Part(enum.Enum):
        FIRST = "first"

    np.testing.assert_array_equal(Slice(Part.FIRST, 0).of({Part.FIRST: np.ones(3)}), np.ones(3))


def test_a_block_leaves_with_its_unit():
    """Two heads of three columns in queries, three rows in the output, and a norm that spans one column more."""
    labels = [0, 0, 0, 1, 1, 1]
    groups = Groups(
        [Group("heads", 2, [Slice("q", 1, labels), Slice("norm", 0, [*labels, -1])], [Slice("o", 0, labels)])]
    )
    rng = np.random.default_rng(0)
    params = {"q": rng.normal(size=(4, 6)), "norm": rng.normal(size=7), "o": rng.normal(size=(6, 4))}
    groups.check(params)
    small = groups.compact(params, [np.array([1])])
    np.testing.assert_array_equal(small["q"], params["q"][:, 3:])
    np.testing.assert_array_equal(small["norm"], params["norm"][3:])
    np.testing.assert_array_equal(small["o"], params["o"][3:])
    cleared = groups.zero(params, [np.array([0])])
    np.testing.assert_array_equal(cleared["o"], np.r_[np.zeros((3, 4)), params["o"][3:]])
    np.testing.assert_array_equal(cleared["norm"], np.r_[np.zeros(3), params["norm"][3:]])


def test_a_stride_leaves_with_its_unit():
    """Filters behind a flatten: a dense layer reads four positions of three filters, the filter varying fastest."""
    labels = np.tile(np.arange(3), 4)
    groups = Groups([Group("filters", 3, [Slice("kernel", 3)], [Slice("dense", 0, labels)])])
    rng = np.random.default_rng(0)
    params = {"kernel": rng.normal(size=(2, 2, 1, 3)), "dense": rng.normal(size=(12, 5))}
    small = groups.compact(params, [np.array([0, 2])])
    expected = params["dense"].reshape(4, 3, 5)[:, [0, 2]].reshape(8, 5)
    np.testing.assert_array_equal(small["dense"], expected)


def test_two_groups_may_share_an_axis():
    """A concatenation: a layer reads three units of one group, then two of another, and one input that stays."""
    first = Group("first", 3, [Slice("a", 0)], [Slice("next", 0, [0, 1, 2, -1, -1, -1])])
    second = Group("second", 2, [Slice("b", 0)], [Slice("next", 0, [-1, -1, -1, 0, 1, -1])])
    params = {"a": np.arange(3.0), "b": np.arange(2.0), "next": np.arange(6.0)}
    groups = Groups([first, second])
    groups.check(params)
    small = groups.compact(params, [np.array([0, 2]), np.array([1])])
    np.testing.assert_array_equal(small["next"], [0, 2, 4, 5])
    np.testing.assert_array_equal(groups.zero(params, [np.array([1]), np.array([0])])["next"], [0, 0, 2, 0, 4, 5])


def test_what_a_unit_owns_is_a_row():
    params = {"w": np.arange(12.0).reshape(6, 2)}
    by_unit = Slice("w", 0, [1, 0, -1, 1, 0, 1]).by_unit(params, 2)
    # Unit 0 owns two positions, unit 1 three: zeros fill up.
    np.testing.assert_array_equal(by_unit, [[2, 3, 8, 9, 0, 0], [0, 1, 6, 7, 10, 11]])
    np.testing.assert_array_equal(Slice("w", 1).by_unit(params, 2), params["w"].T)


def test_outgoing_weights_are_scaled_by_unit_in_all_slices():
    group = Group("g", 2, [Slice("in", 0)], [Slice("one", 1), Slice("two", 0, [0, 0, -1, 1])])
    params = {"in": jnp.ones(2), "one": jnp.ones((3, 2)), "two": jnp.ones((4, 2))}
    scaled = Groups([group]).scale_outgoing(params, jnp.array([2.0, 3.0]))
    np.testing.assert_array_equal(scaled["in"], [1, 1])
    np.testing.assert_array_equal(scaled["one"], [[2, 3]] * 3)
    np.testing.assert_array_equal(scaled["two"][:, 0], [2, 2, 1, 3])


@MANY
@given(data=st.data())
def test_gated_by_labels_is_compacted_by_labels(data):
    """Whatever the labels: what a reader gets from zeroed positions is what it gets from the positions that stay."""
    size = data.draw(st.integers(1, 4))
    spots = data.draw(st.lists(st.integers(-1, size - 1), min_size=1, max_size=12))
    labels = np.array([*spots, *range(size)])
    kept = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    groups = Groups([Group("g", size, [Slice("a", 1, labels)], [Slice("b", 0, labels)])])
    rng = np.random.default_rng(0)
    params = {"a": rng.normal(size=(2, labels.size)), "b": rng.normal(size=(labels.size, 3))}
    groups.check(params)
    removed = np.setdiff1d(np.arange(size), kept)
    zeroed, small = groups.zero(params, [removed]), groups.compact(params, [kept])
    np.testing.assert_allclose(zeroed["a"] @ zeroed["b"], small["a"] @ small["b"], atol=1e-12)
    assert small["a"].shape[1] == np.isin(labels, [-1, *kept]).sum()


# --- any pytree ------------------------------------------------------------------------------------------------------


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Linear:
    weight: np.ndarray
    bias: np.ndarray


def test_parameters_may_be_any_pytree():
    params = {"layers": (Linear(np.ones((2, 3)), np.arange(3.0)), Linear(np.ones((3, 1)), np.zeros(1))), "none": None}
    groups = Groups(
        [
            Group(
                "h",
                3,
                [Slice(("layers", 0, "weight"), 1), Slice(("layers", 0, "bias"), 0)],
                [Slice(("layers", 1, "weight"), 0)],
            )
        ]
    )
    groups.check(params)
    small = groups.compact(params, [np.array([0, 2])])
    assert isinstance(small["layers"][0], Linear)
    np.testing.assert_array_equal(small["layers"][0].bias, [0, 2])
    assert small["layers"][1].weight.shape == (2, 1)
    assert small["none"] is None


def test_a_leaf_is_replaced_and_the_tree_is_left_alone():
    tree = {"a": [1.0, 2.0], "b": 3.0}
    assert replace_at(tree, ("a", 1), lambda a: a + 1) == {"a": [1.0, 3.0], "b": 3.0}
    assert tree["a"][1] == 2.0
    with pytest.raises(KeyError):
        Leaves(tree)[("a",)] = 5.0


# --- what cannot be a group ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "3", 2**31, 10**400])
def test_a_group_has_a_unit(size):
    with pytest.raises(ValueError, match="'size' of the group 'g' must be an int of at least 1"):
        Group("g", size, [Slice("w", 0)])


def test_slices_and_groups_come_in_lists():
    with pytest.raises(ValueError, match="'incoming' slices of the group 'g' must be a list of Slice objects"):
        Group("g", 2, Slice("w", 0))
    with pytest.raises(ValueError, match="Groups takes a list of Group objects"):
        Groups([("w", 0)])
    network = GatedNetwork(print, [Group("g", 2, [Slice("w", 0)])])
    assert network.groups == Groups([Group("g", 2, [Slice("w", 0)])])
    for wrong in ({"loss": 3}, {"loss": print, "activations": 3}):
        with pytest.raises(ValueError, match="parameter of GatedNetwork must be callable"):
            GatedNetwork(groups=Groups([]), **wrong)


@pytest.mark.parametrize("axis", [1.0, True, "1", None, np.array([1]), 1j], ids=repr)
def test_an_axis_is_an_int(axis):
    with pytest.raises(ValueError, match=r"'axis' of the slice \('w',\) must be an int"):
        Slice("w", axis)


def test_an_axis_may_be_an_int_of_numpy():
    assert Slice("w", np.int8(1)) == Slice("w", 1)


@pytest.mark.parametrize("path", [[[1]], {"a": 1}, np.ones(2), slice(0, 1), ("a", [])], ids=repr)
def test_a_path_is_made_of_keys(path):
    if isinstance(path, slice) and sys.version_info >= (3, 12):  # slices are hashable there
        pytest.skip("a key like any other")
    with pytest.raises(ValueError, match="'path' of a Slice must be made of keys"):
        Slice(path, 0)


@pytest.mark.parametrize("labels", [[[1], [1, 2]], [True, False], [None, 1], [10**400], {0, 1}, 3], ids=repr)
def test_labels_that_are_no_vector_of_ints_are_refused(labels):
    with pytest.raises(ValueError, match=r"'labels' of the slice .* must be a vector of ints"):
        Slice("w", 0, labels)


def test_groups_are_told_apart_by_their_names():
    with pytest.raises(ValueError, match=r"The names of the groups must differ. They are \['a', 'a'\]"):
        Groups([Group("a", 1), Group("a", 2)])
    with pytest.raises(ValueError, match=r"'name' of a Group must be a string. Got 3"):
        Group(3, 2)


def kind(value):
    """Return an id that is the same in each process: an iterator's text holds its address."""
    return type(value).__name__


@pytest.mark.parametrize("slices", [3, None, "w", {"w": 0}, iter([Slice("w", 0)]), [("w", 0)]], ids=kind)
def test_slices_that_are_no_list_are_refused(slices):
    # An iterator would be empty when it is read again: a group that owns nothing.
    with pytest.raises(ValueError, match="'outgoing' slices of the group 'g' must be a list of Slice objects"):
        Group("g", 2, outgoing=slices)


@pytest.mark.parametrize("groups", [3, None, "ab", {"a": 1}, [Slice("w", 0)], iter([]), Group("g", 2)], ids=kind)
def test_a_network_takes_groups_or_a_list_of_them(groups):
    with pytest.raises(ValueError, match="'groups' parameter of GatedNetwork must be Groups or a list: Groups takes a"):
        GatedNetwork(print, groups)


@pytest.mark.parametrize("name", ["loss", "activations"])
def test_functions_of_a_network_take_what_they_get(name):
    given = {"loss": print, "activations": None, name: lambda params: 0}
    with pytest.raises(
        ValueError, match=rf"'{name}' parameter of GatedNetwork must be callable with \(params, gates, X"
    ):
        GatedNetwork(groups=[], **given)


@pytest.mark.parametrize("by_row", [None, 1, "yes", np.True_])
def test_whether_gates_are_taken_by_row_is_a_bool(by_row):
    with pytest.raises(ValueError, match="'gates_by_row' parameter of GatedNetwork must be a bool"):
        GatedNetwork(print, [], gates_by_row=by_row)


def test_leaves_of_one_path_are_refused():
    @jax.tree_util.register_pytree_with_keys_class
    class Twins:
        def __init__(self, *children):
            self.children = children

        def tree_flatten_with_keys(self):
            return [(jax.tree_util.GetAttrKey("a"), child) for child in self.children], None

        @classmethod
        def tree_unflatten(cls, aux, children):
            return cls(*children)

    with pytest.raises(ValueError, match=r"The paths of the parameters must differ"):
        Groups([Group("g", 2, [Slice("a", 0)])]).check(Twins(np.ones(2), np.ones(2)))


@pytest.mark.parametrize("method", [GROUPS.compact, GROUPS.zero])
@pytest.mark.parametrize("units", [[3], [-1], [0.0], ["a"], [[0]], 0, [True], [2**70], None], ids=repr)
def test_units_that_are_not_there_are_named(params, method, units):
    with pytest.raises(ValueError, match=r"must hold numbers of units of the group 'filters', from 0 to 2. Got"):
        method(params, [units, [0]])
    with pytest.raises(ValueError, match=r"must have an array for each of the 2 groups. Got 1"):
        method(params, [[0]])


def test_units_may_be_a_mask(params):
    masks = [[True, False, True], np.array([False, True, True, True])]
    jax.tree.map(
        np.testing.assert_array_equal, GROUPS.compact(params, masks), GROUPS.compact(params, [[0, 2], [1, 2, 3]])
    )


def test_what_is_no_capability_is_named():
    for wrong in (None, "x", 3):
        with pytest.raises(TypeError, match=r"The 'capability' must be one of skbandit.networks"):
            offers(print, wrong)
        with pytest.raises(TypeError, match="The 'needs' must be a list of capabilities"):
            require(print, [wrong], "x")
    assert not offers(type("Odd", (), {"groups": 3}), OUTGOING)


def test_long_labels_are_said_in_short():
    assert (
        repr(Slice("w", 0, np.arange(10**5) % 8)) == "Slice(path=('w',), axis=0, labels=<100000 positions of 8 units>)"
    )
    assert Slice(["a", 0], 1).path == ("a", 0)


def test_slices_stay_what_they_are_in_a_pickle():
    s = Slice("w", 0, [0, 1, 1])
    hash(s)
    copy = pickle.loads(pickle.dumps(s))
    assert copy == s
    assert not copy.labels.flags.writeable
