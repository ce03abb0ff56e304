"""Compiled entry points that all tests of the policies share: compiling is most of the time that these tests take."""

import jax
import pytest

#: Small arrays: an optimised program would run no sooner, and be ready later.
QUICK = {"xla_backend_optimization_level": 0}


@pytest.fixture(scope="session")
def select():
    """``select(policy, key, state, active, k)``, compiled."""

    def call(policy, key, state, active, k):
        return policy.select(key, state, active, k)

    return jax.jit(call, static_argnums=4, compiler_options=QUICK)


@pytest.fixture(scope="session")
def draws():
    """``draws(policy, state, active, k, size)``: the arms and probabilities of ``size`` independent steps."""

    def call(policy, state, active, k, size):
        keys = jax.random.split(jax.random.key(0), size)
        return jax.vmap(lambda key: policy.select(key, state, active, k))(keys)

    return jax.jit(call, static_argnums=(3, 4), compiler_options=QUICK)


@pytest.fixture(scope="session")
def update():
    """``update(policy, state, arms, rewards, probs)``, compiled."""

    def call(policy, state, arms, rewards, probs):
        return policy.update(state, arms, rewards, probs)

    return jax.jit(call, compiler_options=QUICK)


@pytest.fixture(scope="session")
def value():
    """``value(policy, state)``, compiled."""

    def call(policy, state):
        return policy.value(state)

    return jax.jit(call, compiler_options=QUICK)
