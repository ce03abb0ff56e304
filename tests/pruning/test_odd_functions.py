"""Odd but plausible use of functions as they are: an answer that is right, or an error that says what is wrong."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from skbandit import prune, rank_units
from skbandit.networks import Groups, TracedNetwork, infer_groups
from skbandit.pruning import FineTuning

RNG = np.random.default_rng(0)
PARAMS = {name: RNG.normal(size=s).astype("float32") for name, s in (("A", (3, 8)), ("a", (8,)), ("B", (8, 1)))}
X = RNG.normal(size=(40, 3)).astype("float32")
Y = RNG.normal(size=40).astype("float32")
SGD = optax.sgd(1e-2)


def dense(p, x):
    return jax.nn.relu(x @ p["A"] + p["a"]) @ p["B"]


def squared(outputs, y):
    return (outputs[:, 0] - y) ** 2


def pruned(apply=dense, params=PARAMS, X=X, y=Y, **options):
    return prune(apply, params, X, y, **{"loss": squared, "policy": "magnitude", "n_rounds": 1} | options)


def tuned(**options):
    return pruned(fine_tune=FineTuning(**{"optimizer": SGD, "batch_size": 16} | options))


def of_units(params, units):
    return {"A": params["A"][:, units], "a": params["a"][units], "B": params["B"][units]}


def assert_smaller(result, x=X):
    expected = dense(of_units(PARAMS, result.kept[0]), x)
    assert result.sizes == {"A": 4}
    np.testing.assert_allclose(result.apply(result.params, x), expected, rtol=1e-6)


class Tensor:
    """An array of another framework."""

    def __init__(self, array):
        self._array, self.shape = array, array.shape

    def numpy(self):
        return self._array


# --- rows ------------------------------------------------------------------------------------------------------------


def test_rows_may_be_lists():
    assert_smaller(pruned(X=X.tolist(), y=Y.tolist()))
    scores = rank_units(dense, PARAMS, X.tolist(), Y.tolist(), loss=squared, policy="magnitude")
    assert np.isfinite(scores.value).all()


@pytest.mark.parametrize("odd", [3, "x", None, [], {}, (), [[1], [1, 2]], np.empty((0, 3))])
def test_what_are_no_rows_is_named_before_the_function_is_traced(odd):
    with pytest.raises(ValueError, match="X"):
        pruned(X=odd)


def test_batches_may_be_lists_tensors_and_trees():
    assert_smaller(pruned(X=[(X.tolist(), Y.tolist())], y=None))
    assert_smaller(pruned(X=[[Tensor(X), Tensor(Y)]], y=None))
    both = pruned(lambda p, a, b: dense(p, a + b), X=[[[Tensor(X), Tensor(X)], Tensor(Y)]], y=None)
    np.testing.assert_allclose(
        both.apply(both.params, X, X), dense(of_units(PARAMS, both.kept[0]), 2 * X), rtol=1e-5, atol=1e-6
    )


def test_rows_are_counted_and_not_the_entries_of_a_dictionary():
    n_read = itertools.count()
    batches = ((X, {"target": Y}) for _ in n_read)
    pruned(X=batches, y=None, max_rows=80, loss=lambda outputs, y: squared(outputs, y["target"]))
    assert next(n_read) == 2


@pytest.mark.parametrize(
    ("batches", "said"),
    [
        ([], "is empty"),
        ([(X, Y), (X[:, :2], Y)], "must be alike.*batch 1"),
        ([(X, Y), ({"x": X}, Y)], "must be alike.*batch 1"),
        ([(X, Y), (X, Y, np.ones(40))], "must be alike.*batch 1"),
        ([(X, 1.0)], "the same number of rows"),
        ([(X, Y[:3])], "the same number of rows"),
        ([X, X], "must be .x, y. or"),
    ],
)
def test_batches_that_do_not_fit_are_named(batches, said):
    with pytest.raises(ValueError, match=said):
        pruned(X=batches, y=None)


def test_batches_of_other_lengths_are_put_together():
    assert_smaller(pruned(X=[(X[i : i + 7], Y[i : i + 7]) for i in range(0, 40, 7)], y=None))


# --- the function ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("apply", "said"),
    [
        (lambda p, x, train: dense(p, x), "missing 1 required"),
        (lambda p, x: p["C"] @ x, "KeyError: 'C'"),
        (lambda p, x: x[:, :2] @ p["A"], "argument 0 = float32.4, 3."),
        (lambda p, x: dense(p, x.reshape(4, 3)) if len(x) == 4 else x.reshape(4, 3), "argument 0 = float32.64, 3."),
        (lambda p, x: None, "must return arrays"),
        (lambda p, x: "text", "not a valid JAX type"),
    ],
)
def test_a_function_that_fails_is_named_with_what_it_was_given(apply, said):
    with pytest.raises(ValueError, match=f"'apply' function.*{said}"):
        pruned(apply)


def test_an_error_of_the_function_is_the_cause():
    def apply(params, x):
        raise TypeError("of the user's own")

    with pytest.raises(ValueError, match="of the user's own") as caught:
        infer_groups(apply, PARAMS, X)
    assert isinstance(caught.value.__cause__, TypeError)


def test_an_error_of_a_kind_of_its_own_is_passed_on():
    class OwnError(Exception):
        pass

    def apply(params, x):
        raise OwnError

    with pytest.raises(OwnError):
        infer_groups(apply, PARAMS, X)


@pytest.mark.parametrize("call", [lambda p: pruned(params=p), lambda p: infer_groups(dense, p, X)])
def test_a_call_inside_of_jit_says_so(call):
    with pytest.raises(ValueError, match="outside of jit"):
        jax.jit(call)(PARAMS)


def test_traced_rows_are_named():
    with pytest.raises(ValueError, match="outside of jit"):
        jax.jit(lambda x: pruned(X=x).loss)(X)
    with pytest.raises(ValueError, match="outside of jit"):
        jax.jit(lambda y: pruned(y=y).loss)(Y)


def test_shapes_are_enough_to_find_groups_inside_of_jit():
    found = []
    jax.jit(lambda p: (found.append(infer_groups(dense, p, X, verify=False)), p)[1])(PARAMS)
    assert found[0].sizes == (8,)


def test_deleted_arrays_are_named():
    params = jax.tree.map(jnp.array, PARAMS)
    params["a"].delete()
    with pytest.raises(ValueError, match=r"\['a'\] of 'params' is an array that was deleted"):
        infer_groups(dense, params, X)
    with pytest.raises(ValueError, match=r"\['a'\] of 'params' is an array that was deleted"):
        pruned(params=params)


def centred(p, x):
    h = x @ p["A"]
    return jax.nn.relu(h - h.mean(0)) @ p["B"]


def test_rows_that_meet_are_warned_of():
    with pytest.warns(UserWarning, match="depend on the other rows"):
        pruned(centred, policy="leave_one_out")
    with pytest.warns(UserWarning, match="depend on the other rows"):
        pruned(loss=lambda outputs, y: ((outputs - y) ** 2).mean(0), policy="leave_one_out")
    with pytest.warns(UserWarning, match="depend on the other rows"):
        rank_units(centred, PARAMS, X, Y, loss=squared, policy="leave_one_out")


def test_outputs_that_are_not_finite_verify_nothing():
    params = PARAMS | {"a": np.full(8, np.nan, "float32")}
    with pytest.warns(UserWarning, match="not verified"):
        groups = infer_groups(lambda p, x: (x @ p["A"] + p["a"]) @ p["B"], params, X)
    assert groups.verified is None


# --- what is frozen, and what else ----------------------------------------------------------------------------------


@pytest.mark.parametrize("freeze", ["A", 3, None, ["AA"], [("e", "d", "A")], [""], [()], [None], np.ones(2)])
def test_frozen_paths_that_lead_nowhere_are_named(freeze):
    with pytest.raises(ValueError, match="'freeze'"):
        infer_groups(dense, PARAMS, X, freeze=freeze)


@pytest.mark.parametrize("path", ["e.d", ("e", "d"), "e", "e.d.A", ["e", "d", "A"]])
def test_a_frozen_path_stands_for_all_below_it(path):
    with pytest.raises(ValueError, match="frozen by the user"):
        infer_groups(lambda p, x: dense(p["e"]["d"], x), {"e": {"d": PARAMS}}, X, freeze=[path])


@pytest.mark.parametrize("also", [dense, 3, None, [3], "x", [()]])
def test_what_is_no_list_of_functions_is_named(also):
    with pytest.raises(ValueError, match="'also'"):
        infer_groups(dense, PARAMS, X, also=also)


def test_an_example_without_rows_is_named():
    with pytest.raises(ValueError, match="'example' must have rows"):
        infer_groups(dense, PARAMS, X[:0])


# --- groups ----------------------------------------------------------------------------------------------------------


def test_groups_that_forget_a_parameter_are_refused_before_any_work():
    (found,) = infer_groups(dense, PARAMS, X).groups
    without = type(found)(found.name, found.size, [s for s in found.incoming if s.path != ("a",)], found.outgoing)
    with pytest.raises(ValueError, match="axis 0 of 'a'"):
        pruned(groups=Groups([without]))


def test_groups_of_another_function_are_refused_if_they_lack_a_parameter():
    params = PARAMS | {"C": np.ones(8, "float32")}
    groups = infer_groups(dense, params, X)
    with pytest.raises(ValueError, match="axis 0 of 'C'"):
        TracedNetwork.of(lambda p, x: dense(p | {"a": p["a"] + p["C"]}, x), groups, squared, params, X)


def test_groups_without_the_state_are_refused():
    groups = infer_groups(dense, PARAMS, X)
    with pytest.raises(ValueError, match=r"'state'.*found without"):
        pruned(lambda p, state, x: dense(p, x), groups=groups, state={"n": np.float32(1)})


# --- fine-tuning -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [(X,), (X, Y, None, None), 3, X, "x", {}, iter([(X, Y)]), ()])
def test_rows_to_fine_tune_on_are_checked_at_once(data):
    with pytest.raises(ValueError, match="'data' parameter of FineTuning"):
        FineTuning(SGD, data=data)


def test_a_loader_without_batches_is_no_training():
    with pytest.raises(ValueError, match="without batches"):
        tuned(data=[])


def test_an_optimizer_state_that_does_not_fit_is_named():
    adam = optax.adam(1e-3)
    small = {name: value[..., :1] for name, value in PARAMS.items()}
    for odd in ("x", (), adam.init({"A": PARAMS["A"]}), adam.init(small), tuple(map(tuple, adam.init(PARAMS)))):
        with pytest.raises(ValueError, match="'opt_state' parameter of FineTuning"):
            tuned(optimizer=adam, opt_state=odd)
    assert tuned(optimizer=adam, opt_state=adam.init(PARAMS)).opt_state[0].mu["A"].shape == (3, 4)


def test_a_training_function_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"'train_apply' of FineTuning.*3 were given"):
        tuned(train_apply=lambda p, x: dense(p, x))
    with pytest.raises(ValueError, match=r"'train_apply' of FineTuning.*sorted"):
        tuned(train_apply=lambda p, x, key: jnp.sort(x @ p["A"]) @ p["B"])


# --- cutting other trees ---------------------------------------------------------------------------------------------


def by_name(**kinds):
    return optax.partition(kinds, {"A": "weights", "a": "bias", "B": "weights"})


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.adamw(1e-3, mask={"A": True, "a": False, "B": True}),
        optax.masked(optax.adam(1e-3), {"A": True, "a": False, "B": True}),
        by_name(weights=optax.adam(1e-3), bias=optax.sgd(0.1, momentum=0.9)),
    ],
)
def test_states_of_masked_optimizers_are_cut(optimizer):
    result = pruned()
    state = result.cut(optimizer.init(PARAMS))
    fresh = optimizer.init(result.params)
    assert jax.tree.structure(state) == jax.tree.structure(fresh)
    assert jax.tree.map(np.shape, state) == jax.tree.map(np.shape, fresh)
    optimizer.update(result.params, state, result.params)


def test_a_mask_may_cover_a_part_of_the_tree():
    params = {"body": PARAMS, "scale": np.ones(1, "float32")}
    result = pruned(lambda p, x: dense(p["body"], x) * p["scale"], params)
    optimizer = optax.masked(optax.adam(1e-3), {"body": True, "scale": False})
    inner = result.cut(optimizer.init(params)).inner_state[0]
    assert inner.mu["body"]["A"].shape == (3, 4)


def test_leaves_of_none_stay():
    cut = pruned().cut({"A": PARAMS["A"], "a": None, "B": None})
    assert cut["A"].shape == (3, 4)
    assert cut["a"] is None


def test_moments_of_other_shapes_are_warned_of():
    factored = optax.scale_by_factored_rms(min_dim_size_to_factor=1)
    with pytest.warns(UserWarning, match="in other shapes"):
        pruned().cut(factored.init(PARAMS))
