import jax.numpy as jnp
import numpy as np
import pytest

from skbandit._core.ranking import choose, places, ranks, ranks_in_groups
from skbandit.pruning.selection import choose_units, room_of_groups


def test_ranks():
    value, among = jnp.array([3.0, 1.0, 2.0, 5.0]), jnp.array([True, True, True, False])
    assert ranks(value, among).tolist() == [0, 2, 1, 3]


def test_ranks_in_groups():
    value, among = jnp.array([3.0, 1.0, 2.0, 5.0, 4.0, 6.0]), jnp.array([1, 1, 1, 1, 0, 1], bool)
    group = jnp.array([0, 0, 0, 1, 1, 1])
    assert ranks_in_groups(value, among, group, 2).tolist() == [0, 2, 1, 1, 2, 0]


def test_places_go_by_the_first_and_then_by_the_second():
    first, then = jnp.array([0.0, 1.0, 0.0, 1.0, 0.0]), jnp.array([1e-8, 2e-8, 3e-8, 1.0, jnp.nan])
    assert places(first, then).tolist() == [3, 1, 2, 0, 4]


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("seed", range(8))
def test_the_device_chooses_as_the_host_does(scope, seed):
    rng = np.random.default_rng(seed)
    layer = np.repeat(np.arange(3), [4, 7, 5])
    value, active = rng.integers(-3, 4, size=16).astype("float32"), rng.random(16) < 0.8
    active[[0, 4, 11]] = True
    n_remove = int(rng.integers(0, active.sum() + 1))
    room = room_of_groups(active, layer, n_remove, scope)
    chosen = choose(jnp.asarray(value), jnp.asarray(active), n_remove, jnp.asarray(layer), jnp.asarray(room))
    np.testing.assert_array_equal(chosen, choose_units(value, active, layer, n_remove, scope))
