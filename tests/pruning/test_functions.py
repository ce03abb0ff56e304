"""The user's functions: what they get, what they may return, and what becomes of what they may not."""

import dataclasses
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skbandit import prune, rank_units
from skbandit.criteria import Bandit, MaskDecay
from skbandit.networks import GatedNetwork, Group, Groups, Slice
from skbandit.policies import CSAR, UCB1, Softmax
from skbandit.pruning import Outcome
from skbandit.pruning.functions import checked_functions
from skbandit.pruning.inputs import checked_rows
from skbandit.rewards import SmoothReward

GROUPS = Groups([Group("hidden", 8, [Slice("in", 1), Slice("bias", 0)], [Slice("out", 0)])])


def loss(params, gates, X, y, weight):
    hidden = jnp.tanh(X @ params["in"] + params["bias"]) * gates[0]
    return jnp.sum(weight * (hidden @ params["out"] - y - params["steps"]) ** 2) / jnp.sum(weight)


NETWORK = GatedNetwork(loss, GROUPS)


def case(n=40):
    rng = np.random.default_rng(0)
    params = {
        "in": rng.normal(size=(3, 8)).astype("float32"),
        "bias": np.zeros(8, "float32"),
        "out": rng.normal(size=8).astype("float32"),
        "steps": np.zeros((), "int32"),
    }
    X = rng.normal(size=(n, 3)).astype("float32")
    return params, X, X[:, 0]


def pruned(network=NETWORK, **options):
    params, X, y = case()
    return prune(network, params, X, y, **{"policy": "leave_one_out", "n_rounds": 2} | options)


# --- what the loss returns -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [prune, rank_units])
@pytest.mark.parametrize(
    ("value", "found"),
    [
        (lambda value: None, "a scalar array. It returned None"),
        (lambda value: (value, {}), "a scalar array. It returned a tuple of 2"),
        (lambda value: value[None], r"a scalar array. It returned an array of shape \(1,\) and dtype float32"),
        (lambda value: "high", "a scalar array. It returned 'high'"),
        (lambda value: 1.0, "a scalar array. It returned 1.0"),
        (lambda value: np.str_("high"), "a float. It returned an array of shape"),
        (lambda value: value.astype(int), r"a float. It returned an array of shape \(\) and dtype int32"),
        (lambda value: value > 0, "a float. It returned .* dtype bool"),
        (lambda value: value * 1j, "a float. It returned .* dtype complex64"),
    ],
)
def test_a_loss_that_is_no_float_is_named_with_what_it_returned(function, value, found):
    params, X, y = case()
    network = GatedNetwork(lambda *args: value(loss(*args)), GROUPS)
    with pytest.raises(ValueError, match=f"The 'loss' of a GatedNetwork must return {found}"):
        function(network, params, X, y)


def test_what_a_loss_raises_is_left_as_it_is():
    error = LookupError("of the user")

    def failing(*args):
        raise error

    with pytest.raises(LookupError) as raised:
        pruned(GatedNetwork(failing, GROUPS))
    assert raised.value is error


def test_a_loss_that_does_not_read_gates_or_weights_is_warned_of():
    def forgets(params, gates, X, y, weight):
        return jnp.mean((jnp.tanh(X @ params["in"]) @ params["out"] - y) ** 2)

    with (
        pytest.warns(UserWarning, match=r"does not read the gates of the groups \['hidden'\]"),
        pytest.warns(UserWarning, match="does not read 'weight'"),
    ):
        pruned(GatedNetwork(forgets, GROUPS))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((np.ones((9, 4)), np.ones(9)), r"X of 'held_out' must have rows of the shape \(3,\).* of the shape \(4,\)"),
        # The loss would broadcast: 9 x 9 errors.
        ((np.ones((9, 3)), np.ones((9, 1))), r"y of 'held_out' must have rows of the shape \(\).* of the shape \(1,\)"),
    ],
)
def test_held_out_rows_of_other_shapes_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        pruned(held_out=rows)


# --- gates for each row ----------------------------------------------------------------------------------------------


def along_positions(params, gates, X, y, weight):
    """Right for one vector of gates: those of rows, f[n, 3], broadcast along the three positions."""
    units = jnp.tanh(X[:, None, :] * params["out"][:3, None]) * gates[0][:, None]  # rows, units, positions
    return jnp.sum(weight * (units.mean((1, 2)) - y) ** 2)


THREE = Groups([Group("hidden", 3, [Slice("out", 0, [0, 1, 2, -1, -1, -1, -1, -1])])])


def of_all_rows(params, gates, X, y, weight):
    """The gates of a row reach all rows, as their mean."""
    mean = gates[0] if gates[0].ndim == 1 else gates[0].mean(0)
    return loss(params, (mean,), X, y, weight)


@pytest.mark.parametrize(
    "network",
    [
        GatedNetwork(along_positions, THREE, gates_by_row=True),
        GatedNetwork(of_all_rows, GROUPS, gates_by_row=True),
    ],
    ids=["another axis", "all rows"],
)
def test_gates_by_row_that_do_not_reach_their_row_alone_are_refused(network):
    params, X, y = case()
    with pytest.raises(ValueError, match=r"'gates_by_row'.* must reach the units of this row, and no others"):
        prune(network, params, X, y, policy="bmrs_n")


def test_a_loss_that_takes_no_gates_by_row_is_said_to_claim_it():
    def strict(params, gates, X, y, weight):
        assert gates[0].ndim == 1
        return loss(params, gates, X, y, weight)

    with pytest.raises(ValueError, match="has 'gates_by_row', and its loss fails with gates of the shapes"):
        pruned(GatedNetwork(strict, GROUPS, gates_by_row=True), policy="bmrs_n")


def test_gates_by_row_that_are_right_are_taken():
    params, X, y = case()
    network = GatedNetwork(loss, GROUPS, gates_by_row=True)
    assert checked_functions(network, params, checked_rows(0, 16, X, y), by_row=True) == []


# --- networks of a class of one's own --------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Own:
    damages: object = None
    activations: object = None
    n_macs: object = None
    n_squared_errors: object = None
    groups: Groups = GROUPS
    layer_sizes: object = None
    linear_from: object = 0.0
    activate: object = print
    bounds: object = print

    def batch_loss(self, params, gates, emissions, X, y, weight):
        return loss(params, gates, X, y, weight)


@pytest.mark.parametrize(
    ("fields", "policy", "message"),
    [
        ({"damages": lambda *args: jnp.zeros(3)}, "ucb1", r"'damages' of a network must return an array of 8 floats"),
        ({"damages": lambda *args: args[-1]}, "magnitude", "'damages' .* It returned an array .* dtype bool"),
        ({"activations": lambda p, g, X: jnp.zeros(8)}, "apoz", "'activations' of a network must return"),
        (
            {"activations": lambda p, g, X: (jnp.zeros((len(X), 8), int),)},
            "apoz",
            "'activations' of a network must return an array for each group.* of floats.* dtype int32",
        ),
        ({"n_macs": lambda widths: -1.0}, "magnitude", r"'n_macs' .* positive number .*\[8\]. It returned -1.0"),
        ({"n_macs": lambda widths: np.ones(2)}, "magnitude", "'n_macs' of the network must return a positive number"),
        (
            {"layer_sizes": (3, 7, 1), "n_macs": lambda widths: 1, "activations": print},
            "magnitude",
            r"'layer_sizes' of the network must have the sizes of the groups, \[8\].* They are \(3, 7, 1\)",
        ),
        ({"n_squared_errors": 2.5}, "magnitude", "'n_squared_errors' .* must be an int of at least 1, or None"),
    ],
)
def test_what_a_network_says_of_itself_is_checked_before_any_work(fields, policy, message):
    params, X, y = case()

    def work(*args):
        raise AssertionError("the loss was computed")

    with pytest.raises(ValueError, match=message):
        rank_units(Own(**fields), params, X, y, policy=policy)


# --- what repair and fine_tune return --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["repair", "fine_tune"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda p: p | {"in": p["in"].astype(int)},
            r"the same kinds. The leaf \['in'\] had floats \(float32\) and has int",
        ),
        (
            lambda p: p | {"steps": np.float32(1)},
            r"the same kinds. The leaf \['steps'\] had integers .* and has floats",
        ),
        (lambda p: p | {"steps": np.int64(2**40)}, "integers beyond int32"),
        (lambda p: p | {"in": p["in"].astype(object)}, r"The leaf \['in'\] of what '\w+' returns must be an array"),
        (lambda p: p | {"in": p["in"] * 1j}, "has complex numbers"),
        (lambda p: p | {"in": p["in"].tolist()}, "parameters in the tree"),
    ],
)
def test_functions_must_return_the_kinds_of_numbers_that_they_got(name, change, message):
    with pytest.raises(ValueError, match=message) as raised:
        pruned(**{name: lambda params, *args: change(params)})
    assert f"'{name}'" in str(raised.value)
    assert type(raised.value) is ValueError


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_a_repair_that_is_not_finite_is_named_with_its_leaf_and_how_many(bad):
    def repair(params, *args):
        return params | {"out": np.where(params["out"] != 0, bad, 0.0)}

    with pytest.raises(ValueError, match=r"'repair' .* finite .* in 6 of the 8 numbers of the leaf \['out'\]"):
        pruned(repair=repair)


def test_what_a_function_makes_of_units_that_are_gone_does_not_count():
    def revive(params, *args):
        return params | {name: np.where(params[name] == 0, np.nan, params[name]) for name in ("in", "out")}

    result = pruned(repair=revive, fine_tune=revive)
    assert result.outcome is Outcome.REACHED
    assert all(np.isfinite(leaf).all() for leaf in result.params.values())
    assert result.loss == pytest.approx(pruned().loss)


def test_a_later_round_that_cannot_be_repaired_ends_pruning_with_the_rounds_before():
    calls = []

    def repair(params, *args):
        calls.append(0)
        return params if len(calls) < 3 else None

    with pytest.warns(
        UserWarning, match="Pruning ended after 2 rounds, which stand. The 'repair' function must return"
    ):
        result = pruned(n_rounds=4, repair=repair)
    assert result.outcome is Outcome.FAILED
    assert "ended after 2 rounds" in result.status
    expected = pruned(n_rounds=4, on_round=lambda record, _: record.round == 1)
    jax.tree.map(np.testing.assert_array_equal, result.params, expected.params)


@pytest.mark.parametrize("factor", [np.nan, 1e300])
def test_fine_tuning_that_diverges_leaves_the_repaired_network_and_a_warning(factor):
    def tune(params, gates, round_):
        return params | {"out": params["out"].astype(float) * factor}

    with pytest.warns(UserWarning, match=r"'fine_tune' .* not finite, in round 0, 1: at first \d of the 8 .*\['out'\]"):
        result = pruned(fine_tune=tune)
    assert not any(record.fine_tuned for record in result.history)
    jax.tree.map(np.testing.assert_array_equal, result.params, pruned().params)


def test_numbers_that_were_not_finite_before_may_stay():
    def masked(params, gates, X, y, weight):
        return loss(params, gates, X, y, weight) + jnp.sum(jnp.exp(params["mask"]))

    params, X, y = case()
    params["mask"] = np.array([-np.inf, 0], "float32")
    result = prune(GatedNetwork(masked, GROUPS), params, X, y, repair=lambda params, *args: params)
    np.testing.assert_array_equal(result.params["mask"], params["mask"])


def test_a_result_whose_loss_is_not_finite_is_said_to_be_one():
    def repair(params, *args):
        return params | {"out": np.where(params["out"] != 0, 1e30, 0)}

    with pytest.warns(UserWarning, match="The loss of the smaller network is inf"):
        pruned(repair=repair, n_rounds=1)


@pytest.mark.parametrize("name", ["repair", "fine_tune"])
def test_functions_may_write_to_what_they_get_and_to_what_they_returned(name):
    kept = []

    def function(params, *args):
        for leaf in jax.tree.leaves((kept, args)):
            if isinstance(leaf, np.ndarray):
                leaf[...] = 0  # also what it returned before
        params["out"] *= 0.5
        kept.append(params)
        return params

    def pure(params, *args):
        return params | {"out": params["out"] * np.float32(0.5)}

    params, X, y = case()
    before = jax.tree.map(np.copy, params)
    options = {"policy": "leave_one_out", "n_rounds": 3}
    found = prune(NETWORK, params, X, y, **options, **{name: function})
    jax.tree.map(np.testing.assert_array_equal, params, before)
    jax.tree.map(
        np.testing.assert_array_equal, found.params, prune(NETWORK, params, X, y, **options, **{name: pure}).params
    )


def test_the_result_shares_no_array_with_what_was_given():
    params, X, y = case()
    before = jax.tree.map(np.copy, params)
    for leaf in jax.tree.leaves(prune(NETWORK, params, X, y, pruning_ratio=0.0).params):
        leaf[...] = 7
    jax.tree.map(np.testing.assert_array_equal, params, before)


def test_parameters_that_share_an_array_are_each_of_their_own():
    def tied(params, gates, X, y, weight):
        hidden = jnp.tanh(X @ params["in"]) * gates[0]
        return jnp.sum(weight * (hidden @ params["out"] - y + jnp.sum(params["tied"])) ** 2)

    params, X, y = case()
    shared = params["out"]
    result = prune(GatedNetwork(tied, GROUPS), params | {"tied": shared}, X, y, policy="magnitude")
    np.testing.assert_array_equal(result.params["out"], shared[result.kept[0]])
    np.testing.assert_array_equal(result.params["tied"], shared)


def test_a_traced_value_or_an_array_given_away_is_named():
    def leaks(params, *args):
        kept = []
        jax.jit(lambda a: kept.append(a) or a)(1.0)
        return params | {"out": kept[0]}

    def gives_away(params, *args):
        array = jnp.asarray(params["out"])
        array.delete()
        return params | {"out": array}

    for function, said in ((leaks, "is traced by JAX"), (gives_away, "must be an array of numbers")):
        with pytest.raises(ValueError, match=rf"The leaf \['out'\] of what 'repair' returns {said}"):
            pruned(repair=function)


@pytest.mark.parametrize(("name", "takes"), [("repair", 4), ("fine_tune", 3), ("on_round", 2)])
def test_functions_that_take_other_arguments_are_refused_before_any_work(name, takes):
    with pytest.raises(ValueError, match=rf"The '{name}' parameter of prune must be callable with \(") as raised:
        pruned(GatedNetwork(lambda *args: pytest.fail("work"), GROUPS), **{name: lambda a: a})
    assert str(raised.value).partition("with (")[2].partition(")")[0].count(",") == takes - 1


# --- what on_round returns -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [None, False, np.bool_(False), np.array(False), jnp.asarray(False)], ids=repr)
def test_an_answer_of_no_goes_on(answer):
    assert pruned(on_round=lambda *args: answer).outcome is Outcome.REACHED


@pytest.mark.parametrize("answer", [True, np.bool_(True), jnp.asarray(True)], ids=repr)
def test_an_answer_of_yes_ends_pruning(answer):
    assert pruned(on_round=lambda *args: answer).outcome is Outcome.STOPPED


@pytest.mark.parametrize("answer", [np.ones(2, bool), np.nan, "no", 0, 1, [], np.array([True])], ids=repr)
def test_an_answer_that_is_no_bool_is_named(answer):
    with pytest.raises(ValueError, match=r"The 'on_round' function must return a bool or None. It returned"):
        pruned(on_round=lambda *args: answer)


def test_a_callback_may_write_to_a_result():
    def write(record, result):
        for leaf in jax.tree.leaves(result().params):
            leaf[...] = -1

    jax.tree.map(np.testing.assert_array_equal, pruned(on_round=write).params, pruned().params)


# --- what is given ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [prune, rank_units])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"X": np.full((40, 3), 1e150)}, "X has 120 numbers beyond float32"),
        ({"X": [[1], [1, 2]]}, "X must be an array of numbers"),
        ({"X": np.empty((40, 0))}, "X must have rows that are not empty"),
        ({"y": np.empty((40, 2, 0))}, "y must have rows that are not empty"),
        ({"X": np.ones((40, 3)) * 1j}, "X must be an array of numbers .* complex128"),
        (
            {"y": np.ma.masked_array(np.ones(40), np.ones(40))},
            "y must be an array of numbers .* with 40 masked values: fill",
        ),
        ({"random_state": True}, "'random_state' parameter must be .* Got True"),
        ({"random_state": 10**400}, r"'random_state' parameter must be an int in \[0, 2\*\*32\)"),
        ({"random_state": np.ones(2)}, "'random_state' parameter must be an int, a RandomState instance or None"),
    ],
)
def test_rows_and_seeds_that_cannot_be_taken_are_named(function, wrong, message):
    params, X, y = case()
    with pytest.raises(ValueError, match=message):
        function(NETWORK, **{"params": params, "X": X, "y": y} | wrong)


@pytest.mark.parametrize("function", [prune, rank_units])
@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (
            UCB1(exploration=1e300),
            "'exploration' parameter of UCB1 must be .* Got 1e.300, which is inf in dtype='float32'",
        ),
        (Softmax(temperature=1e-300), "'temperature' parameter of Softmax must be .* which is 0 in dtype='float32'"),
        (
            CSAR(multiplications=0.99999999),
            "'multiplications' parameter of CSAR must be .* which is 1 in dtype='float32'",
        ),
        (
            Bandit(reward=SmoothReward(width=1e-60)),
            "'width' parameter of SmoothReward must be .* which is 0 in dtype='float32'",
        ),
        (MaskDecay(n_steps=2**40), "'n_steps' parameter of MaskDecay must be an int in the range"),
    ],
)
def test_fields_that_float32_cannot_hold_are_named(function, policy, message):
    params, X, y = case()
    with pytest.raises(ValueError, match=message):
        function(NETWORK, params, X, y, policy=policy)


def test_fields_that_float32_rounds_within_their_bounds_are_taken():
    assert pruned(policy=UCB1(exploration=1e-300)).outcome is Outcome.REACHED


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        (np.full(8, 1e150), "has 8 numbers beyond float32"),
        (np.zeros(8, "datetime64[s]"), "must be an array of numbers"),
        (np.ma.masked_array(np.ones(8), np.ones(8)), "must be an array of numbers"),
        (np.array([None] * 8), "must be an array of numbers"),
    ],
)
def test_parameters_that_cannot_be_computed_with_are_named(leaf, message):
    params, X, y = case()
    with pytest.raises(ValueError, match=rf"The leaf \['out'\] of 'params' {message}"):
        prune(NETWORK, params | {"out": leaf}, X, y)


def test_small_integers_are_sizes_like_others():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = pruned(batch_size=np.int8(3), n_rounds=np.uint8(2))
    assert found.kept[0].tolist() == pruned(batch_size=3).kept[0].tolist()
