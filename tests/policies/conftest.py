"""Compiled entry points that all tests of the policies share: one compilation per policy, shape and ``k``."""

import jax
import pytest

#: Small arrays: compiling is most of the time that these tests take, running next to nothing.
QUICK = {"xla_backend_optimization_level": 0}


@pytest.fixture(scope="session")
def select():
    """``select(policy, key, state, active, k)``, compiled."""
    return jax.jit(lambda policy, key, state, active, k: policy.select(key, state, active, k), static_argnums=4, compiler_options=QUICK)


@pytest.fixture(scope="session")
def draws():
    """``draws(policy, state, active, k, size)``: the arms and probabilities of ``size`` independent steps."""

    def many(policy, state, active, k, size, seed=0):
        keys = jax.random.split(jax.random.key(seed), size)
        return jax.vmap(lambda key: policy.select(key, state, active, k))(keys)

    return jax.jit(many, static_argnums=(3, 4), compiler_options=QUICK)


@pytest.fixture(scope="session")
def update():
    """``update(policy, state, arms, rewards, probs)``, compiled."""
    return jax.jit(lambda policy, state, arms, rewards, probs: policy.update(state, arms, rewards, probs), compiler_options=QUICK)


@pytest.fixture(scope="session")
def value():
    """``value(policy, state)``, compiled."""
    return jax.jit(lambda policy, state: policy.value(state))
