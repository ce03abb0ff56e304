"""Random networks: removing nothing changes nothing, gated = removed, and what leaves does not matter."""

import jax
import numpy as np
import pytest
from probing import Probe, covered, found, masks_of
from random_networks import random_network

from skbandit.networks import infer_groups
from skbandit.networks.search import KINDS
from skbandit.networks.traced import SmallerFunction

PRECISIONS = {"float32": 1e-5, "float64": 1e-12}


def assert_network_holds(seed, dtype, most):
    """Check every group alone and all together; return the probe, None where nothing was found."""
    with jax.enable_x64(dtype == "float64"):
        network = random_network(seed, dtype)
        groups = found(network.apply, network.params, network.x)
        assert not covered(groups, network.params), network.blocks
        if not groups.groups:
            return None
        probe = Probe(network.apply, network.params, [network.x], groups, PRECISIONS[dtype])
        probe.assert_holds(masks_of(groups, np.random.default_rng(seed), most))
        everything = np.ones(groups.n_units, bool)
        # Bit for bit; with gates the compiler may join operations in another way.
        np.testing.assert_array_equal(probe.removed(everything)[0], probe.own(everything)[0])
        return probe


@pytest.mark.parametrize("seed", range(20))
def test_groups_of_random_networks_hold(seed):
    assert_network_holds(seed, ("float32", "float64")[seed // 4 % 2], 4)


@pytest.mark.exhaustive
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("first", range(0, 160, 4))
def test_every_group_of_many_random_networks_holds(first, dtype):
    probes = [assert_network_holds(seed, dtype, 99) for seed in range(first, first + 4)]
    assert any(probes)
    jax.clear_caches()  # of Linux's memory maps


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(0, 80, 4))
def test_what_is_asked_for_holds_too(first):
    with jax.enable_x64(True):
        for seed in range(first, first + 4):
            network = random_network(seed, "float64")
            groups = found(network.apply, network.params, network.x, include=list(KINDS))
            if groups.groups:
                probe = Probe(network.apply, network.params, [network.x], groups, 1e-12)
                probe.assert_holds(masks_of(groups, np.random.default_rng(seed), 3))
    jax.clear_caches()


def test_most_random_networks_have_groups():
    networks = [random_network(seed) for seed in range(40)]
    n_groups = [len(found(network.apply, network.params, network.x).groups) for network in networks]
    assert sum(n > 0 for n in n_groups) >= 38
    assert np.mean(n_groups) > 2


def test_a_function_that_lost_nothing_is_the_function_itself():
    network = random_network(1)
    groups = infer_groups(network.apply, network.params, network.x)
    kept = [np.arange(size) for size in groups.sizes]
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), network.params)
    same = SmallerFunction(network.apply, groups, kept, shapes)
    np.testing.assert_array_equal(same(network.params, network.x), network.apply(network.params, network.x))
