"""The helpers that the policies are made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from skbandit.policies.base import Counts, add_pulls, init_counts, mean_reward, top_k

KEY = jax.random.key(0)
compiled_top_k = jax.jit(top_k, static_argnums=3)


def test_top_k_orders_by_index():
    index = jnp.array([0.1, 0.7, -0.2, 0.4])
    assert compiled_top_k(KEY, index, jnp.ones(4, bool), 3).tolist() == [1, 3, 0]


def test_top_k_leaves_slots_empty_when_too_few_arms_are_active():
    index = jnp.array([0.1, 0.7, -0.2, 0.4])
    active = jnp.array([True, False, True, False])
    assert compiled_top_k(KEY, index, active, 3).tolist() == [0, 2, 4]
    assert compiled_top_k(KEY, index, active, 6).tolist() == [0, 2, 4, 4, 4, 4]
    assert compiled_top_k(KEY, index, jnp.zeros(4, bool), 3).tolist() == [4, 4, 4]


@pytest.mark.parametrize("worst", [-100.0, float(np.finfo(np.float32).min), -np.inf])
def test_top_k_needs_no_sentinel(worst):
    """An arm that is out never passes an active one, however bad that looks (the thesis marks removed arms by -100)."""
    index = jnp.array([np.inf, worst, 1.0, worst])
    active = jnp.array([False, True, False, True])
    assert sorted(compiled_top_k(KEY, index, active, 3).tolist()) == [1, 3, 4]


def test_top_k_breaks_ties_uniformly():
    index = jnp.array([0.5, 0.5, 0.1, 0.5])
    active = jnp.ones(4, bool)
    order = np.array([compiled_top_k(jax.random.key(seed), index, active, 3) for seed in range(600)])
    for place in range(3):
        counts = np.bincount(order[:, place], minlength=4)
        assert counts[2] == 0
        assert chisquare(counts[[0, 1, 3]]).pvalue > 1e-3


# Few distinct values, so that ties are common.
@given(
    arms=st.lists(st.tuples(st.sampled_from([-np.inf, -1.0, 0.0, 0.5, np.inf]), st.booleans()), min_size=5, max_size=5),
    seed=st.integers(0, 2**31 - 1),
)
@settings(max_examples=50, deadline=None)
def test_top_k_agrees_with_sorting(arms, seed):
    index, active = np.array([i for i, _ in arms]), np.array([a for _, a in arms])
    chosen = np.asarray(compiled_top_k(jax.random.key(seed), jnp.array(index), jnp.array(active), 3))
    filled = chosen[chosen < 5]
    assert len(set(filled)) == len(filled) == min(3, active.sum())
    assert active[filled].all()
    np.testing.assert_array_equal(index[filled], np.sort(index[active])[::-1][:3])


def test_add_pulls_counts_repeated_arms_and_drops_empty_slots():
    counts = add_pulls(init_counts(3), jnp.array([0, 2, 0, 3, 3]), jnp.array([0.25, 0.5, 0.5, 9.0, 9.0]))
    assert counts.n_pulls.tolist() == [2.0, 0.0, 1.0]
    assert counts.total.tolist() == [0.75, 0.0, 0.5]


def test_mean_reward_of_an_unpulled_arm_is_never_nan():
    counts = Counts(jnp.array([0.0, 2.0]), jnp.array([0.0, 1.0]))
    with jax.debug_nans(True):
        assert mean_reward(counts).tolist() == [-np.inf, 0.5]
        assert mean_reward(counts, unpulled=jnp.inf).tolist() == [np.inf, 0.5]
    slope = jax.grad(lambda total: jnp.where(counts.n_pulls > 0, mean_reward(Counts(counts.n_pulls, total)), 0.0).sum())
    assert slope(counts.total).tolist() == [0.0, 0.5]
