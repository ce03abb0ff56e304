"""Networks as `skbandit.networks.infer_groups` takes them, made of the modules of each framework.

Nothing is downloaded: shapes come from an abstract run of the framework's initialisation, values are drawn here. They
are generic (no bias of 0, no scale and no variance of 1), so that a slice that is forgotten shows in the outputs. All
networks compute in inference mode.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Network(NamedTuple):
    """``apply(params, *example)``, or with a state ``apply(params, state, *example)``, gives the outputs."""

    apply: Callable[..., Any]
    params: Any
    state: Any
    example: tuple[Any, ...]

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What a call takes."""
        return (self.params, *(() if self.state is None else (self.state,)), *self.example)


class Entry(NamedTuple):
    """A row of the zoo.

    ``architecture`` is the name that the same architecture has in `benchmarks.deep.torch_zoo`; None where there is no
    such. ``package`` is what ships the network, as its import name; None where it is written here. ``needs`` are the
    other modules that it imports.
    """

    name: str
    make: Callable[[], Network]
    architecture: str | None = None
    package: str | None = None
    needs: tuple[str, ...] = ()


def shape(*sizes: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    """Return the shape of an array of inputs."""
    return jax.ShapeDtypeStruct(sizes, dtype)


def tokens(*sizes: int) -> jax.ShapeDtypeStruct:
    """Return the shape of an array of token numbers."""
    return shape(*sizes, dtype=jnp.int32)


def values(tree: Any, seed: int = 20) -> Any:
    """Draw the floating-point leaves of a tree of shapes; others become zeros."""
    rng = np.random.default_rng(seed)

    def draw(path: Any, leaf: Any) -> jax.Array:
        name = jax.tree_util.keystr(path, simple=True, separator="/").lower()
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return jnp.zeros(leaf.shape, leaf.dtype)
        noise = rng.standard_normal(leaf.shape, np.float32)
        if re.search(r"(^|[/_~])var(_ema|iance)?($|/)", name):
            drawn = 0.5 + 1 / (1 + np.exp(-noise))
        elif re.search(r"scale|gamma", name) or (leaf.ndim == 1 and name.endswith("weight")):
            drawn = 1 + 0.2 * noise
        elif sum(n > 1 for n in leaf.shape) < 2:
            drawn = 0.2 * noise
        elif leaf.ndim == 4:
            # A kernel: a rectifier follows more often than not, and twice the variance keeps the signal up.
            drawn = noise * np.float32(np.sqrt(2 * _n_outputs(leaf.shape) / noise.size))
        else:
            # Outputs come first in some frameworks and last in others.
            drawn = noise * np.float32(np.sqrt(0.5 * (leaf.shape[0] + leaf.shape[-1]) / noise.size))
        return jnp.asarray(drawn, leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, tree)


def _n_outputs(kernel: tuple[int, ...]) -> int:
    """Channels that a convolution makes, from the shape of its kernel: sizes come first, or last."""
    if max(kernel[:2]) > 11:
        return kernel[0]
    return kernel[3] if kernel[3] > 1 else kernel[2]  # an axis of 1: the multiplier of a depthwise kernel


def is_shape(leaf: Any) -> bool:
    """Whether a leaf stands for an array of floating-point numbers."""
    return isinstance(leaf, jax.ShapeDtypeStruct) and bool(jnp.issubdtype(leaf.dtype, jnp.floating))


def plain(apply: Callable[..., Any], shapes: Any, *example: Any) -> Network:
    """Make a network of a function of parameters; ``shapes`` is a tree with tuples for arrays."""
    is_leaf = lambda node: isinstance(node, tuple)  # noqa: E731
    return Network(apply, values(jax.tree.map(lambda sizes: shape(*sizes), shapes, is_leaf=is_leaf)), None, example)


def from_linen(module: Any, *example: Any, **options: Any) -> Network:
    """Make a network of a module of flax.linen; its batch statistics are the state."""
    variables = values(jax.eval_shape(lambda *x: module.init(jax.random.key(0), *x, **options), *example))
    if "batch_stats" not in variables:
        return Network(lambda params, *x: module.apply(params, *x, **options), variables, None, example)

    def apply(params: Any, state: Any, *x: Any) -> Any:
        return module.apply({"params": params, "batch_stats": state}, *x, **options)

    return Network(apply, variables["params"], variables["batch_stats"], example)


def from_nnx(make: Callable[[Any], Any], *example: Any, **options: Any) -> Network:
    """Make a network of a module of flax.nnx without batch statistics."""
    from flax import nnx

    graph, params, rest = nnx.split(make(nnx.Rngs(0)), nnx.Param, ...)

    def apply(params: Any, *x: Any) -> Any:
        return nnx.merge(graph, nnx.State(params), rest, copy=True)(*x, **options)

    return Network(apply, values(nnx.to_pure_dict(params)), None, example)


def from_equinox(make: Callable[[], Any], call: Callable[..., Any], *example: Any) -> Network:
    """Make a network of a module of one example, as ``call(module, x)`` runs it."""
    import equinox as eqx

    shapes, fixed = abstract_equinox(make)

    def apply(params: Any, *x: Any) -> Any:
        module = eqx.combine(params, fixed)
        return jax.vmap(lambda *row: call(module, *row))(*x)

    return Network(apply, values(shapes), None, example)


def from_stateful_equinox(make: Callable[[], Any], call: Callable[..., Any], *example: Any) -> Network:
    """Make a network of a module and its `equinox.nn.State`, as ``call(module, state, x)`` runs it."""
    import equinox as eqx

    (shapes, state_shapes), fixed = abstract_equinox(make)

    def positive(path: Any, leaf: Any) -> Any:
        """A state of statistics is a pair: the mean, the variance."""
        return 0.5 + jnp.abs(leaf) if jax.tree_util.keystr(path[-1:]) == "[1]" else leaf

    state = jax.tree_util.tree_map_with_path(positive, values(state_shapes, seed=1))

    def apply(params: Any, state: Any, *x: Any) -> Any:
        module, statistics = eqx.combine((params, state), fixed)
        return jax.vmap(lambda *row: call(module, statistics, *row), axis_name="batch")(*x)

    return Network(apply, values(shapes), state, example)


def abstract_equinox(make: Callable[[], Any]) -> tuple[Any, Any]:
    """Return the shapes of the floating-point arrays of a module, and all else of it as it is."""
    import equinox as eqx

    tree = eqx.filter_eval_shape(make)
    other = eqx.filter(tree, lambda leaf: not isinstance(leaf, jax.ShapeDtypeStruct))
    # What draws the parameters is dead code in this program.
    arrays = jax.jit(lambda: eqx.filter(eqx.filter(make(), eqx.is_inexact_array, inverse=True), eqx.is_array))()
    return eqx.filter(tree, is_shape), eqx.combine(arrays, other)


def from_haiku(forward: Callable[..., Any], *example: Any) -> Network:
    """Make a network of a function ``(training, *example)`` of modules; averages of batches are the state."""
    import haiku as hk

    init, apply = hk.without_apply_rng(hk.transform_with_state(forward))
    params, state = map(values, jax.eval_shape(lambda *x: init(jax.random.key(0), True, *x), *example))
    if not state:
        return Network(lambda params, *x: apply(params, {}, False, *x)[0], params, None, example)
    return Network(lambda params, state, *x: apply(params, state, False, *x), params, state, example)


def from_keras(make: Callable[[], Any], *example: Any) -> Network:
    """Make a network of a Keras model on its JAX backend; what is not trained is the state."""
    os.environ["KERAS_BACKEND"] = "jax"
    model = make()
    names = [[v.path for v in group] for group in (model.trainable_variables, model.non_trainable_variables)]

    def apply(params: Any, state: Any, *x: Any) -> Any:
        variables = ([tree[name] for name in part] for tree, part in zip((params, state), names, strict=True))
        return model.stateless_call(*variables, *x, training=False)[0]

    drawn = [
        values({v.path: shape(*v.shape, dtype=v.dtype) for v in group})
        for group in (model.trainable_variables, model.non_trainable_variables)
    ]
    return Network(apply, *drawn, example)
