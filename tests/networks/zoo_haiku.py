"""Networks of the zoo in dm-haiku. `zoo` says what they are for."""

from collections.abc import Callable
from typing import Any

import jax
from zoo import ZooNetwork, generic, inputs


def haiku_network(
    name: str, forward: Callable[..., Any], example: tuple[Any, ...], expected: tuple[int, ...] | None
) -> ZooNetwork:
    """Make a network of a function ``(training, *example)`` of modules; averages of batches are the state.

    They are made by a call in training mode.
    """
    import haiku as hk

    init, apply = hk.without_apply_rng(hk.transform_with_state(forward))
    params, state = map(generic, jax.eval_shape(lambda key, *x: init(key, True, *x), jax.random.key(0), *example))

    def stateless(params, *x):
        return apply(params, {}, False, *x)[0]

    def with_state(params, state, *x):
        return apply(params, state, False, *x)

    if state:
        return ZooNetwork(f"{name} (haiku)", with_state, params, state, example, expected)
    return ZooNetwork(f"{name} (haiku)", stateless, params, None, example, expected)


def haiku_mlp() -> ZooNetwork:
    import haiku as hk

    return haiku_network("MLP", lambda training, x: hk.nets.MLP((10, 8, 3))(x), (inputs(4, 5),), (8, 10))


def haiku_lstm() -> ZooNetwork:
    import haiku as hk

    def forward(training, x):
        core = hk.LSTM(10)
        outputs, _ = hk.dynamic_unroll(core, x, core.initial_state(x.shape[0]), time_major=False)
        return hk.Linear(3)(outputs[:, -1])

    return haiku_network("LSTM", forward, (inputs(3, 6, 4),), (10,))


def haiku_mobilenet() -> ZooNetwork:
    """The first convolution has 32 channels by the package's own choice."""
    import haiku as hk

    def forward(training, x):
        return hk.nets.MobileNetV1((1, 2, 1), (8, 12, 16), num_classes=3)(x, is_training=training)

    return haiku_network("MobileNet v1", forward, (inputs(2, 12, 12, 3),), (8, 12, 16, 32))


def haiku_resnet() -> ZooNetwork:
    """The layout of ResNet-18: eight blocks, four streams, narrow."""
    import haiku as hk

    def forward(training, x):
        net = hk.nets.ResNet(
            (2, 2, 2, 2),
            num_classes=3,
            bottleneck=False,
            channels_per_group=(4, 6, 8, 10),
            use_projection=(False, True, True, True),
            initial_conv_config={"output_channels": 4, "kernel_shape": 3},
        )
        return net(x, is_training=training)

    expected = (4, 4, 4, 6, 6, 6, 8, 8, 8, 10, 10, 10)
    return haiku_network("ResNet-18, narrow", forward, (inputs(2, 16, 16, 3),), expected)


HAIKU = (haiku_mlp, haiku_lstm, haiku_mobilenet, haiku_resnet)
