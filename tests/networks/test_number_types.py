"""Groups of networks of other numbers than single floats: halves, complex, whole numbers, masks, keys."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax import lax
from probing import Probe, found, masks_of

from skbandit.networks.gating import neutral

RNG = np.random.default_rng(0)


def draw(*shape, dtype="float32"):
    return RNG.normal(size=shape).astype(dtype)


def assert_holds(apply, params, x, tolerance, names, follows=True):
    """Check that one group leaves with all the named axes, and that it holds."""
    groups = found(apply, params, x)
    (group,) = groups.groups
    assert {(*s.path, s.axis) for s in group.slices} == names
    groups.check(params)
    probe = Probe(apply, params, [x], groups, tolerance)
    masks = masks_of(groups, np.random.default_rng(0))
    probe.assert_holds(masks)
    if follows:
        probe.assert_function_follows(masks[0])


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 0.05), ("float16", 5e-3), ("float64", 1e-12)])
def test_floats_of_other_sizes(dtype, tolerance):
    with jax.enable_x64(dtype == "float64"):
        dtype = jnp.dtype(dtype)
        params = {name: draw(*shape).astype(dtype) for name, shape in (("A", (4, 6)), ("g", (6,)), ("B", (6, 3)))}

        def apply(params, x):
            h = jax.nn.gelu(x @ params["A"])
            h = (h - h.mean(-1, keepdims=True)) / (h.std(-1, keepdims=True) + 1)
            return (jax.nn.softmax(h) * params["g"]) @ params["B"]

        assert_holds(apply, params, draw(5, 4).astype(dtype), tolerance, {("A", 1), ("g", 0), ("B", 0)})


@pytest.mark.parametrize("of", [257, 1000])
def test_a_count_in_halves_is_the_number_of_units_left(of):
    """A ratio of 257 or 1000 units is no number of 8 bits; the number of those left is rounded once."""
    params = {"A": draw(4, of).astype(ml_dtypes.bfloat16)}
    x = draw(5, 4).astype(ml_dtypes.bfloat16)

    def apply(params, x):
        h = x @ params["A"]
        return lax.reduce_sum(h, (1,)) / jnp.asarray(of, h.dtype)

    groups = found(apply, params, x)
    probe = Probe(apply, params, [x], groups, 0.02)
    probe.assert_holds([np.arange(of) % 3 > 0])


def test_mixed_precision():
    params, x = {"A": draw(4, 6), "B": draw(6, 3)}, draw(5, 4)

    def apply(params, x):
        h = jax.nn.relu(x.astype("bfloat16") @ params["A"].astype("bfloat16"))
        return jnp.matmul(h, params["B"].astype("bfloat16"), preferred_element_type=jnp.float32)

    assert_holds(apply, params, x, 0.02, {("A", 1), ("B", 0)})


def test_complex_weights():
    params = {name: draw(*shape) + 1j * draw(*shape) for name, shape in (("A", (4, 6)), ("B", (6, 3)))}
    params = {name: value.astype("complex64") for name, value in params.items()}

    def apply(params, x):
        h = x @ params["A"]
        h = h / (1 + jnp.abs(h).mean(-1, keepdims=True))
        return jnp.abs(jnp.tanh(h) @ params["B"])

    assert_holds(apply, params, draw(5, 4), 1e-5, {("A", 1), ("B", 0)})


def test_quantised_weights_and_their_scales():
    params = {
        "A": RNG.integers(-9, 9, (4, 6)).astype("int8"),
        "scale": draw(6),
        "B": RNG.integers(-9, 9, (6, 3)).astype("int8"),
    }

    def apply(params, x):
        h = jax.nn.relu(x @ (params["A"].astype(x.dtype) * params["scale"]))
        whole = jnp.clip(jnp.round(h), -99, 99).astype("int8")
        return lax.dot_general(whole, params["B"], (((1,), (0,)), ((), ())), preferred_element_type=jnp.int32)

    assert_holds(apply, params, draw(5, 4), 1e-5, {("A", 1), ("scale", 0), ("B", 0)})


def test_floats_of_8_bits():
    params = {"A": draw(4, 6).astype(ml_dtypes.float8_e4m3fn), "B": draw(6, 3).astype(ml_dtypes.float8_e4m3fn)}

    def apply(params, x):
        h = jax.nn.relu(x @ params["A"].astype(x.dtype))
        return h.max(-1, keepdims=True) + h @ params["B"].astype(x.dtype)

    assert_holds(apply, params, draw(5, 4), 1e-5, {("A", 1), ("B", 0)})


def test_masks_and_keys_among_the_parameters():
    params = {
        "A": draw(4, 6),
        "mask": np.array([1, 1, 0, 1, 1, 0], bool),
        "key": jax.random.key(0),
        "B": draw(6, 3),
    }

    def apply(params, x):
        h = jnp.where(params["mask"], x @ params["A"], 0)
        return h @ params["B"] + jax.random.normal(params["key"], (3,))

    groups = found(apply, params, np.ones((5, 4), "float32"))
    (group,) = groups.groups
    assert {(*s.path, s.axis) for s in group.slices} == {("A", 1), ("mask", 0), ("B", 0)}


def test_normalised_weights():
    """What is read in a weight is read by units: the norm of the smaller network is over its own inputs."""
    params = {"A": draw(4, 6), "B": draw(6, 3), "g": draw(3)}

    def apply(params, x):
        B = params["B"]
        B = (B - B.mean(0)) / (B.std(0) + 0.1)
        return jax.nn.relu(x @ params["A"]) @ (B / jnp.linalg.norm(B, axis=0) * params["g"])

    assert_holds(apply, params, draw(5, 4), 1e-5, {("A", 1), ("B", 0)})


def test_weights_of_two_factors():
    """The rank of a product of two parameters is a unit, which no data reads."""
    params = {"U": draw(4, 6), "V": draw(6, 5), "B": draw(5, 3)}

    def apply(params, x):
        return jax.nn.relu(x @ (params["U"] @ params["V"])) @ params["B"]

    groups = found(apply, params, draw(5, 4))
    assert {frozenset((*s.path, s.axis) for s in group.slices) for group in groups.groups} == {
        frozenset({("U", 1), ("V", 0)}),
        frozenset({("V", 1), ("B", 0)}),
    }
    Probe(apply, params, [draw(5, 4)], groups, 1e-5).assert_holds([np.arange(11) % 3 > 0])


def test_memory_that_is_read_twice():
    params, x = {"W": draw(4, 5), "memory": draw(6, 5), "o": draw(5, 3)}, draw(5, 4)

    def apply(params, x):
        weights = jax.nn.softmax((x @ params["W"]) @ params["memory"].T)
        return (weights @ params["memory"]) @ params["o"]

    groups = found(apply, params, x)
    assert {(*s.path, s.axis) for s in groups.groups[-1].slices} == {("memory", 0)}
    Probe(apply, params, [x], groups, 1e-5).assert_holds(masks_of(groups, np.random.default_rng(0)))


def test_what_no_parameter_makes_stays():
    """The rows of a weight that reads chosen features of the data are no units: the data would have to change."""
    params, x = {"W": draw(3, 4), "B": draw(4, 2)}, draw(5, 6)

    def apply(params, x):
        return jax.nn.relu(x[:, np.array([0, 2, 5])] @ params["W"]) @ params["B"]

    groups = found(apply, params, x)
    assert [group.name for group in groups.groups] == ["W"]
    reasons = {(*r.path, r.axis): r.reason for r in groups.refused}
    assert reasons["W", 0] == "no parameter makes its units, one only reads them"


@pytest.mark.parametrize(
    ("name", "dtype", "expected"),
    [
        ("reduce_max", "int8", -128),
        ("reduce_min", "uint8", 255),
        ("reduce_max", "bool", False),
        ("reduce_and", "int32", -1),
        ("reduce_and", "bool", True),
        ("reduce_xor", "int32", 0),
        ("reduce_prod", "bfloat16", 1),
        ("cummax", "bfloat16", -np.inf),
        ("reduce_max", ml_dtypes.float8_e4m3fn, -448),
        ("cumlogsumexp", "float16", -np.inf),
    ],
)
def test_what_leaves_a_reduction_unchanged(name, dtype, expected):
    value = neutral(name, jnp.dtype(dtype))
    assert value.dtype == jnp.dtype(dtype)
    assert value.item() == expected
