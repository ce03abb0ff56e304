"""What the tests of the adapters share: a result without the loop of pruning, and the comparison with its function."""

import jax
import jax.numpy as jnp
import numpy as np

from skbandit.networks import Variables, infer_groups
from skbandit.networks.traced import SmallerFunction
from skbandit.pruning.results import Outcome, PruneResult


def squares(outputs, y):
    return ((outputs - y) ** 2).reshape(outputs.shape[0], -1).mean(-1)


def generic(tree, seed=0):
    """Return a tree of arrays for one of arrays or shapes: no zero biases, no unit variances."""
    rng = np.random.default_rng(seed)

    def draw(leaf):
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return np.zeros(leaf.shape, leaf.dtype) if isinstance(leaf, jax.ShapeDtypeStruct) else leaf
        fan_in = np.prod(leaf.shape[:-1])
        drawn = rng.normal(size=leaf.shape) / max(fan_in, 1) ** 0.5
        is_vector = leaf.ndim < 2 or fan_in == 1
        return (0.5 + np.abs(drawn) if is_vector else drawn).astype(leaf.dtype)

    # Not jnp.asarray, which compiles a program for each shape.
    return jax.device_put(jax.tree.map(draw, tree))


def cut_at_random(apply, params, *x, left=None, state=None, seed=0, **options):
    """Return what pruning returns, with random units left.

    ``left`` has the number of units that are left by the names of the groups; by default half of them, and one less in
    each next group, so that groups of one size end at different ones.
    """
    groups = infer_groups(apply, params, *x, state=state, verify=False, **options)
    if left is None:
        left = {g.name: max(g.size // 2 - i, 1) for i, g in enumerate(groups.groups)}
    assert set(left) == {g.name for g in groups.groups}, groups
    rng = np.random.default_rng(seed)
    kept = tuple(np.sort(rng.permutation(g.size)[: left[g.name]]) for g in groups.groups)
    variables = params if state is None else Variables(params, state)
    shapes, example = jax.tree.map(lambda a: jax.ShapeDtypeStruct(np.shape(a), a.dtype), (variables, x))
    small = groups.compact(variables, kept)
    params, state = (small, None) if state is None else small
    function = SmallerFunction(apply, groups, kept, shapes, example)
    return PruneResult(params, kept, [], 0, "", Outcome.REACHED, groups=groups, apply=function, state=state)


def assert_same(outputs, result, *x):
    """Outputs of a module are those of the smaller function."""
    args = (result.params,) if result.state is None else (result.params, result.state)
    expected = jax.jit(result.apply)(*args, *x)
    expected = np.asarray(expected[0] if isinstance(expected, tuple) else expected)
    assert np.shape(outputs) == expected.shape
    assert np.abs(np.asarray(outputs) - expected).max() <= 1e-5 * np.abs(expected).max()
