"""Odd networks for `skbandit.prune` and `rank_units`, with faults in what is given and in what functions return.

Each case is drawn from its seed. One that is as it should be must give a smaller network that computes what the gated
one did, and finite parameters; one with a fault must end in an error that names what is wrong.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from odd_networks import CONTAINERS, DTYPES, KINDS, LOSS_FAULTS, N_ROWS, OwnError, compacted_loss, make
from scipy import sparse
from verdicts import Verdict, counts, faults, judge

from skbandit import prune, rank_units
from skbandit.networks import GatedNetwork, Slice

POLICIES = ["ucb1", "leave_one_out", "magnitude", "racing"]


class Case(NamedTuple):
    """What is given, and what is to come of it."""

    call: Callable[[], Any]
    about: tuple[str, ...]
    """What the error names; nothing where the case is as it should be."""
    said: str
    """The case, for a person."""


# --- what functions return -------------------------------------------------------------------------------------------


def change(how):
    """Return a function that changes every leaf of floats."""
    return lambda params, *args: jax.tree.map(how, params)


def first_leaf(how):
    def function(params, *args):
        leaves, tree = jax.tree.flatten(params)
        return jax.tree.unflatten(tree, [how(leaves[0]), *leaves[1:]])

    return function


def in_place(params, *args):
    for leaf in jax.tree.leaves(params):
        leaf *= 0.9
    for leaf in jax.tree.leaves(args):
        if isinstance(leaf, np.ndarray):
            leaf[...] = 0
    return params


def leaked(params, *args):
    kept = []
    jax.jit(lambda a: kept.append(a) or a)(1.0)
    return jax.tree.map(lambda leaf: kept[0], params)


def given_away(params, *args):
    def gone(leaf):
        array = jnp.asarray(leaf)
        array.delete()
        return array

    return jax.tree.map(gone, params)


def raising(error):
    def function(*args):
        raise error

    return function


#: Functions that return parameters; the second of a pair says whether that is an error.
RETURNS = {
    "same": (lambda params, *args: params, False),
    "in place": (in_place, False),
    "revives": (change(lambda leaf: leaf + 0.1), False),
    "of jax": (change(jnp.asarray), False),
    "float64": (change(lambda leaf: np.asarray(leaf, float)), False),
    "bfloat16": (change(lambda leaf: jnp.asarray(leaf, jnp.bfloat16)), False),
    "read-only": (change(lambda leaf: np.broadcast_to(leaf, leaf.shape)), False),
    "interrupt": (raising(KeyboardInterrupt), False),
    "None": (lambda *args: None, True),
    "a leaf less": (lambda params, *args: jax.tree.leaves(params)[:-1], True),
    "another container": (lambda params, *args: [params], True),
    "lists": (change(np.ndarray.tolist), True),
    "shapes": (first_leaf(lambda leaf: leaf[:1]), True),
    "broadcast": (first_leaf(lambda leaf: leaf[None]), True),
    "nan": (change(lambda leaf: leaf * np.nan), True),
    "one nan": (first_leaf(lambda leaf: np.where(np.arange(leaf.size).reshape(leaf.shape) < 6, np.nan, leaf)), True),
    "infinite": (change(lambda leaf: np.full_like(leaf, np.inf)), True),
    "beyond float32": (change(lambda leaf: leaf.astype(float) + 1e200), True),
    "ints": (change(lambda leaf: leaf.astype(int)), True),
    "bools": (change(lambda leaf: leaf > 0), True),
    "complex": (change(lambda leaf: leaf * 1j), True),
    "objects": (change(lambda leaf: leaf.astype(object)), True),
    "text": (first_leaf(lambda leaf: "weights"), True),
    "a traced value": (leaked, True),
    "arrays given away": (given_away, True),
    "raises": (raising(OwnError("of the function itself")), True),
    "too few arguments": (lambda params: params, True),
}
#: Of those, what diverges is no error of `fine_tune`: the repaired network stays.
DIVERGES = ("nan", "one nan", "infinite", "beyond float32")


def writes(record, result):
    for leaf in jax.tree.leaves(result().params):
        leaf[...] = np.nan


ANSWERS = {
    "None": (lambda *args: None, False),
    "True": (lambda *args: True, False),
    "a bool of NumPy": (lambda *args: np.bool_(False), False),
    "a bool of JAX": (lambda *args: jnp.asarray(False), False),
    "writes to the result": (writes, False),
    "interrupt": (raising(KeyboardInterrupt), False),
    "array": (lambda *args: np.ones(2, bool), True),
    "nan": (lambda *args: np.nan, True),
    "text": (lambda *args: "no", True),
    "number": (lambda *args: 3, True),
    "raises": (raising(OwnError("of the function itself")), True),
    "no arguments": (lambda: None, True),
}

# --- what is given ---------------------------------------------------------------------------------------------------


def of_group(**fields):
    """Return groups with the first one's fields changed."""
    return lambda groups: [dataclasses.replace(groups[0], **fields), *groups[1:]]


def with_slice(make_slice):
    return lambda groups: of_group(incoming=[*groups[0].incoming, make_slice(groups[0])])(groups)


def scalar_slice(group):
    return Slice("scalar", 0)


def path_of(group):
    return group.incoming[0].path


GROUP_FAULTS = {
    "none": lambda groups: [],
    "no slices": of_group(incoming=[], outgoing=[]),
    "an axis twice": with_slice(lambda group: group.incoming[0]),
    "an axis from both ends": with_slice(lambda g: Slice(path_of(g), g.incoming[0].axis % 2 - 2, g.incoming[0].labels)),
    "another array": with_slice(lambda group: Slice((*path_of(group), "x"), 0)),
    "no array": with_slice(lambda group: Slice("nowhere", 0)),
    "no such axis": with_slice(lambda group: Slice(path_of(group), 5)),
    "axis of text": with_slice(lambda group: Slice(path_of(group), "1")),
    "axis of bool": with_slice(lambda group: Slice(path_of(group), True)),
    "a path that is no key": with_slice(lambda group: Slice(([1],), 0)),
    "a unit without a slice": lambda groups: of_group(size=groups[0].size + 1)(groups),
    "one unit less": lambda groups: of_group(size=groups[0].size - 1)(groups),
    "huge": of_group(size=2**40),
    "large": of_group(size=2**30),
    "empty": of_group(size=0),
    "negative": of_group(size=-3),
    "size of text": of_group(size="4"),
    "labels of floats": with_slice(lambda g: Slice(path_of(g), 0, np.zeros(6))),
    "labels of bools": with_slice(lambda g: Slice(path_of(g), 0, [True] * 6)),
    "labels of two lengths": with_slice(lambda g: Slice(path_of(g), 0, [[1], [1, 2]])),
    "labels beyond": with_slice(lambda g: Slice(path_of(g), 0, [9] * 6)),
    "too few labels": with_slice(lambda g: Slice(path_of(g), 0, [0])),
    "a name twice": lambda groups: [*groups, groups[0]],
    "a name that is none": of_group(name=None),
    "a slice alone": lambda groups: of_group(incoming=groups[0].incoming[0])(groups),
    "slices once": lambda groups: of_group(incoming=iter(groups[0].incoming))(groups),
    "a generator": iter,
    "a number": lambda groups: 3,
    "text": lambda groups: "ab",
    "a dict": lambda groups: {"a": groups[0]},
    "slices": lambda groups: list(groups[0].slices),
}

PARAM_FAULTS = {
    "objects": lambda leaf: np.full(leaf.shape, "a", object),
    "text": lambda leaf: "relu",
    "dates": lambda leaf: np.zeros(leaf.shape, "datetime64[s]"),
    "a mask": lambda leaf: np.ma.masked_array(np.asarray(leaf, float), np.ones(leaf.shape, bool)),
    "nan": lambda leaf: np.asarray(leaf, float) * np.nan,
    "huge": lambda leaf: np.full(leaf.shape, 1e150),
    "a key": lambda leaf: jax.random.key(0),
    "huge ints": lambda leaf: np.full(leaf.shape, 2**40),
    "sparse": lambda leaf: sparse.csr_array(np.ones((2, 2))),
    "a function": lambda leaf: print,
}

HUGE = np.full(N_ROWS, 1e150)
ROW_FAULTS = {
    "X": [
        *(None, "x", 3.0, [[1], [1, 2]], np.empty((0, 6)), np.full((N_ROWS, 6), "a"), np.ones((N_ROWS, 6)) * 1j),
        *(np.full((N_ROWS, 6), np.nan), np.full((N_ROWS, 6), 1e150), np.ones((N_ROWS - 1, 6)), {"a": 1}, iter([1])),
        *(np.ma.masked_array(np.ones((N_ROWS, 6)), np.ones((N_ROWS, 6))), np.full((N_ROWS, 6), None)),
        np.full((N_ROWS, 6), 2**40),
    ],
    "y": [
        *(None, "x", 3.0, [[1], [1, 2]], HUGE, HUGE * np.nan, HUGE * 1j, HUGE.astype(str), HUGE[1:]),
        sparse.csr_array(np.ones((N_ROWS, 1))),
    ],
    "sample_weight": [
        *("x", 3.0, -HUGE, HUGE, HUGE * 0, HUGE * np.nan, HUGE[1:], np.ones((N_ROWS, 1)), np.ones(N_ROWS) * 1j),
        [None] * N_ROWS,
    ],
    "held_out": [
        *(3, "xy", (), (1, 2, 3, 4), (np.ones((9, 6)), np.ones(8)), (np.ones((9, 5)), np.ones(9)), {"X": 1, "y": 2}),
        *((np.ones((9, 6)), np.ones((9, 1))), (np.ones((9, 6)), np.full(9, np.nan)), (None, None)),
        *((np.ones((9, 6)), np.ones(9), -np.ones(9)), (np.ones((0, 6)), np.ones(0))),
    ],
}
GOOD_ROWS = {
    "X": [lambda X: X.tolist(), pd.DataFrame, sparse.csr_array, lambda X: X.astype("float16"), jnp.asarray],
    "y": [lambda y: y.tolist(), pd.Series, lambda y: y.astype(int)],
}


class Own:
    """A network of a class of its own, with more than a loss; one field is wrong."""

    def __init__(self, inner, **fields):
        self.groups, self.inner = inner.groups, inner
        vars(self).update(fields)

    def batch_loss(self, params, gates, emissions, X, y, weight):
        return self.inner.batch_loss(params, gates, emissions, X, y, weight)


def returning(make_value):
    return lambda *args: make_value(args)


#: Name of the field, values that are wrong, and a policy that asks for it.
OWN_FAULTS = {
    "damages": ([returning(lambda a: None), returning(lambda a: jnp.zeros(2)), returning(lambda a: a[-1])], "ucb1"),
    "activations": (
        [
            returning(lambda a: None),
            returning(lambda a: [a[2]]),
            returning(lambda a: tuple(jnp.zeros((len(a[2]), len(g)), int) for g in a[1])),
        ],
        "activation_variance",
    ),
    "n_macs": ([returning(lambda a: -1.0), returning(lambda a: np.nan), returning(lambda a: "x")], "magnitude"),
    "n_squared_errors": (["x", -1, 0, 2.5, True], "magnitude"),
    "batch_loss": ([returning(lambda a: a[-1]), returning(lambda a: None), returning(lambda a: (1, 2))], "ucb1"),
}


# --- cases -----------------------------------------------------------------------------------------------------------


def drawn(seed, kinds=None, containers=None, policies=None):
    """Return the case of a seed."""
    rng = np.random.default_rng(seed)

    def pick(of):
        names = list(of)
        return names[rng.integers(len(names))]

    kind, container, dtype = pick(kinds or KINDS), pick(containers or CONTAINERS), pick(DTYPES)
    where = pick(["nowhere", "nowhere", "loss", "repair", "fine_tune", "on_round", "groups", "params", "rows", "own"])
    fault = pick(LOSS_FAULTS) if where == "loss" else "none"
    network, params, X, y = make(kind, container, dtype, rng, fault)
    options = {
        "policy": pick(policies or POLICIES),
        "pruning_ratio": pick([0.0, 0.3, 0.5, 0.9, "auto"]),
        "scope": pick(["auto", "global", "layer"]),
        "max_pruning_ratio": pick([1.0, 1, 0.95, {}]),
        "n_rounds": pick([1, 2, 2**40]),
        "budget": pick([1, 2.5, 100]),
        "random_state": pick([0, None, np.int64(3), np.random.RandomState(0)]),
    }
    given: dict[str, Any] = {"params": params, "X": X, "y": y}
    about: tuple[str, ...] = ()
    if where == "loss":
        about = ("loss", "of the loss itself")
    elif where in ("repair", "fine_tune"):
        fault = pick(RETURNS)
        options[where], wrong = RETURNS[fault]
        if wrong and not (where == "fine_tune" and fault in DIVERGES):
            about = (f"'{where}'", "of the function itself")
        options["pruning_ratio"] = 0.5
    elif where == "on_round":
        fault = pick(ANSWERS)
        options[where], wrong = ANSWERS[fault]
        about = ("'on_round'", "of the function itself") if wrong else ()
        options["pruning_ratio"] = 0.5
    elif where == "params":
        fault = pick(PARAM_FAULTS)
        leaves, tree = jax.tree.flatten(params)
        given["params"] = jax.tree.unflatten(tree, [PARAM_FAULTS[fault](leaves[0]), *leaves[1:]])
        about = ("'params'", "parameters", "axis")
    elif where == "rows":
        name = pick(ROW_FAULTS)
        i = rng.integers(len(ROW_FAULTS[name]))
        fault = f"{name} {i}"
        given[name] = ROW_FAULTS[name][i]
        about = (name, "'X'", "X, y")
    elif where == "nowhere" and rng.random() < 0.5:
        name = pick(GOOD_ROWS)
        given[name] = pick(GOOD_ROWS[name])(given[name])
    extra = {}
    if where == "own":
        fault = pick(OWN_FAULTS)
        values, options["policy"] = OWN_FAULTS[fault]
        extra, about = {fault: values[rng.integers(len(values))]}, (fault,)
    group_fault = pick(GROUP_FAULTS) if where == "groups" else None
    fault = group_fault or fault
    if group_fault:
        about = ("group", "Group", "Slice", "slice")
    said = f"seed {seed}: {kind} in a {container} of {dtype}, {options['policy']}, {where}: {fault}"

    def call():
        made = network()
        if group_fault:
            made = GatedNetwork(made.loss, GROUP_FAULTS[group_fault](list(made.groups.groups)))
        if where == "own":
            made = Own(made, **extra)
        before = jax.tree.map(lambda leaf: np.array(leaf, copy=True), params)
        if where == "nowhere" and rng.random() < 0.3:
            options["pruning_ratio"], options["scope"] = 0.5, options["scope"].replace("auto", "layer")
            ranked = {name: options[name] for name in ("policy", "pruning_ratio", "scope", "budget", "random_state")}
            return rank_units(made, **given, **ranked)
        result = prune(made, **given, **options)
        jax.tree.map(np.testing.assert_array_equal, jax.tree.map(np.array, params), before)
        return made, given, result

    return Case(call, about, said)


def of_result(found):
    """Return the arrays that must be finite; raise AssertionError if the smaller network is not what it should be."""
    if len(found) != 3:
        return [found.value]
    network, given, result = found
    weight = np.ones(N_ROWS)
    X = given["X"]
    X, y = np.asarray(X.toarray() if sparse.issparse(X) else X, float), np.asarray(given["y"], float)
    loss = compacted_loss(network.loss, result, X, y, weight)
    assert loss == pytest.approx(result.loss, rel=1e-4, abs=1e-5)
    assert [len(kept) for kept in result.kept] == (
        list(result.history[-1].sizes) if result.history else [*map(len, result.kept)]
    )
    return [*jax.tree.leaves(result.params), np.float64(result.loss)]


def verdict_of(case):
    """Return what a case came to; a case that ends otherwise than it should is unclear."""
    try:
        found = judge(case.call, case.about, of_result)
    except AssertionError as error:
        return Verdict("unclear", f"the smaller network is another: {error}")
    wanted = "clear error" if case.about else "ok"
    return found if found.kind == wanted else Verdict("unclear", f"{found.kind}, not {wanted}: {found.said}")


def check(seeds, **among):
    verdicts = {}
    for seed in seeds:
        case = drawn(seed, **among)
        verdicts[case.said] = verdict_of(case)
    print(counts(verdicts))
    assert faults(verdicts) == []


def test_a_few_odd_networks():
    check(range(60), kinds=["heads", "residual"], containers=["nested"], policies=["ucb1", "magnitude"])


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(6))
def test_many_odd_networks(part):
    check(range(1000 + 250 * part, 1250 + 250 * part))
