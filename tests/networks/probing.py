"""Whether groups compute what they promise: gates of 1 change nothing, gated = removed, what leaves does not matter."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from skbandit.networks.gating import Gated
from skbandit.networks.groups import Groups, Leaves
from skbandit.networks.plan import Plan, kept_positions
from skbandit.networks.resize import Resized, cut
from skbandit.networks.search import search
from skbandit.networks.trace import specs, trace

#: Compilation is most of the time of these tests.
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


class Probe:
    """A function with its groups, gated once and resized for each choice of units.

    Parameters
    ----------
    apply, params, example
        The function, its parameters and its other arguments.
    groups : Groups
    tolerance : float
        Relative to the largest number of each output.
    """

    def __init__(self, apply, params, example, groups, tolerance):
        self.apply, self.params, self.example, self.groups = apply, params, tuple(example), groups
        self.tolerance = tolerance
        traced = trace([(apply, specs(self.example, "example"))], specs(params, "params"), lambda leaf: False)
        self.plan = Plan(traced, groups)
        self.graph = traced.graph
        self._gated = jit(self.gated_of)

    def _inputs(self, params):
        return jax.tree.leaves((params, *self.example))

    def gated_of(self, params, gates):
        """Return the outputs with gates."""
        return Gated(self.plan, jnp.asarray(gates, float)).run(self.graph, self._inputs(params))

    def removed_of(self, params, mask):
        """Return the outputs of the re-traced function on smaller parameters."""
        return Resized(self.plan, mask).run(self.graph, self._inputs(params))

    def gated(self, mask, params=None):
        """Return the outputs with gates, those of a new state without the positions that left."""
        made = self._gated(self.params if params is None else params, jnp.asarray(mask, float))
        kept = [kept_positions(self.plan.units_of(v), mask) for v in self.graph.outputs]
        return [cut(a, k) for a, k in zip(made, kept, strict=True)]

    def small(self, mask):
        """Return the smaller parameters."""
        return self.groups.compact(self.params, [np.flatnonzero(part) for part in self.groups.split(mask)])

    def removed(self, mask):
        """Return the outputs of the re-traced function on the smaller parameters."""
        return jit(lambda params: self.removed_of(params, mask))(self.small(mask))

    def own(self, mask):
        """Return the outputs of the function itself on the smaller parameters."""
        return jax.tree.leaves(jit(lambda params: self.apply(params, *self.example))(self.small(mask)))

    def assert_identity(self):
        original = jax.tree.leaves(jit(lambda params: self.apply(params, *self.example))(self.params))
        assert_close(self.gated(np.ones(self.groups.n_units, bool)), original, self.tolerance, "gates of 1")

    def assert_removed(self, mask):
        assert_close(self.gated(mask), self.removed(mask), self.tolerance, f"gated and removed, {mask.astype(int)}")

    def assert_noise_is_not_seen(self, mask, exactly=True, seed=0, scale=3.0):
        noisy = with_noise(self.groups, self.params, mask, np.random.default_rng(seed), scale)
        tolerance = 0 if exactly else self.tolerance
        assert_close(self.gated(mask), self.gated(mask, noisy), tolerance, f"noise, {mask.astype(int)}")

    def assert_holds(self, masks, exactly=True):
        """Check gates of 1, and for each choice of units that gated = removed, and noise."""
        self.groups.check(self.params)
        self.assert_identity()
        for mask in masks:
            self.assert_removed(mask)
            self.assert_noise_is_not_seen(mask, exactly)

    def assert_function_follows(self, mask):
        """Check that the function itself, on the smaller parameters, computes what is promised (finds counts)."""
        assert_close(self.own(mask), self.removed(mask), self.tolerance, f"the function itself, {mask.astype(int)}")


def with_noise(groups, params, mask, rng, scale):
    """Put noise on all positions of units that leave."""
    leaves = Leaves(params)
    for group, stays in zip(groups.groups, groups.split(mask), strict=True):
        for s in group.slices:
            array = np.array(leaves[s.path])
            moved = np.moveaxis(array, s.axis, 0)
            gone = ~np.asarray(s.spread(stays, True), bool)
            noise = rng.normal(size=moved[gone].shape) * scale
            moved[gone] = noise.astype(array.dtype) if array.dtype != bool else noise > 0
            leaves[s.path] = array
    return leaves.tree()


def masks_of(groups, rng, most=8):
    """Return choices of units that stay: about half of each group alone and of all together, one, and all but one."""
    sizes = groups.sizes
    chosen = []
    for g in range(len(sizes)):
        parts = [np.ones(n, bool) for n in sizes]
        parts[g] = _some(rng, sizes[g], max(sizes[g] // 2, 1))
        chosen.append(np.concatenate(parts))
    if len(sizes) > 1:
        chosen.append(np.concatenate([_some(rng, n, max(n // 2, 1)) for n in sizes]))
    chosen.append(np.concatenate([_some(rng, n, 1) for n in sizes]))
    chosen.append(np.concatenate([_some(rng, n, n - 1) for n in sizes]))
    return chosen[:most] if len(chosen) <= most else [*chosen[: most - 3], *chosen[-3:]]


def _some(rng, n, n_stay):
    mask = np.zeros(n, bool)
    mask[rng.permutation(n)[:n_stay]] = True
    return mask


def assert_close(a, b, tolerance, what):
    """Check shapes, dtypes, where numbers are not finite, and differences relative to the largest number.

    Networks are of numbers around 1: what is far below is the rounding of a sum that is 0.
    """
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert x.shape == y.shape, f"{what}: shapes {x.shape} and {y.shape}"
        assert x.dtype == y.dtype, f"{what}: dtypes {x.dtype} and {y.dtype}"
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        x, y = (np.asarray(v).astype(np.result_type(np.asarray(v).dtype, np.float64)) for v in (x, y))
        finite = np.isfinite(x) & np.isfinite(y)
        np.testing.assert_array_equal(np.where(finite, 0, x), np.where(finite, 0, y), err_msg=f"{what}: not finite")
        scale = np.abs(x[finite]).max(initial=0)
        apart = np.abs(x - y)[finite].max(initial=0)
        assert apart <= tolerance * max(scale, 1e-3), f"{what}: apart by {apart:.3g} where the largest is {scale:.3g}"


def covered(groups, params):
    """Return the axes of parameters that are in no group and in no refusal: there must be none."""
    paths = {path: np.shape(leaf) for path, leaf in Leaves(params)._leaves.items()}
    axes = {(path, axis) for path, shape in paths.items() for axis in range(len(shape))}
    axes -= {(s.path, s.axis % len(paths[s.path])) for group in groups.groups for s in group.slices}
    return axes - {(refusal.path, refusal.axis) for refusal in groups.refused}


def found(apply, params, *example, include=()):
    """Return the groups of a function, unverified, and what is refused."""
    traced = trace([(apply, specs(example, "example"))], specs(params, "params"), lambda leaf: False)
    groups, refused = search(traced, set(include))
    return Groups([one.group for one in groups], refused)
