"""Every solver by its update rule, and the form in which it sees the parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from skbandit._core.scope import jax_scope
from skbandit._tabular.training import loop, solvers
from skbandit._tabular.training.solvers import SOLVERS, Hyper, Parts, init_opt_state, parameter_form
from skbandit._tabular.types import Rows


def by_hand(solver, h, rate, gradient, params, n_steps):
    """The update rules, as their papers write them; ``params`` is a flat vector, its first half the weights."""
    m, v = np.zeros_like(params), np.zeros_like(params)
    for t in range(1, n_steps + 1):
        g = gradient(params)
        if solver in ("sgd", "sgd_nesterov"):
            m = h.momentum * m + g
            step = g + h.momentum * m if solver == "sgd_nesterov" else m
        elif solver == "lion":
            step = np.sign(h.beta_1 * m + (1 - h.beta_1) * g)
            m = h.beta_2 * m + (1 - h.beta_2) * g
        elif solver == "rmsprop":
            v = h.beta_2 * v + (1 - h.beta_2) * g**2
            step = g / np.sqrt(v + h.epsilon)
        else:
            m = h.beta_1 * m + (1 - h.beta_1) * g
            v = h.beta_2 * v + (1 - h.beta_2) * g**2
            mean = m / (1 - h.beta_1**t)
            if solver == "nadam":
                mean = h.beta_1 * m / (1 - h.beta_1 ** (t + 1)) + (1 - h.beta_1) * g / (1 - h.beta_1**t)
            step = mean / (np.sqrt(v / (1 - h.beta_2**t)) + h.epsilon)
            if solver == "adamw":
                step = step + h.alpha * params * np.array([1, 1, 0, 0])
        params = params - rate * step
    return params


@pytest.mark.parametrize("solver", SOLVERS)
def test_steps_of_every_solver_are_those_of_its_update_rule(solver, trainable, train):
    # f = w2·(w1·x + b1) + b2, flat parameters (w1, w2, b1, b2).
    x, y, weight = np.array([0.5, -1.0, 2.0]), np.array([1.0, 0.0, -2.0]), np.array([1.0, 2.0, 0.5])
    hyper = Hyper(alpha=0.3, beta_1=0.8, beta_2=0.95, epsilon=1e-3, momentum=0.7)

    def gradient(p):
        w1, w2, b1, b2 = p
        hidden = w1 * x + b1
        r = weight * (w2 * hidden + b2 - y) / weight.sum()
        penalty = np.zeros(4) if solver == "adamw" else hyper.alpha * np.array([w1, w2, 0, 0]) / weight.sum()
        return np.array([(r * w2 * x).sum(), (r * hidden).sum(), (r * w2).sum(), r.sum()]) + penalty

    p = np.array([0.7, -1.2, 0.1, 0.4])
    start = tuple((w.reshape(1, 1), b.reshape(1)) for w, b in zip(p[:2], p[2:], strict=True))
    trained = train(
        Rows(x[:, None], y[:, None], weight),
        start,
        network=trainable((1, 1, 1), "identity", "squared_error"),
        solver=solver,
        hyper=hyper,
        learning_rate_init=0.1,
        max_iter=3,
        shuffle=False,
        dtype="float64",
    )
    (W1, b1), (W2, b2) = trained.network.layers
    ours = np.array([W1.item(), W2.item(), b1.item(), b2.item()])
    np.testing.assert_allclose(ours, by_hand(solver, hyper, 0.1, gradient, p, 3), rtol=1e-12)


def test_any_optax_optimizer_can_train(rows, train, assert_close):
    on = rows()
    named = train(on, dtype="float64")
    given = train(on, dtype="float64", solver=optax.adam(1e-2))
    # 28 steps; optax multiplies by the learning rate in another place.
    assert_close(given.network, named.network, 1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_first_state_is_that_of_optax(solver, assert_equal):
    params = ({"scale": np.ones(3)}, ((np.ones((3, 2)), np.ones(2)), (np.ones((2, 1)), np.ones(1))))
    with jax_scope("float64"):
        expected = SOLVERS[solver](Hyper()).init(jnp.zeros(3 + 6 + 2 + 2 + 1))
        state = init_opt_state(params, solver)
    assert jax.tree.structure(state) == jax.tree.structure(expected)
    assert_equal(state, expected)
    assert [leaf.dtype for leaf in jax.tree.leaves(state)] == [leaf.dtype for leaf in jax.tree.leaves(expected)]


@pytest.mark.parametrize("solver", ["adam", optax.adam(1e-2)], ids=["adam", "optax"])
def test_a_state_goes_on_from_its_arrays(solver, assert_equal):
    params = ({}, ((np.ones((3, 2), "float32"), np.ones(2, "float32")),))
    leaves = [np.full(np.shape(leaf), 7, leaf.dtype) for leaf in jax.tree.leaves(init_opt_state(params, solver))]
    assert_equal(jax.tree.leaves(init_opt_state(params, solver, leaves)), leaves)


def test_one_vector_and_back(assert_equal):
    tree = ({"scale": jnp.arange(2.0)}, ((jnp.full((3, 2), 5.0), jnp.zeros(())),))
    form = parameter_form("adam", tree, 100)
    np.testing.assert_array_equal(form.pack(tree), [0, 1, 5, 5, 5, 5, 5, 5, 0])
    assert_equal(form.unpack(form.pack(tree)), tree)
    np.testing.assert_array_equal(form.spread(({"scale": 2.0}, ((3.0, 4.0),))), [2, 2, 3, 3, 3, 3, 3, 3, 4])


def test_large_arrays_stand_beside_the_vector_of_the_others(assert_equal):
    tree = ({"scale": jnp.arange(2.0)}, ((jnp.ones((128, 64)), jnp.zeros(3)), (jnp.full((64, 128), 2.0), jnp.ones(1))))
    form = parameter_form("adam", tree, 2**20)
    vector, large = form.pack(tree)
    np.testing.assert_array_equal(vector, [0, 1, 0, 0, 0, 1])
    assert [a.shape for a in large] == [(128, 64), (64, 128)]
    assert_equal(form.unpack((vector, large)), tree)
    vector, large = form.spread(({"scale": 2.0}, ((3.0, 4.0), (5.0, 6.0))))
    np.testing.assert_array_equal(vector, [2, 2, 4, 4, 4, 6])
    assert large == [3.0, 5.0]
    # Between calls a state has vectors of all entries.
    state = init_opt_state(tree, "adam")
    state = state._replace(mu=np.arange(state.mu.size, dtype="float32"))
    opened = form.opened(state)
    assert_equal(form.unpack(opened.mu)[1][1][0], state.mu[-64 * 128 - 1 : -1].reshape(64, 128))
    assert_equal(form.closed(opened, state), state)


def test_all_arrays_may_be_large():
    tree = ({}, ((jnp.ones((128, 64)),),))
    form = parameter_form("adam", tree, 2**20)
    assert form.unpack(form.pack(tree))[1][0][0].shape == (128, 64)


@pytest.mark.parametrize(
    ("shape", "n_rows", "alone"), [((90, 91), 2**20, False), ((128, 64), 2**11, False), ((128, 64), 2**13, True)]
)
def test_an_array_is_large_by_its_entries_and_the_rows(shape, n_rows, alone):
    assert isinstance(parameter_form("adam", ({}, ((jnp.ones(shape), jnp.ones(1)),)), n_rows), Parts) == alone


@pytest.mark.parametrize("solver", SOLVERS)
def test_what_is_large_does_not_show(solver, rows, train, monkeypatch, assert_close):
    # The same operations on each entry; float64 rounds at 1e-16, and steps are divided by roots of second moments.
    options = {"solver": solver, "dtype": "float64", "hyper": Hyper(alpha=0.1), "parametrization": "ntk"}
    on, held_out = rows(), rows(20, seed=1)
    expected = train(on, held_out=held_out, early_stopping=True, **options)
    half = train(on, held_out=held_out, early_stopping=True, max_iter=3, shuffle=False, **options)
    rest = train(on, half.network, opt_leaves=half.opt_leaves, n_steps=half.n_steps, shuffle=False, **options)
    monkeypatch.setattr(solvers, "LARGE", 5)
    monkeypatch.setattr(solvers, "WORTH_KERNELS", 0)
    loop.run_chunk.clear_cache()
    try:
        found = train(on, held_out=held_out, early_stopping=True, **options)
        assert_close(found.network, expected.network, 1e-11)
        assert_close(found.opt_leaves, expected.opt_leaves, 1e-11)
        # A state of the one form goes on in the other.
        goes_on = train(on, half.network, opt_leaves=half.opt_leaves, n_steps=half.n_steps, shuffle=False, **options)
        assert_close(goes_on.network, rest.network, 1e-11)
    finally:
        loop.run_chunk.clear_cache()


def test_a_transformation_of_the_users_sees_the_tree():
    tree = ({}, ((np.ones((3, 2)), np.ones(2)),))
    form = parameter_form(optax.adam(1e-2), tree, 100)
    assert form.pack(tree) is form.unpack(tree) is form.spread(tree) is tree
