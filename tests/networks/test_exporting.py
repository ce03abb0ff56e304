"""The smaller function as a program: written, read and called without the code that it was made from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from adapting import assert_same, cut_at_random, generic
from jax import export

SHAPES = {
    "kernel": jax.ShapeDtypeStruct((3, 3, 3, 8), "float32"),
    "layers": ({"W": jax.ShapeDtypeStruct((32, 10), "float32"), "b": jax.ShapeDtypeStruct((10,), "float32")},),
    "out": jax.ShapeDtypeStruct((10, 3), "float32"),
}
X = np.random.default_rng(0).normal(size=(4, 4, 4, 3)).astype("float32")


def network(params, x, scale=None):
    """A convolution that is flattened: the batch is in the shape of the reshape."""
    x = jax.lax.conv_general_dilated(x, params["kernel"], (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    (layer,) = params["layers"]
    x = jnp.tanh(jnp.tanh(x).reshape(x.shape[0], -1) @ layer["W"] + layer["b"])
    return (x if scale is None else x * scale) @ params["out"]


def with_state(params, state, x):
    return network(params, x, state["scale"]), state


def test_a_program_is_written_read_and_called():
    pytest.importorskip("flatbuffers", reason="jax.export writes files with flatbuffers")
    result = cut_at_random(network, generic(SHAPES), X)
    file = result.apply.export(result.params, X).serialize()
    program = export.deserialize(file)
    assert_same(program.call(jax.tree.leaves(result.params), X), result, X)
    assert [a.shape for a in program.in_avals] == [*(np.shape(a) for a in jax.tree.leaves(result.params)), X.shape]


def test_the_state_is_a_list_too():
    state = generic({"scale": jax.ShapeDtypeStruct((10,), "float32")})
    result = cut_at_random(with_state, generic(SHAPES), X, state=state)
    program = result.apply.export(result.params, result.state, jax.ShapeDtypeStruct(X.shape, X.dtype))
    outputs, after = program.call(jax.tree.leaves(result.params), jax.tree.leaves(result.state), X)
    assert_same(outputs, result, X)
    np.testing.assert_array_equal(after["scale"], result.state["scale"])


def test_parameters_of_other_shapes_are_refused():
    params = generic(SHAPES)
    result = cut_at_random(network, params, X)
    with pytest.raises(ValueError, match="of the smaller parameters has the shape"):
        result.apply.export(params, X)


def test_onnx_computes_the_same():
    to_onnx = pytest.importorskip("jax2onnx", reason="jax2onnx is not installed").to_onnx
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    result = cut_at_random(network, generic(SHAPES), X)
    params = jax.tree.map(jnp.asarray, result.params)
    jax.eval_shape(result.apply, params, X)  # traced before jax2onnx takes functions of JAX away
    model = to_onnx(lambda x: result.apply(params, x), [jax.ShapeDtypeStruct(X.shape, X.dtype)])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (outputs,) = session.run(None, {session.get_inputs()[0].name: X})
    assert_same(outputs, result, X)
