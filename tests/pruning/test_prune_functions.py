"""`prune` and `rank_units` with a function as it is."""

import os
import pickle
import subprocess
import sys

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from small_functions import EXAMPLES, cross_entropy

from skbandit import PruneResult, prune, rank_units
from skbandit.networks import GatedNetwork, Variables, infer_groups
from skbandit.pruning import Outcome


def squared(outputs, y):
    return (outputs[:, 0] - y) ** 2


def dense(p, x):
    return jax.nn.relu(x @ p["A"] + p["a"]) @ p["B"]


RNG = np.random.default_rng(0)
#: Units 4 to 7 are read by weights of 0, and made by small ones.
PARAMS = {
    "A": RNG.normal(size=(3, 8)).astype("float32"),
    "a": RNG.normal(size=8).astype("float32"),
    "B": np.r_[RNG.uniform(1, 2, size=4), np.zeros(4)].astype("float32")[:, None],
}
PARAMS["A"][:, 4:] *= 0.1
X = RNG.normal(size=(60, 3)).astype("float32")
Y = np.asarray(dense(PARAMS, X))[:, 0] + RNG.normal(size=60).astype("float32")


def assert_right(result, params=PARAMS, function=dense, given=X):
    assert isinstance(result, PruneResult)
    np.testing.assert_array_equal(result.kept[0], [0, 1, 2, 3])
    np.testing.assert_allclose(result.apply(result.params, given), function(params, given), rtol=1e-5)


@pytest.mark.parametrize("policy", ["ucb1", "leave_one_out", "taylor", "magnitude"])
def test_units_that_do_nothing_leave(policy):
    result = prune(dense, PARAMS, X, Y, loss=squared, policy=policy, batch_size=20)
    assert_right(result)
    assert result.outcome == Outcome.REACHED
    assert result.sizes == {"A": 4}
    assert jax.tree.map(np.shape, result.params) == {"A": (3, 4), "a": (4,), "B": (4, 1)}
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(result.params))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_kind_of_network_is_pruned(name):
    example = EXAMPLES[name]
    y = np.arange(len(example.X)) % 2
    result = prune(*example[:3], y, loss=cross_entropy, policy="taylor", n_rounds=2)
    assert sum(result.sizes.values()) == sum(example.sizes.values()) - int(sum(example.sizes.values()) / 2)
    assert min(result.sizes.values()) >= 1
    losses = cross_entropy(result.apply(result.params, example.X), y)
    np.testing.assert_allclose(losses.mean(), result.loss, rtol=1e-5)


def test_the_result_can_be_pickled():
    example = EXAMPLES["mlp"]
    result = prune(*example[:3], np.arange(5) % 2, loss=cross_entropy, policy="magnitude")
    again = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(again.apply(again.params, example.X), result.apply(result.params, example.X))
    assert again.sizes == result.sizes


def test_parameters_come_back_in_their_dtypes():
    given = {"A": PARAMS["A"].astype(ml_dtypes.bfloat16), "a": PARAMS["a"].astype("float16"), "B": PARAMS["B"]}
    result = prune(dense, given, X, Y, loss=squared, policy="magnitude")
    assert jax.tree.map(lambda a: str(a.dtype), result.params) == {"A": "bfloat16", "a": "float16", "B": "float32"}
    assert result.apply(result.params, X).shape == (60, 1)
    with jax.enable_x64(True):
        double = jax.tree.map(lambda a: a.astype("float64"), PARAMS)
        result = prune(dense, double, X, Y, loss=squared, policy="magnitude")
        assert result.params["A"].dtype == "float64"
        assert result.apply(result.params, X.astype("float64")).dtype == "float64"


def test_numpy_of_float64_comes_back_as_it_was_given():
    double = jax.tree.map(lambda a: a.astype("float64"), PARAMS)
    result = prune(dense, double, X, Y, loss=squared, policy="magnitude")
    assert {str(a.dtype) for a in result.params.values()} == {"float64"}
    assert result.apply(result.params, X).shape == (60, 1)


class Layer:
    """A function that depends on a number of its object."""

    slope = 0.0

    def __call__(self, p, x):
        h = x @ p["A"] + p["a"]
        return jnp.where(h > 0, h, self.slope * h) @ p["B"]


def test_an_object_that_has_changed_is_another_function():
    layer = Layer()
    for slope in (0.0, 1.0):
        layer.slope = slope
        y = np.asarray(layer(PARAMS, X))[:, 0]
        result = prune(layer.__call__, PARAMS, X, y, loss=squared, policy="magnitude")
        np.testing.assert_allclose(result.loss, 0, atol=1e-6)


def test_rows_may_be_a_dictionary_or_several_arguments():
    def of_dict(p, x):
        return dense(p, jnp.concatenate([x["left"], x["right"]], 1))

    def of_two(p, left, right):
        return dense(p, jnp.concatenate([left, right], 1))

    options = {"loss": squared, "policy": "magnitude"}
    parts = X[:, :1], X[:, 1:]
    assert_right(
        *(prune(of_dict, PARAMS, dict(zip(("left", "right"), parts, strict=True)), Y, **options), PARAMS, of_dict),
        {"left": parts[0], "right": parts[1]},
    )
    result = prune(of_two, PARAMS, parts, Y, **options)
    np.testing.assert_allclose(result.apply(result.params, *parts), dense(PARAMS, X), rtol=1e-5)


class Loader:
    """Batches for ever, as a data loader that repeats gives them."""

    def __init__(self, size, weighted=False, convert=np.asarray):
        self.size, self.weighted, self.convert, self.read = size, weighted, convert, 0

    def __iter__(self):
        while True:
            for start in range(0, 60, self.size):
                self.read += 1
                batch = [self.convert(a[start : start + self.size]) for a in (X, Y)]
                yield (*batch, np.ones(len(batch[0]))) if self.weighted else tuple(batch)


class Tensor:
    """An array of another framework."""

    def __init__(self, array):
        self.array = array

    def __len__(self):
        return len(self.array)

    def numpy(self):
        return self.array


@pytest.mark.parametrize("options", [{}, {"weighted": True}, {"convert": Tensor}])
def test_rows_may_be_an_iterable_of_batches(options):
    loader = Loader(20, **options)
    assert_right(prune(dense, PARAMS, loader, loss=squared, policy="taylor", max_rows=60))
    assert loader.read == 3


def test_no_more_rows_are_read_than_allowed():
    loader = Loader(20)
    scores = rank_units(dense, PARAMS, loader, loss=squared, policy="leave_one_out", max_rows=30, batch_size=10)
    assert loader.read == 2
    assert scores.n_pulls == 8 * 3


def test_labels_of_a_loader_may_be_a_dictionary():
    loader = [(X[:20], {"a": Y[:20], "b": Y[:20]})] * 5
    scores = rank_units(
        *(dense, PARAMS, loader), loss=lambda outputs, y: squared(outputs, y["a"]), policy="leave_one_out", max_rows=40
    )
    assert scores.n_pulls == 8  # of 40 rows: one mini-batch


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "is empty: it must hold one batch at least"),
        ([(X, Y), (X, Y, np.ones(60))], "must be alike, but for their rows"),
        ([X[0]], r"A batch of the iterable for prune must be \(x, y\) or \(x, y, weight\)"),
        ([(X, Y[:10])], "must have the same number of rows"),
    ],
)
def test_wrong_batches_are_named(batches, message):
    with pytest.raises(ValueError, match=message):
        prune(dense, PARAMS, batches, loss=squared)


def test_groups_that_were_found_are_used():
    groups = infer_groups(dense, PARAMS, X[:4])
    assert prune(dense, PARAMS, X, Y, loss=squared, groups=groups, policy="magnitude").groups is groups


def test_ranking_says_what_pruning_goes_by():
    scores = rank_units(dense, PARAMS, X, Y, loss=squared, policy="leave_one_out")
    assert (scores.value[4:] > scores.value[:4].max()).all()
    np.testing.assert_allclose(scores.damage[4:], 0, atol=1e-7)


def test_a_callback_sees_the_smaller_function_after_each_round():
    seen = []
    result = prune(
        *(dense, PARAMS, X, Y),
        loss=squared,
        policy="magnitude",
        n_rounds=2,
        on_round=lambda record, result: seen.append(result()) or record.round == 0,
    )
    (so_far,) = seen
    assert so_far.apply(so_far.params, X).shape == (60, 1)
    assert so_far.sizes == result.sizes
    assert result.outcome == Outcome.STOPPED


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"loss": None}, "or be a function .* together with the 'loss' parameter"),
        ({"loss": 3}, r"'loss' parameter must be callable \(outputs, y\)"),
        ({"loss": lambda outputs, y: ((outputs[:, 0] - y) ** 2).mean()}, "must return an array of .* one for each row"),
        ({"groups": [1]}, "'groups' parameter of prune must be what infer_groups returns"),
        ({"y": None}, "y must be an array of numbers"),
        ({"params": {"A": "text"}}, "'params' must be an array"),
        ({"network": lambda p, x: x}, "No units were found"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    given = {"network": dense, "params": PARAMS, "X": X, "y": Y, "loss": squared, "policy": "magnitude"} | wrong
    with pytest.raises(ValueError, match=message):
        prune(**given)


@pytest.mark.parametrize("name", ["loss", "groups", "state"])
def test_what_is_for_functions_is_refused_for_a_network_with_gates(name):
    groups = infer_groups(dense, PARAMS, X[:4], verify=False)
    network = GatedNetwork(lambda params, gates, X, y, weight: jnp.sum(weight * y), groups)
    with pytest.raises(ValueError, match=rf"The parameters \['{name}'\] of prune are for a function"):
        prune(network, PARAMS, X, Y, **{name: groups if name == "groups" else squared})


def test_the_smaller_function_refuses_a_batch_without_rows():
    result = prune(dense, PARAMS, X, Y, loss=squared, policy="magnitude")
    for call in (result.apply, jax.jit(result.apply)):
        with pytest.raises(ValueError, match=r"needs one row at least.* Got an array of shape \(0, 3\)"):
            call(result.params, X[:0])


# --- state -----------------------------------------------------------------------------------------------------------


def with_state(p, s, x):
    return dense(p, (x - s["mean"]) / s["std"]) * s["scale"], s


def hidden_state(p, s, x):
    h = x @ p["A"]
    return jax.nn.relu((h - s["mean"]) / s["std"]) @ p["B"]


STATE = {"mean": RNG.normal(size=8).astype("float32"), "std": RNG.uniform(1, 2, size=8).astype("float32")}


def test_the_state_is_pruned_with_the_parameters():
    params = {name: PARAMS[name] for name in "AB"}
    y = np.asarray(hidden_state(params, STATE, X))[:, 0]
    seen = []

    def repair(variables, active, removed, emissions):
        seen.append(variables)
        return variables

    result = prune(hidden_state, params, X, y, loss=squared, state=STATE, policy="leave_one_out", repair=repair)
    assert isinstance(seen[0], Variables)
    assert jax.tree.map(np.shape, (result.params, result.state)) == (
        {"A": (3, 4), "B": (4, 1)},
        {"mean": (4,), "std": (4,)},
    )
    made = result.apply(result.params, result.state, X)
    np.testing.assert_allclose(made, hidden_state(params, STATE, X), rtol=1e-5)
    with pytest.raises(ValueError, match="the state is missing"):
        result.apply(result.params)


def test_a_new_state_comes_back_beside_the_outputs():
    state = {"mean": np.zeros(3, "float32"), "std": np.ones(3, "float32"), "scale": np.float32(2)}
    result = prune(with_state, PARAMS, X, Y, loss=squared, state=state, policy="magnitude")
    outputs, new = result.apply(result.params, result.state, X)
    np.testing.assert_allclose(outputs, 2 * dense(PARAMS, X), rtol=1e-5)
    assert jax.tree.map(np.shape, new) == {"mean": (3,), "std": (3,), "scale": ()}


def test_a_tree_of_copies_is_cut_as_the_parameters():
    result = prune(dense, PARAMS, X, Y, loss=squared, policy="magnitude")
    tree = {"average": PARAMS, "steps": np.int32(3), "other": [PARAMS["A"], np.ones((8, 8))]}
    cut = result.cut(tree)
    np.testing.assert_array_equal(cut["average"]["A"], PARAMS["A"][:, :4])
    assert cut["steps"] == 3
    assert [a.shape for a in cut["other"]] == [(3, 8), (8, 8)]  # no tree of parameters


_ON_TWO_DEVICES = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from skbandit import prune
assert len(jax.devices()) == 2
mesh = Mesh(np.array(jax.devices()), ("d",))
def apply(p, x):
    h = jax.nn.relu(x @ p["A"])
    h = jax.lax.with_sharding_constraint(h, NamedSharding(mesh, P("d", None)))
    return h @ p["B"]
rng = np.random.default_rng(0)
B = np.r_[np.ones(4), np.zeros(4)][:, None]
params = {"A": rng.normal(size=(3, 8)).astype("float32"), "B": B.astype("float32")}
X = rng.normal(size=(64, 3)).astype("float32")
y = np.asarray(apply(params, X))[:, 0]
result = prune(apply, params, X, y, loss=lambda o, y: (o[:, 0] - y) ** 2, policy="leave_one_out", batch_size=32)
assert result.kept[0].tolist() == [0, 1, 2, 3], result.kept
out = jax.jit(result.apply)(result.params, jax.device_put(X, NamedSharding(mesh, P("d", None))))
np.testing.assert_allclose(out[:, 0], y, rtol=1e-5)
print(len(out.sharding.device_set))
"""


def test_a_function_that_shards_its_rows_stays_sharded():
    env = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done = subprocess.run([sys.executable, "-c", _ON_TWO_DEVICES], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["2"]
