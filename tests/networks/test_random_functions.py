"""Random functions out of all array functions of JAX: a group that is proposed is right, or the axis is refused."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from probing import Probe, covered, found, masks_of
from random_functions import CATALOGUE, random_function
from random_steps import WRITTEN

from skbandit.networks import infer_groups
from skbandit.networks.search import KINDS


def assert_every_group_is_right(seed, dtype, tolerance, most):
    """Check what is found, with all kinds asked for; return how many groups there are."""
    function = random_function(seed, dtype)
    by_default = found(function.apply, function.params, function.x)
    groups = found(function.apply, function.params, function.x, include=list(KINDS))
    for some in (by_default, groups):
        assert not covered(some, function.params), function.steps
        assert not [refusal for refusal in some.refused if "fails here" in refusal.reason], function.steps
    if groups.groups:
        probe = Probe(function.apply, function.params, [function.x], groups, tolerance)
        # Not bit by bit: loops inside of special functions run until all positions have converged.
        probe.assert_holds(masks_of(groups, np.random.default_rng(seed))[-most:], exactly=False)
    return len(groups.groups)


@pytest.mark.parametrize("first", range(0, 60, 6))
def test_groups_of_random_functions_are_right(first):
    with jax.enable_x64(True):
        n_groups = [assert_every_group_is_right(seed, "float64", 1e-9, 2) for seed in range(first, first + 6)]
    assert sum(n_groups) > 0


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(60, 1560, 10))
def test_groups_of_many_random_functions_are_right(first):
    with jax.enable_x64(True):
        for seed in range(first, first + 10):
            assert_every_group_is_right(seed, "float64", 1e-9, 5)
    jax.clear_caches()  # of Linux's memory maps


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(2000, 2200, 10))
def test_groups_of_random_functions_are_right_in_single_precision(first):
    for seed in range(first, first + 10):
        assert_every_group_is_right(seed, "float32", 1e-3, 3)
    jax.clear_caches()


def test_functions_are_drawn_from_all_of_jax():
    assert len(CATALOGUE) > 600
    names = {step.split("(")[0] for seed in range(12) for step in random_function(seed).steps}
    assert names & set(CATALOGUE)
    assert names & set(WRITTEN)
    assert random_function(3).steps == random_function(3).steps


@pytest.mark.parametrize(
    "function",
    [
        lambda h: h * float(h[0, 0]),
        lambda h: h * h[0, 0].item(),
        lambda h: h if h.sum() > 0 else -h,
        lambda h: h[h > 0.5],
        lambda h: jnp.unique(h),
        lambda h: jnp.nonzero(h)[0],
        lambda h: h * np.asarray(h),
        lambda h: h[: int(h.sum())],
    ],
    ids=["float", "item", "if", "selected", "unique", "nonzero", "numpy", "int"],
)
def test_what_cannot_be_traced_gets_one_sentence(function):
    params = {"A": np.ones((4, 6), "float32"), "B": np.ones((6, 3), "float32")}
    with pytest.raises(ValueError, match=re.escape("The 'apply' function cannot be traced")) as caught:
        infer_groups(lambda params, x: function(x @ params["A"]).sum(-1) @ params["B"], params, np.ones((5, 4)))
    assert len(str(caught.value).splitlines()) == 1
