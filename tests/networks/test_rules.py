"""Every rule: ``relu(mid(σ(xA + c)) B) D`` with ``mid`` of one primitive; labels by hand, gated = removed, noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.core import Primitive, primitives
from jax.interpreters import mlir
from probing import Probe, found, masks_of
from rule_cases import CASES, ELEMENTWISE, GONE, REFUSED, SIX, Case, N

from skbandit.networks import infer_groups
from skbandit.networks.graph import _CALLS, _INLINED
from skbandit.networks.rules import RULES, register
from skbandit.networks.search import KINDS

ALL = {p.name for name in dir(primitives) if isinstance(p := getattr(primitives, name), Primitive)}


def network(case, dtype="float32", seed=0):
    """Return the function of a case, its parameters and its data."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return (rng.normal(size=shape) * 0.7).astype(dtype)

    params = {"A": draw(case.shape[-1], N), "c": draw(N)}
    params |= {name: draw(*shape) for name, shape in case.params.items()}
    x = draw(*case.shape)

    def hidden(params, x):
        return case.mid(jax.nn.sigmoid(x @ params["A"] + params["c"]), params)

    made = jax.eval_shape(hidden, params, x)
    n = made.shape[-1] if made.shape else 1
    params |= {"B": draw(n, 5), "D": draw(5, 2)}

    def apply(params, x):
        h = hidden(params, x)
        h = h[None] if not h.shape else h
        return jax.nn.relu(h.astype(dtype) @ params["B"]) @ params["D"]

    return apply, params, x


def group_of(groups, name, axis):
    """Return the group that an axis of a parameter belongs to, and the labels of its positions."""
    for group in groups.groups:
        for s in group.slices:
            if s.path == (name,) and s.axis == axis:
                return group, np.arange(group.size) if s.labels is None else np.asarray(s.labels)
    return None, None


def relabelled(labels):
    """Number labels in the order in which they come, to compare them."""
    numbers = {-1: -1}
    return tuple(numbers.setdefault(int(n), len(numbers) - 1) for n in labels)


def primitives_in(jaxpr):
    names = set()
    for equation in jaxpr.eqns:
        names.add(equation.primitive.name)
        for value in equation.params.values():
            for inner in value if isinstance(value, (list, tuple)) else [value]:
                if hasattr(inner, "jaxpr"):
                    names |= primitives_in(inner.jaxpr)
                elif hasattr(inner, "eqns"):
                    names |= primitives_in(inner)
    return names


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_primitive_of_jax_has_a_rule_or_is_refused_on_purpose(name):
    known = {*RULES, *_CALLS, *_INLINED}
    assert (name in known) != (name in REFUSED), (
        f"The primitive {name!r} is {'both' if name in REFUSED else 'neither'} ruled and refused: add "
        "a rule to skbandit/networks/rules.py and a case to rule_cases.py, or a line to REFUSED that says why not."
    )


def test_every_rule_has_a_case():
    seen = set()
    for case in (*CASES.values(), *ELEMENTWISE.values()):
        apply, params, x = network(case)
        seen |= primitives_in(jax.make_jaxpr(apply)(params, x).jaxpr)
    only_by_hand = {"reshard", "pvary", "layout_constraint"}  # of several devices
    assert set(RULES) - seen == only_by_hand


def joined(groups, case):
    """Return the units of A's columns, of B's rows and of further parameters, as they are and as they are expected."""
    group, of_a = group_of(groups, "A", 1)
    expected_a = case.labels.get(("A", 1), tuple(u if u in case.left else GONE for u in SIX))
    actual, expected = [of_a], [expected_a]
    for (name, axis), labels in ({("B", 0): case.rows} | dict(case.labels)).items():
        if name != "A":
            other, of_other = group_of(groups, name, axis)
            actual.append(of_other if other is group else np.full(len(labels), GONE))
            expected.append(labels)
    return relabelled(np.concatenate(actual)), relabelled(np.concatenate(expected))


@pytest.mark.parametrize("name", sorted({**CASES, **ELEMENTWISE}))
def test_labels_are_those_by_hand(name):
    case = {**CASES, **ELEMENTWISE}[name]
    apply, params, x = network(case)
    groups = found(apply, params, x, include=case.include)
    if case.rows == (None,):
        assert group_of(groups, "A", 1) == (None, None)
        (reason,) = [r.reason for r in groups.refused if (r.path, r.axis) == (("A",), 1)]
        assert case.reason in reason
    else:
        actual, expected = joined(groups, case)
        assert actual == expected


def assert_case_holds(case, dtype, tolerance, most, exactly=True):
    apply, params, x = network(case, dtype)
    groups = found(apply, params, x, include=case.include)
    if not groups.groups:
        return
    probe = Probe(apply, params, (x,), groups, tolerance)
    masks = masks_of(groups, np.random.default_rng(0))[-most:]
    probe.assert_holds(masks, exactly)
    if case.follows:
        probe.assert_function_follows(masks[0])


@pytest.mark.parametrize("name", sorted(name for name in CASES if name.startswith(("reduce", "dot", "conv", "cum"))))
def test_gated_is_removed_in_single_precision(name):
    assert_case_holds(CASES[name], "float32", 1e-5, 1)


@pytest.mark.parametrize("name", sorted(CASES))
def test_gated_is_removed_in_double_precision(name):
    with jax.enable_x64(True):
        assert_case_holds(CASES[name], "float64", 1e-12, 2)


#: These take long to compile.
SLOW = ("digamma", "igamma", "igammac", "igamma_grad_a", "lgamma", "polygamma", "regularized_incomplete_beta", "zeta")


@pytest.mark.parametrize("first", range(0, len(ELEMENTWISE) - len(SLOW), 12))
def test_elementwise_primitives_pass_units(first):
    cases = [case for name, case in ELEMENTWISE.items() if name not in SLOW][first : first + 12]
    assert_passed_together(cases)


@pytest.mark.parametrize("name", SLOW)
def test_special_functions_pass_units(name):
    # Their loops run until all positions have converged, those of units that left too.
    assert_passed_together([ELEMENTWISE[name]], exactly=False)


def assert_passed_together(cases, exactly=True):
    def mid(h, p):
        made = [case.mid(h, p).astype(h.dtype) for case in cases]
        return jnp.concatenate([jnp.where(jnp.isfinite(a), jnp.clip(a, -9, 9), 0) for a in made], -1)

    params = {name: shape for case in cases for name, shape in case.params.items()}
    with jax.enable_x64(True):
        assert_case_holds(Case(mid, params=params), "float64", 1e-12, 1, exactly)


def test_a_unit_of_two_axes_is_of_one_group():
    """The axes of a symmetric product are one: what leaves on the left leaves on the right."""
    params = {"A": np.ones((4, N)), "B": np.ones((N, N))}

    def apply(params, x):
        h = x @ params["A"]
        return jnp.einsum("bi,bj,ij->b", h, h, params["B"])

    (group,) = found(apply, params, np.ones((3, 4)), include=list(KINDS)).groups
    assert {(s.path, s.axis) for s in group.slices} == {(("A",), 1), (("B",), 0), (("B",), 1)}


# --- what has no rule ------------------------------------------------------------------------------------------------

WITHOUT_RULES = {
    "cholesky": lambda h: jnp.linalg.cholesky(h.T @ h + jnp.eye(N)),
    "lu": lambda h: jax.scipy.linalg.lu(h.T @ h)[1],
    "qr": lambda h: jnp.linalg.qr(h)[1],
    "svd": lambda h: jnp.linalg.svd(h, full_matrices=False)[2],
    "eigh": lambda h: jnp.linalg.eigh(h.T @ h)[1],
    "triangular_solve": lambda h: lax.linalg.triangular_solve(h[:3, :3], h, left_side=True),
    "reduce": lambda h: lax.reduce(h, np.float32(0), lambda a, b: a + 2 * b, (0,))[None],
    "random_gamma": lambda h: jax.random.gamma(jax.random.key(0), h),
    "ragged_dot_general": lambda h: lax.ragged_dot(h, jnp.ones((2, N, 3)), jnp.array([2, 1])),
    "pure_callback": lambda h: jax.pure_callback(np.sin, jax.ShapeDtypeStruct(h.shape, h.dtype), h),
    "composite": lambda h: lax.composite(lambda h: jnp.sin(h), "a.sine")(h),
}


@pytest.mark.parametrize("name", sorted(WITHOUT_RULES))
def test_what_has_no_rule_is_named_with_its_line(name):
    apply, params, x = network(Case(lambda h, p: WITHOUT_RULES[name](h)))
    groups = found(apply, params, x)
    assert [(group.name, group.size) for group in groups.groups] == [("B", 5)]
    (refusal,) = [r for r in groups.refused if (r.path, r.axis) == (("A",), 1)]
    assert name in refusal.reason or name in ("triangular_solve", "composite")
    assert refusal.source


UNKNOWN = Primitive("doubled_by_nobody")
UNKNOWN.def_impl(lambda h: h * 2)
UNKNOWN.def_abstract_eval(lambda h: h)
mlir.register_lowering(UNKNOWN, mlir.lower_fun(lambda h: h * 2, multiple_results=False))


@pytest.fixture
def rules():
    before = dict(RULES)
    yield RULES
    RULES.clear()
    RULES.update(before)


def test_an_unknown_primitive_is_refused_until_it_has_a_rule(rules):
    case = Case(lambda h, p: UNKNOWN.bind(h))
    apply, params, x = network(case)
    groups = infer_groups(apply, params, x)
    assert [group.name for group in groups.groups] == ["B"]  # later layers are still found
    (refusal,) = [r for r in groups.refused if r.path == ("A",) and r.axis == 1]
    assert refusal.reason == "no rule for the primitive 'doubled_by_nobody'"
    assert refusal.source.startswith("test_rules.py:")
    register("doubled_by_nobody", lambda operation: operation.elementwise())
    assert [group.name for group in infer_groups(apply, params, x).groups] == ["A", "B"]
    assert_case_holds(case, "float32", 1e-5, 2)


def test_a_rule_that_fails_refuses_and_says_so(rules):
    def fails(operation):
        raise KeyError("dimension")

    register("doubled_by_nobody", fails)
    apply, params, x = network(Case(lambda h, p: UNKNOWN.bind(h)))
    groups = found(apply, params, x)
    assert [group.name for group in groups.groups] == ["B"]
    assert any("the rule of the primitive 'doubled_by_nobody' fails here" in r.reason for r in groups.refused)


@pytest.mark.parametrize(("name", "rule"), [(3, lambda operation: None), ("sin", "elementwise")])
def test_rules_are_checked_when_they_are_registered(name, rule):
    with pytest.raises(ValueError, match="rule"):
        register(name, rule)
