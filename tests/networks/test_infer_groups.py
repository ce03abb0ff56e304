"""What `infer_groups` finds, what it refuses, and what it says of both."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_functions import ENCODER, EXAMPLES, LENET, LSTM, MLP, cross_entropy, drawn, mlp, rows

from skbandit import prune
from skbandit.networks import Groups, Variables, infer_groups, inference
from skbandit.networks.rules import RULES, register


def found(groups):
    """Return the groups as {name: (incoming, outgoing)}, each slice as (path, axis, labels)."""

    def of(slices):
        return {(s.path[0], s.axis): None if s.labels is None else s.labels.tolist() for s in slices}

    return {group.name: (of(group.incoming), of(group.outgoing)) for group in groups.groups}


@pytest.mark.parametrize("name", EXAMPLES)
def test_units_are_found_and_verified(name):
    example = EXAMPLES[name]
    groups = infer_groups(example.apply, example.params, example.X)
    assert {group.name: group.size for group in groups.groups} == example.sizes
    assert groups.verified.identity <= 1e-6
    assert groups.verified.compacted <= 1e-6
    assert groups.verified.noise == 0
    groups.check(example.params)


def test_a_dense_layer_owns_a_column_a_bias_and_a_row():
    groups = infer_groups(MLP.apply, MLP.params, MLP.X, verify=False)
    assert found(groups) == {
        "A": ({("A", 1): None, ("a", 0): None}, {("B", 0): None}),
        "B": ({("B", 1): None, ("b", 0): None}, {("C", 0): None}),
    }
    assert [tuple(cost) for cost in groups.costs] == [(3 + 1 + 6, 3 + 6), (8 + 1 + 2, 8 + 2)]


def test_a_filter_owns_its_inputs_behind_a_flatten():
    groups = infer_groups(LENET.apply, LENET.params, LENET.X, verify=False)
    incoming, outgoing = found(groups)["c2"]
    assert incoming == {("c2", 3): None, ("c2b", 0): None}
    assert outgoing == {("d", 0): [*range(6)] * 4}  # rows of d: positions of the picture, then channels


def test_a_unit_of_an_lstm_owns_a_column_of_each_gate():
    groups = infer_groups(LSTM.apply, LSTM.params, LSTM.X, verify=False)
    packed = [*range(5)] * 4
    incoming, outgoing = found(groups)["Wh"]
    assert incoming == {("Wh", 1): packed, ("Wx", 1): packed, ("b", 0): packed}
    assert outgoing == {("Wh", 0): None, ("out", 0): None}


def test_heads_and_the_residual_stream_are_found():
    groups = infer_groups(ENCODER.apply, ENCODER.params, ENCODER.X, verify=False)
    heads, stream, hidden = (found(groups)[name] for name in ("q", "emb", "f"))
    blocks = [0] * 4 + [1] * 4
    assert heads == ({(n, 1): blocks for n in "kqv"}, {("o", 0): blocks})
    assert {(n, a) for n, a in stream[0]} == {
        *(("emb", 1), ("pos", 1), ("o", 1), ("f2", 1), ("l1", 0), ("l2", 0), ("l3", 0))
    }
    assert {n for n, _ in stream[1]} == {"q", "k", "v", "f", "out"}
    assert hidden == ({("f", 1): None, ("fb", 0): None}, {("f2", 0): None})


def test_shapes_are_enough():
    specs = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), MLP.params)
    groups = infer_groups(MLP.apply, specs, jax.ShapeDtypeStruct((7, 3), jnp.float32))
    assert groups.sizes == (8, 6)


def test_the_batch_size_does_not_matter():
    for name, example in EXAMPLES.items():
        one, other = (infer_groups(example.apply, example.params, example.X[:n], verify=False) for n in (2, 3))
        assert found(one) == found(other), name


def test_the_table_says_what_leaves_and_what_stays():
    lines = str(infer_groups(ENCODER.apply, ENCODER.params, ENCODER.X)).splitlines()
    assert lines[0].split() == ["group", "units", "parameters", "MACs", "leaves", "with", "a", "unit", "read", "by"]
    (heads,) = [line for line in lines if line.startswith("q ")]
    assert "k[1] x4 q[1] x4 v[1] x4" in heads
    assert heads.endswith("o[0] x4")
    (refused,) = [line for line in lines if "emb[0]" in line]
    assert "emb[0] (7)" in refused
    assert "indexed (gather), small_functions.py:" in refused
    assert lines[-1].startswith("verified: gates of 1 ")


def test_an_unknown_axis_is_refused_by_name_and_line():
    def apply(p, x):
        h = jnp.sort(x @ p["A"], axis=-1)
        return jax.nn.relu(h @ p["B"]) @ p["C"]

    params = drawn(0, A=(3, 8), B=(8, 6), C=(6, 2))
    groups = infer_groups(apply, params, rows(1, 5, 3))
    assert groups.sizes == (6,)  # later layers are found all the same
    reasons = {(r.path, r.axis): (r.reason, r.source) for r in groups.refused}
    for place in ((("A",), 1), (("B",), 0)):
        assert reasons[place][0] == "sorted"
        assert reasons[place][1].startswith("test_infer_groups.py:")


@pytest.mark.parametrize("path", ["first", ("first", "B"), "first.B"])
def test_frozen_parameters_are_left_alone(path):
    def apply(p, x):
        return jax.nn.relu(mlp(p["first"], x) @ p["D"]) @ p["E"]

    params = {"first": MLP.params, "D": jnp.ones((2, 4)), "E": jnp.ones((4, 2))}
    groups = infer_groups(apply, params, MLP.X, freeze=[path], verify=False)
    assert {s.path for group in groups.groups for s in group.slices}.isdisjoint({("first", "A"), ("first", "B")})
    reasons = {r.reason for r in groups.refused if r.path == ("first", "B") and r.axis == 0}
    assert reasons == {"frozen by the user"}


def test_nothing_to_find_is_an_error_with_the_table():
    with pytest.raises(ValueError, match=r"(?s)No units were found.*not prunable"):
        infer_groups(lambda p, x: jnp.sort(x @ p["A"]) @ p["B"], drawn(0, A=(3, 4), B=(4, 2)), rows(1, 5, 3))


def test_a_function_that_cannot_be_traced_gets_one_sentence():
    def apply(p, x):
        return x @ p["A"] if float(x.sum()) > 0 else x

    with pytest.raises(ValueError, match=r"cannot be traced: it must run under jax.jit") as error:
        infer_groups(apply, drawn(0, A=(3, 4)), rows(1, 5, 3))
    assert error.value.__cause__ is None
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"include": "inner"}, r"must be a list, such as \['inner'\]"),
        (
            {"include": ["outer"]},
            r"'include' parameter must be a list of \['bilinear', 'inner', 'position', 'random'\]",
        ),
        ({"params": {"A": "text"}}, r"leaf \['A'\] of 'params' must be an array. Got 'text'"),
        ({"apply": 3}, "'apply' function must be callable. Got 3"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    given = {"apply": mlp, "params": MLP.params, "include": ()} | wrong
    with pytest.raises(ValueError, match=message):
        infer_groups(given["apply"], given["params"], MLP.X, include=given["include"])


def test_a_wrong_rule_is_found_out_and_its_group_refused(monkeypatch):
    def forgets(operation):  # that a softmax reads its units
        operation.elementwise()

    monkeypatch.setitem(RULES, "reduce_sum", RULES["reduce_sum"])
    monkeypatch.setitem(RULES, "cumsum", RULES["cumsum"])
    register("cumsum", forgets)

    def apply(p, x):
        h = jnp.cumsum(x @ p["A"], axis=-1)
        return jax.nn.relu(h @ p["B"]) @ p["C"]

    with pytest.warns(UserWarning, match="The group 'A' is refused: verification failed"):
        groups = infer_groups(apply, drawn(0, A=(3, 8), B=(8, 6), C=(6, 2)), rows(1, 5, 3))
    assert [group.name for group in groups.groups] == ["B"]
    assert any(r.reason.startswith("verification failed") for r in groups.refused)


def test_groups_that_are_wrong_together_are_found_out(monkeypatch):
    measure = inference._differences

    def wrong_together(traced, groups, *args):
        found = measure(traced, groups, *args)
        return found._replace(compacted=0.5) if len(groups.groups) > 1 else found

    monkeypatch.setattr(inference, "_differences", wrong_together)
    with pytest.warns(UserWarning, match="The group 'B' is refused"):
        groups = infer_groups(MLP.apply, MLP.params, MLP.X)
    assert [group.name for group in groups.groups] == ["A"]
    assert groups.verified.compacted < 1e-6


def test_a_rule_that_is_registered_later_holds(monkeypatch):
    rules = dict(RULES)
    monkeypatch.delitem(RULES, "erf_inv")

    def apply(p, x):
        return jax.scipy.special.erfinv(0.1 * jnp.tanh(x @ p["A"])) @ p["B"]

    params, X = drawn(0, A=(3, 8), B=(8, 2)), rows(1, 5, 3)
    with pytest.raises(ValueError, match="no rule for the primitive 'erf_inv'"):
        prune(apply, params, X, np.arange(5) % 2, loss=cross_entropy)
    register("erf_inv", rules["erf_inv"])
    result = prune(apply, params, X, np.arange(5) % 2, loss=cross_entropy, policy="magnitude")
    assert result.sizes == {"A": 4}


def test_a_function_that_changes_is_found_out():
    calls = iter(range(100))

    def apply(p, x):
        return (x @ p["A"] + next(calls)) @ p["B"]

    with pytest.raises(ValueError, match="does not return the same when its trace is evaluated"):
        infer_groups(apply, drawn(0, A=(3, 8), B=(8, 2)), rows(1, 5, 3))


# --- state, and functions in training mode ---------------------------------------------------------------------------


def batch_norm(p, s, x, training=False):
    h = x @ p["A"]
    if training:
        mean, var = h.mean(0), h.var(0)
        s = {"mean": 0.9 * s["mean"] + 0.1 * mean, "var": 0.9 * s["var"] + 0.1 * var, "unread": s["unread"] + h.sum(0)}
    else:
        mean, var = s["mean"], s["var"]
    h = jax.nn.relu((h - mean) / jnp.sqrt(var + 1e-5) * p["scale"])
    return h @ p["B"], s


PARAMS = drawn(0, A=(3, 8), scale=(8,), B=(8, 2))
STATE = {"mean": jnp.zeros(8), "var": jnp.ones(8), "unread": jnp.zeros(8)}


@pytest.mark.parametrize("training", [False, True])
def test_the_state_leaves_with_the_units(training):
    groups = infer_groups(lambda p, s, x: batch_norm(p, s, x, training), PARAMS, rows(1, 5, 3), state=STATE)
    (group,) = groups.groups
    names = {s.path for s in group.slices}
    expected = {("state", "mean"), ("state", "var")} | ({("state", "unread")} if training else set())
    assert names >= expected
    assert ("params", "scale") in names
    groups.check(Variables(PARAMS, STATE))


def test_what_only_training_reads_leaves_by_also():
    inference = infer_groups(batch_norm, PARAMS, rows(1, 5, 3), state=STATE, verify=False)
    both = infer_groups(
        *(batch_norm, PARAMS, rows(1, 5, 3)),
        state=STATE,
        also=[lambda p, s, x: batch_norm(p, s, x, True)],
    )
    unread = ("state", "unread")
    assert unread not in {s.path for s in inference.groups[0].slices}
    assert unread in {s.path for s in both.groups[0].slices}


def test_groups_of_ones_own_print_too():
    assert str(Groups([])) == "no groups"
