"""Networks of the zoo in Equinox. `zoo` says what they are for."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from zoo import ZooNetwork, generic, inputs


def equinox_network(
    name: str, make: Callable[[], Any], example: tuple[Any, ...], expected: tuple[int, ...] | None
) -> ZooNetwork:
    """Make a network of a module of one example: it is mapped over the rows."""
    import equinox as eqx

    shapes = eqx.filter_eval_shape(make)
    params, static = eqx.partition(shapes, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))

    def apply(params, *x):
        return jax.vmap(eqx.combine(params, static))(*x)

    return ZooNetwork(f"{name} (equinox)", apply, generic(params), None, example, expected)


def equinox_mlp() -> ZooNetwork:
    import equinox as eqx

    def make():
        return eqx.nn.MLP(5, 3, 16, 3, key=jax.random.key(0))

    return equinox_network("MLP", make, (inputs(4, 5),), (16, 16, 16))


def equinox_gru() -> ZooNetwork:
    import equinox as eqx

    class Network(eqx.Module):
        cell: eqx.nn.GRUCell
        head: eqx.nn.Linear

        def __init__(self):
            self.cell = eqx.nn.GRUCell(5, 12, key=jax.random.key(0))
            self.head = eqx.nn.Linear(12, 3, key=jax.random.key(1))

        def __call__(self, x):
            def step(h, x):
                return self.cell(x, h), None

            return self.head(jax.lax.scan(step, jnp.zeros(self.cell.hidden_size), x)[0])

    return equinox_network("GRU in a scan", Network, (inputs(3, 6, 5),), (12,))


def equinox_attention() -> ZooNetwork:
    import equinox as eqx

    class Network(eqx.Module):
        embed: eqx.nn.Linear
        norm: eqx.nn.LayerNorm
        attention: eqx.nn.MultiheadAttention
        head: eqx.nn.Linear

        def __init__(self):
            keys = jax.random.split(jax.random.key(0), 3)
            self.embed = eqx.nn.Linear(5, 16, key=keys[0])
            self.norm = eqx.nn.LayerNorm(16)
            self.attention = eqx.nn.MultiheadAttention(4, 16, key=keys[1])
            self.head = eqx.nn.Linear(16, 3, key=keys[2])

        def __call__(self, x):
            x = jax.vmap(self.embed)(x)
            y = jax.vmap(self.norm)(x)
            return self.head((x + self.attention(y, y, y)).mean(0))

    return equinox_network("attention with LayerNorm", Network, (inputs(2, 6, 5),), (4, 16))


def equinox_depthwise() -> ZooNetwork:
    """The units of the first layer are the four groups of the norm that follows the depthwise convolution."""
    import equinox as eqx

    class Network(eqx.Module):
        stem: eqx.nn.Conv2d
        deep: eqx.nn.Conv2d
        norm: eqx.nn.GroupNorm
        point: eqx.nn.Conv2d
        head: eqx.nn.Linear

        def __init__(self):
            keys = jax.random.split(jax.random.key(0), 4)
            self.stem = eqx.nn.Conv2d(3, 8, 3, padding=1, key=keys[0])
            self.deep = eqx.nn.Conv2d(8, 8, 3, padding=1, groups=8, key=keys[1])
            self.norm = eqx.nn.GroupNorm(4, 8)
            self.point = eqx.nn.Conv2d(8, 6, 1, key=keys[2])
            self.head = eqx.nn.Linear(6, 3, key=keys[3])

        def __call__(self, x):
            x = jax.nn.silu(self.norm(self.deep(jax.nn.silu(self.stem(x)))))
            return self.head(jax.nn.silu(self.point(x)).mean((1, 2)))

    return equinox_network("depthwise convolution with GroupNorm", Network, (inputs(2, 3, 6, 6),), (4, 6))


EQUINOX = (equinox_mlp, equinox_gru, equinox_attention, equinox_depthwise)
