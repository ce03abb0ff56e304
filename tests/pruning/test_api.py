import dataclasses
import pickle

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest
from planted import NETWORK, assert_equal, pruner, trained

from skbandit._core import forks
from skbandit._tabular.network.mlp import MLP
from skbandit.criteria import Bandit
from skbandit.networks import GatedNetwork, Group, Groups, Slice
from skbandit.pruning import Outcome, prune, rank_units
from skbandit.pruning.scoring import mean_loss


@dataclasses.dataclass(frozen=True)
class WithoutEvaluator:
    """A network that has no fast way to its damages."""

    inner: MLP

    @property
    def groups(self):
        return self.inner.groups

    def batch_loss(self, *args):
        return self.inner.batch_loss(*args)


def test_a_network_without_an_evaluator_of_its_own_gives_the_same_result():
    params, engine = pruner(False, Bandit(), budget=4.0)
    fast = engine.run(params, 0.5)
    params, engine = pruner(False, Bandit(), budget=4.0, network=WithoutEvaluator(NETWORK))
    slow = engine.run(params, 0.5)
    assert_equal(slow.kept, fast.kept)
    assert slow.n_pulls == fast.n_pulls
    for a, b in zip(slow.history, fast.history, strict=True):
        assert a.damage_predicted == pytest.approx(b.damage_predicted, abs=1e-6)


def embedding_output(xp, params, gates, tokens):
    """A bag of embeddings and two dense layers; units are embedding channels and hidden units."""
    bag = params["embed"][tokens].mean(axis=1) * gates[0]
    return xp.tanh(bag @ params["layers"][0]["w"]) * gates[1] @ params["layers"][1]["w"]


def embedding_loss(params, gates, tokens, y, weight):
    rows = jnp.sum(jnp.square(embedding_output(jnp, params, gates, tokens) - y), axis=1)
    return jnp.sum(weight * rows) / jnp.sum(weight)


def test_any_pytree_of_parameters_and_integer_rows_can_be_pruned():
    rng = np.random.default_rng(0)
    params = {
        "embed": rng.normal(size=(11, 4)),
        "layers": [{"w": rng.normal(size=(4, 5))}, {"w": rng.normal(size=(5, 3))}],
    }
    params["layers"][0]["w"][2] = 0  # the third channel and the units 1 and 3 feed nothing
    params["layers"][1]["w"][[1, 3]] = 0
    groups = Groups(
        (
            Group("channels", 4, [Slice("embed", 1)], [Slice(("layers", 0, "w"), 0)]),
            Group("units", 5, [Slice(("layers", 0, "w"), 1)], [Slice(("layers", 1, "w"), 0)]),
        )
    )
    tokens = rng.integers(11, size=(40, 6))
    y = embedding_output(np, params, (np.ones(4), np.ones(5)), tokens)
    held_out = (tokens[30:], y[30:] + 1)
    result = prune(
        GatedNetwork(embedding_loss, groups),
        params,
        tokens[:30],
        y[:30],
        policy="leave_one_out",
        pruning_ratio=1 / 3,
        n_rounds=1,
        held_out=held_out,
        batch_size=8,
    )
    np.testing.assert_array_equal(result.kept[0], [0, 1, 3])
    np.testing.assert_array_equal(result.kept[1], [0, 2, 4])
    np.testing.assert_array_equal(result.params["embed"], params["embed"][:, [0, 1, 3]].astype("float32"))
    assert result.params["layers"][0]["w"].shape == (3, 3)
    # The guard is the loss on the held-out rows, each of the 3 outputs off by 1, before and after.
    (record,) = result.history
    assert record.loss_before == pytest.approx(3, rel=1e-5)
    assert record.loss_after == pytest.approx(3, rel=1e-5)


def two_groups():
    """Ten channels, of which all but the last feed nothing, and ten units that all count."""
    rng = np.random.default_rng(0)
    read = np.zeros((10, 10))
    read[-1] = np.arange(1, 11)
    params = {"embed": rng.normal(size=(11, 10)), "layers": [{"w": read}, {"w": np.eye(10)}]}
    groups = Groups(
        (
            Group("channels", 10, [Slice("embed", 1)], [Slice(("layers", 0, "w"), 0)]),
            Group("units", 10, [Slice(("layers", 0, "w"), 1)], [Slice(("layers", 1, "w"), 0)]),
        )
    )
    tokens = rng.integers(11, size=(40, 6))
    y = embedding_output(np, params, (np.ones(10), np.ones(10)), tokens)
    return GatedNetwork(embedding_loss, groups), params, tokens, y


@pytest.mark.parametrize("scope", ["auto", "global", "layer"])
@pytest.mark.parametrize(
    ("ratio", "largest", "sizes"),
    [
        (0.5, 1.0, None),
        (0.5, 0.6, (4, 6)),
        (0.5, {"channels": 0.75}, (3, 7)),
        (0.45, {"units": 0.0}, (1, 10)),
        (0.25, 0.3, (7, 8)),
        (0.9, 0.95, (1, 1)),
        (0.0, 0, (10, 10)),
    ],
)
def test_no_group_loses_more_than_its_largest_share(scope, ratio, largest, sizes):
    network, *given = two_groups()
    options = {"scope": scope, "max_pruning_ratio": largest, "policy": "leave_one_out", "batch_size": 16}
    result = prune(network, *given, pruning_ratio=ratio, **options)
    found = tuple(map(len, result.kept))
    share = largest if isinstance(largest, dict) else {"channels": largest, "units": largest}
    least = [max(1, 10 - int(10 * share.get(name, 1.0) + 1e-9)) for name in ("channels", "units")]
    assert all(n >= stay for n, stay in zip(found, least, strict=True))
    assert sum(found) == 20 - int(20 * ratio)
    if sizes and scope == "global":
        assert found == sizes
    for record in result.history:
        assert all(n >= stay for n, stay in zip(record.sizes, least, strict=True))


def test_pruning_as_far_as_possible_ends_at_the_largest_share():
    network, *given = two_groups()
    options = {"pruning_ratio": "auto", "tolerance": 1e9, "policy": "leave_one_out", "batch_size": 16}
    given[-1] += 1  # the tolerance is relative
    result = prune(network, *given, max_pruning_ratio={"channels": 0.5, "units": 0.3}, **options)
    assert tuple(map(len, result.kept)) == (5, 7)
    assert result.outcome == Outcome.SMALLEST
    assert "no layer may lose more" in result.status


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.4, "let as many units leave as 'pruning_ratio' asks for. .* 10 of 20 units. Got 0.4, .* no more than 8"),
        (
            0.49,
            "10 of 20 units. Got 0.49, with which no more than 8 may leave: the share of each group is rounded down",
        ),
        ({"units": 0.0}, "10 of 20 units. Got {'units': 0.0}, with which no more than 9 may leave"),
        ({"units": 0.1, "channels": 0.1}, "10 of 20 units. Got .*, with which no more than 2 may leave"),
        ({"unit": 0.4}, r"as keys. Got 'unit' instead. Did you mean 'units'\? There are: channels, units."),
        ({7: 0.4}, "as keys. Got 7 instead. There are: channels, units."),
        ({"units": 1.5}, r"values that are a float in the range \[0, 1\]. Got 1.5 for 'units' instead"),
        ({"units": True}, "Got True for 'units' instead"),
        (-0.1, r"a float in the range \[0, 1\] or a dict. Got -0.1"),
        ("auto", "Got 'auto'"),
    ],
)
def test_largest_shares_that_cannot_be_are_refused(value, message):
    network, *given = two_groups()
    with pytest.raises(ValueError, match="'max_pruning_ratio' parameter of prune must .*" + message):
        prune(network, *given, max_pruning_ratio=value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("budget", 0), ("pruning_ratio", 1.5), ("tolerance", -1), ("scope", "best"), ("n_rounds", 0), ("batch_size", 2.5)],
)
def test_prune_refuses_values_out_of_bounds(name, value):
    params, X, y = trained()
    with pytest.raises(ValueError, match=f"'{name}' parameter of prune must be .*{value!r}"):
        prune(GatedNetwork(quadratic_loss, NETWORK.groups), params, X, y, **{name: value})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"y": np.zeros((49, 1))}, "the same number of rows, at least one: got 50, 49, 50"),
        ({"sample_weight": np.ones(51)}, "the same number of rows, at least one: got 50, 50, 51"),
        ({"sample_weight": np.r_[-1.0, np.ones(49)]}, "non-negative and finite"),
        ({"sample_weight": np.r_[np.inf, np.ones(49)]}, "non-negative and finite"),
        ({"sample_weight": np.r_[np.nan, np.ones(49)]}, "non-negative and finite"),
        ({"sample_weight": np.zeros(50)}, "positive for some row"),
        ({"y": np.full((50, 1), np.nan)}, "loss of the network to prune is nan"),
    ],
)
def test_prune_refuses_rows_that_it_cannot_judge_by(rows, message):
    params, X, y = trained()
    with pytest.raises(ValueError, match=message):
        prune(GatedNetwork(quadratic_loss, NETWORK.groups), params, **{"X": X, "y": y, **rows})


def test_prune_refuses_groups_that_do_not_fit():
    params, X, y = trained()
    with pytest.raises(ValueError, match="group of 8 units has a slice of size 6"):
        prune(GatedNetwork(quadratic_loss, NETWORK.groups), (params[1], params[0], params[2]), X, y)


def test_prune_takes_any_random_state():
    params, X, y = trained(False)
    options = {"policy": "random", "n_rounds": 1, "batch_size": 16}
    network = GatedNetwork(quadratic_loss, NETWORK.groups)

    def kept(random_state):
        return prune(network, params, X, y, random_state=random_state, **options).kept

    assert_equal(kept(np.random.RandomState(3)), kept(np.random.RandomState(3)))
    assert_equal(kept(np.int64(3)), kept(3))
    generator = np.random.RandomState(3)
    draws = {tuple(np.concatenate(kept(generator))) for _ in range(4)}
    # A generator moves on: four sets of 7 of 14 units, of which there are 3432 (two are equal with probability 2e-3).
    assert len(draws) == 4


@pytest.mark.parametrize("policy", ["racing", "warm_top_two_thompson", "budgeted_greedy", "obs", "bip", "stable_units"])
def test_prune_computes_in_float32_where_float64_is_switched_on(policy):
    params, X, y = trained(planted=False)
    kept = []
    for x64 in (False, True):
        with jax.enable_x64(x64):
            kept.append(prune(NETWORK, params, X, y, policy=policy, n_rounds=1).kept)
    assert_equal(*kept)


def test_prune_takes_losses_and_repairs_that_float64_would_reach():
    def loss(params, gates, X, y, weight):
        assert jnp.zeros(1).dtype == "float32"
        hidden = jnp.tanh(X @ params["in"]) * gates[0] + jnp.zeros(8)  # float64 where that is switched on
        rows = jnp.sum(jnp.square(hidden @ params["out"] - jax.nn.one_hot(y, 2)), axis=1)
        return jnp.sum(weight * rows) / jnp.sum(weight)

    def repair(params, active, removed, emissions):
        assert jnp.zeros(1).dtype == "float64"
        return jax.tree.map(lambda a: np.asarray(a, float), params)

    groups = Groups([Group("hidden", 8, [Slice("in", 1)], [Slice("out", 0)])])
    rng = np.random.default_rng(0)
    params = {"in": rng.normal(size=(3, 8)), "out": rng.normal(size=(8, 2))}
    X, y = rng.normal(size=(40, 3)), rng.integers(2, size=40)
    with jax.enable_x64(True):
        result = prune(GatedNetwork(loss, groups), params, X, y, held_out=(X, y), repair=repair)
    assert result.params["in"].shape == (3, 4)


def test_prune_refuses_a_forked_process(monkeypatch):
    monkeypatch.setattr(forks, "_jax_pid", -1)
    params, X, y = trained()
    with pytest.raises(RuntimeError, match="forked"):
        prune(GatedNetwork(quadratic_loss, NETWORK.groups), params, X, y)


def test_sample_weights_of_zero_take_rows_out():
    params, X, y = trained(False)
    network = GatedNetwork(quadratic_loss, NETWORK.groups)
    y = y.copy()
    y[25:] = 1e3
    weight = (np.arange(50) < 25).astype(float)
    options = {"policy": "leave_one_out", "n_rounds": 1, "batch_size": 16}
    weighted = prune(network, params, X, y, weight, **options)
    alone = prune(network, params, X[:25], y[:25], **options)
    assert_equal(weighted.kept, alone.kept)
    assert weighted.history[0].loss_before == pytest.approx(0, abs=1e-9)


def quadratic_loss(params, gates, X, y, weight):
    none = tuple(jnp.zeros_like(g) for g in gates)
    return NETWORK.batch_loss(params, gates, none, X, y, weight)


def test_mean_loss_is_over_all_rows():
    params, engine = pruner(False)
    gates, on = NETWORK.groups.split(np.ones(14, "float32")), engine.pruner.batches
    loss = mean_loss(NETWORK, params, gates, gates, on._replace(y=on.y + 1))
    assert loss == pytest.approx(0.5, rel=1e-5)  # ½·1²


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"network": print}, r"'network' parameter of prune must have 'groups' and 'batch_loss'"),
        ({"batch_size": "auto"}, r"'batch_size' parameter of prune must be an int .* Got 'auto'"),
        ({"repair": 3}, r"'repair' parameter of prune must be None or callable. Got 3"),
        ({"held_out": np.ones((5, 3))}, r"'held_out' parameter of prune must be a tuple \(X, y\)"),
        ({"held_out": (np.ones((5, 3)),)}, r"'held_out' parameter of prune must be a tuple \(X, y\)"),
    ],
)
def test_prune_names_what_it_cannot_take(wrong, message):
    params, X, y = trained()
    with pytest.raises(ValueError, match=message):
        prune(**{"network": NETWORK, "params": params, "X": X, "y": y} | wrong)


def shown_by(change):
    """Return a network of 4 units that are useful and 4 that are not, whose loss is changed."""

    def loss(params, gates, X, y, weight):
        hidden = jnp.tanh(X @ params["in"]) * gates[0]
        return change(jnp.sum(weight * (hidden @ params["out"] - y) ** 2) / jnp.sum(weight))

    rng = np.random.default_rng(0)
    params = {"in": rng.normal(size=(3, 8)), "out": np.r_[np.ones(4), np.zeros(4)]}
    X = rng.normal(size=(100, 3))
    groups = Groups([Group("hidden", 8, incoming=[Slice("in", 1)], outgoing=[Slice("out", 0)])])
    return GatedNetwork(loss, groups), params, X, np.tanh(X @ params["in"]) @ params["out"]


# What XLA makes 0, what is near, and what a constant swallows.
@pytest.mark.parametrize("change", [lambda z: z * 1e-40, lambda z: z * 1e-37, lambda z: z + 1e9], ids=[*"abc"])
@pytest.mark.parametrize("policy", ["ucb1", "leave_one_out"])
@pytest.mark.parametrize("function", [prune, rank_units])
def test_a_loss_that_does_not_show_what_units_do_is_told_so(function, policy, change):
    with pytest.warns(UserWarning, match="The loss does not show what the units do") as warned:
        function(*shown_by(change), policy=policy)
    (warning,) = warned
    assert warning.filename == __file__


@pytest.mark.parametrize("change", [lambda z: z * 1e-25, lambda z: z + 1e4, lambda z: z * 1e30], ids=[*"abc"])
def test_small_large_and_shifted_losses_that_show_it_are_taken_in_silence(change):
    given = shown_by(change)
    np.testing.assert_array_equal(prune(*given).kept[0], [0, 1, 2, 3])
    assert set(np.argsort(-rank_units(*given).value)[:4]) == {4, 5, 6, 7}


def test_ranks_of_units_that_all_have_one_value_are_told_so():
    params, X, y = trained()
    with pytest.warns(UserWarning, match="Magnitude.* does not tell one unit from another"):
        rank_units(NETWORK, jax.tree.map(np.zeros_like, params), X, y, policy="magnitude")


def test_what_pruning_has_to_say_is_a_warning_where_it_was_called():
    params, X, y = trained()
    with pytest.warns(UserWarning, match="does not tell one unit from another") as warned:
        prune(NETWORK, jax.tree.map(np.zeros_like, params), X, y, policy="magnitude")
    (warning,) = warned
    assert warning.filename == __file__


def test_a_result_can_be_loaded_without_jax(tmp_path, python):
    params, X, y = trained()
    path = tmp_path / "result.pkl"
    path.write_bytes(pickle.dumps(prune(NETWORK, params, X, y)))
    script = f"import pickle, sys; r = pickle.load(open({str(path)!r}, 'rb')); print(r.outcome, 'jax' in sys.modules)"
    assert python(script).split() == ["reached", "False"]


@pytest.mark.parametrize("function", [prune, rank_units])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"X": np.full((50, 3), 2**32 + 5)}, "X has integers beyond int32"),
        ({"y": np.full((50, 1), 2**40, np.uint64)}, "y has integers beyond uint32"),
        ({"X": None}, "X must be an array of numbers with a row for each example. Got NoneType: None"),
        ({"y": None}, "y must be an array of numbers"),
        ({"y": np.array(["a"] * 50)}, "y must be an array of numbers .* dtype <U1"),
        ({"sample_weight": np.ones((50, 1))}, r"sample_weight must be a vector. Got an array of shape \(50, 1\)"),
        ({"sample_weight": np.full(50, 1e38)}, "with a sum that float32 can hold. The sum is inf"),
        ({"random_state": -1}, "'random_state' parameter must be an int in"),
        ({"random_state": "x"}, "'random_state' parameter must be an int, a RandomState instance or None"),
        ({"network": GatedNetwork(print, [])}, "There are no groups"),
    ],
)
def test_wrong_rows_are_named(function, wrong, message):
    params, X, y = trained()
    with pytest.raises(ValueError, match=message):
        function(**{"network": NETWORK, "params": params, "X": X, "y": y} | wrong)


def test_wrong_held_out_rows_are_said_to_be_those():
    params, X, y = trained()
    with pytest.raises(ValueError, match="X, y and sample_weight of 'held_out' must have the same number of rows"):
        prune(NETWORK, params, X, y, held_out=(X, y[:5]))


def test_leaves_that_hold_no_numbers_are_named():
    params, X, y = trained()
    with pytest.raises(ValueError, match=r"leaf \[1\]\['act'\] of 'params' must be an array of numbers. Got 'relu'"):
        prune(NETWORK, (params, {"act": "relu"}), X, y)


def test_a_network_must_be_hashable():
    class Loose:
        groups, batch_loss = NETWORK.groups, NETWORK.batch_loss
        __hash__ = None

    params, X, y = trained()
    with pytest.raises(ValueError, match="'network' parameter of prune must be hashable"):
        prune(Loose(), params, X, y)


def single_layer_loss(params, gates, X, y, weight):
    hidden = jnp.tanh(X @ params["in"]) * gates[0]
    return jnp.sum(weight * (hidden @ params["out"] - y) ** 2) / jnp.sum(weight)


SINGLE = Groups([Group("hidden", 8, [Slice("in", 1)], [Slice("out", 0)])])
HALF = pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16], ids=["bfloat16", "float16"])


def single_layer(dtype):
    """Parameters with floats of a dtype beside other leaves, rows, and the same parameters in float32."""
    rng = np.random.default_rng(0)
    weights = {"in": rng.normal(size=(3, 8)), "out": np.r_[np.ones(4), np.zeros(4)] + 0.01 * rng.normal(size=8)}
    half = {name: jnp.asarray(a, dtype) for name, a in weights.items()}
    single = {name: np.asarray(a, "float32") for name, a in half.items()}
    X = rng.normal(size=(60, 3)).astype("float32")
    y = np.tanh(X @ single["in"]) @ single["out"]
    others = {"step": np.int32(7), "on": np.True_, "codes": jnp.asarray([1, -2], jnp.int4), "none": None}
    return half | others, single | others, X, y


@HALF
def test_half_precision_becomes_float32(dtype):
    half, single, X, y = single_layer(dtype)
    seen = set()

    def loss(params, *args):
        seen.add(tuple(str(a.dtype) for a in (*jax.tree.leaves(params), *jax.tree.leaves(args))))
        return single_layer_loss(params, *args)

    network = GatedNetwork(loss, SINGLE)
    found, expected = (prune(network, params, X, y, policy="leave_one_out") for params in (half, single))
    assert_equal(found.kept, expected.kept)
    assert_equal(found.params, expected.params)
    assert found.loss == expected.loss
    types = {name: None if leaf is None else str(leaf.dtype) for name, leaf in found.params.items()}
    assert types == {"in": "float32", "out": "float32", "step": "int32", "on": "bool", "codes": "int4", "none": None}
    assert seen == {("int4", "float32", "bool", "float32", "int32", *["float32"] * 4)}
    a, b = (rank_units(network, params, X, y, policy="leave_one_out") for params in (half, single))
    np.testing.assert_array_equal(a.damage, b.damage)


@HALF
def test_rows_and_weights_in_half_precision_become_float32(dtype):
    _, params, X, y = single_layer(dtype)
    rows = [np.asarray(jnp.asarray(a, dtype), "float32") for a in (X, y, np.linspace(0.5, 1, 60))]
    half = [jnp.asarray(a, dtype) for a in rows]
    network = GatedNetwork(single_layer_loss, SINGLE)
    found, expected = (prune(network, params, *a, held_out=tuple(a), batch_size=16) for a in (half, rows))
    assert_equal(found.kept, expected.kept)
    assert found.loss == expected.loss


@pytest.mark.parametrize("name", ["repair", "fine_tune"])
@HALF
def test_what_functions_return_in_half_precision_becomes_float32(name, dtype):
    half, _, X, y = single_layer(dtype)
    given = []

    def function(params, *args):
        given.append([str(a.dtype) for a in (params["in"], params["out"])])
        return params | {key: jnp.asarray(params[key] / 2, dtype) for key in ("in", "out")}

    network = GatedNetwork(single_layer_loss, SINGLE)
    result = prune(network, half, X, y / 16, policy="leave_one_out", n_rounds=2, **{name: function})
    assert given == [["float32", "float32"]] * 2
    assert [result.params[key].dtype.name for key in ("in", "out")] == ["float32", "float32"]
    assert name == "repair" or result.history[0].fine_tuned


@HALF
@pytest.mark.parametrize("function", [prune, rank_units])
def test_a_loss_in_half_precision_is_warned_of(function, dtype):
    half, _, X, y = single_layer(dtype)
    network = GatedNetwork(lambda *args: single_layer_loss(*args).astype(dtype), SINGLE)
    said = f"loss of the network is {dtype.dtype.name}.*mean over the rows in float32"
    with pytest.warns(UserWarning, match=said) as warned:
        function(network, half, X, y + 10)
    assert [warning.filename for warning in warned] == [__file__]


def test_damages_below_the_precision_of_the_loss_are_lost():
    half, _, X, y = single_layer(jnp.bfloat16)
    exact = rank_units(GatedNetwork(single_layer_loss, SINGLE), half, X, y + 10, policy="leave_one_out").damage
    coarse = GatedNetwork(lambda *args: single_layer_loss(*args).astype(jnp.bfloat16), SINGLE)
    with pytest.warns(UserWarning, match=r"most differences below 0.008 of the loss are lost"):
        damage = rank_units(coarse, half, X, y + 10, policy="leave_one_out").damage
    assert (exact[4:] != 0).all()
    assert (damage[4:] == 0).all()  # of about 0.001 of the loss


@pytest.mark.parametrize("name", ["repair", "fine_tune"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: None, "must return parameters in the tree .* It returned PyTreeDef\\(None\\)"),
        (lambda p: {"in": p["in"]}, "must return parameters in the tree .*'none': None, 'on': .* It returned"),
        (lambda p: p | {"in": p["in"][:1]}, r"of the same shapes. The leaf \['in'\] had \(3, 8\) and has \(1, 8\)"),
        (lambda p: p | {"in": "text"}, r"The leaf \['in'\] of what '\w+' returns must be an array of numbers"),
    ],
)
def test_functions_that_return_no_such_parameters_are_named(name, change, message):
    half, _, X, y = single_layer(jnp.bfloat16)
    with pytest.raises(ValueError, match=f"(?s){message}") as raised:
        prune(GatedNetwork(single_layer_loss, SINGLE), half, X, y, **{name: lambda params, *args: change(params)})
    assert f"'{name}'" in str(raised.value)


def test_keys_are_no_parameters():
    half, _, X, y = single_layer(jnp.bfloat16)
    with pytest.raises(ValueError, match=r"leaf \['key'\] of 'params' must be an array of numbers"):
        prune(GatedNetwork(single_layer_loss, SINGLE), half | {"key": jax.random.key(0)}, X, y)


def test_values_that_are_all_nan_are_an_error_and_not_a_ranking():
    params, X, y = trained()
    with pytest.raises(ValueError, match="No value is finite"):
        rank_units(NETWORK, params, X * np.nan, y, policy="leave_one_out")


def test_a_callback_gets_the_result_of_its_own_round():
    params, X, y = trained(planted=False)
    later = []
    prune(NETWORK, params, X, y, on_round=lambda record, result: later.append((record, result)), batch_size=16)
    assert len(later) == 4
    for record, result in later:  # asked for when pruning is over
        assert tuple(map(len, result().kept)) == record.sizes
        assert result().outcome is Outcome.UNDER_WAY
