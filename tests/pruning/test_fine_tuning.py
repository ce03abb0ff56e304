"""`FineTuning`: a pruned function is trained on, with the user's optimizer, state and random numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from small_functions import cross_entropy

from skbandit import prune
from skbandit.networks import GatedNetwork
from skbandit.pruning import FineTuning

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 5)).astype("float32")
Y = (X[:, 0] * X[:, 1] > 0).astype("int32")


def apply(p, x):
    h = jax.nn.relu(x @ p["A"] + p["a"])
    return jax.nn.relu(h @ p["B"] + p["b"]) @ p["C"]


def trained(seed=0, n_steps=300):
    rng = np.random.default_rng(seed)
    shapes = {"A": (5, 16), "a": (16,), "B": (16, 16), "b": (16,), "C": (16, 2)}
    params = {k: jnp.asarray(rng.normal(size=s) / np.sqrt(s[0]), "float32") for k, s in shapes.items()}
    optimizer = optax.adam(1e-2)
    state = optimizer.init(params)

    @jax.jit
    def step(params, state):
        gradient = jax.grad(lambda p: cross_entropy(apply(p, X), Y).mean())(params)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state

    for _ in range(n_steps):
        params, state = step(params, state)
    return params, state


PARAMS, STATE = trained()
ADAM = optax.adam(1e-2)
OPTIONS = {"loss": cross_entropy, "policy": "magnitude", "pruning_ratio": 0.5, "n_rounds": 2}


def test_fine_tuning_lowers_the_loss_and_returns_the_optimizers_state_cut():
    plain = prune(apply, PARAMS, X, Y, **OPTIONS)
    tuned = prune(apply, PARAMS, X, Y, **OPTIONS, fine_tune=FineTuning(ADAM, epochs=10, opt_state=STATE))
    assert tuned.loss < 0.7 * plain.loss
    assert all(record.fine_tuned for record in tuned.history)
    init = jax.tree.map(np.shape, ADAM.init(tuned.params))
    assert jax.tree.map(np.shape, tuned.opt_state) == init
    n_steps = 2 * 10 * (200 // 128)
    assert tuned.opt_state[0].count == STATE[0].count + n_steps
    # It can be gone on with.
    gradient = jax.grad(lambda p: cross_entropy(tuned.apply(p, X), Y).mean())(tuned.params)
    ADAM.update(gradient, tuned.opt_state, tuned.params)


def test_a_schedule_goes_on_from_round_to_round():
    optimizer = optax.chain(optax.scale_by_adam(), optax.scale_by_schedule(lambda n: jnp.where(n < 3, -1e-2, 0.0)))
    tuning = FineTuning(optimizer, epochs=3, batch_size=200)
    result = prune(apply, PARAMS, X, Y, **OPTIONS, fine_tune=tuning)
    assert result.opt_state[1].count == 6
    assert not result.history[1].fine_tuned  # its steps were of length 0


def test_what_is_removed_is_not_trained():
    decayed = optax.adamw(1e-2, weight_decay=0.1)
    result = prune(apply, PARAMS, X, Y, **OPTIONS, fine_tune=FineTuning(decayed, epochs=2))
    masked = [np.isin(np.arange(16), kept) for kept in result.kept]
    full = jax.tree.map(np.array, PARAMS)
    assert result.params["B"].shape == (masked[0].sum(), masked[1].sum())
    np.testing.assert_allclose(cross_entropy(result.apply(result.params, X), Y).mean(), result.loss, rtol=1e-5)
    assert not np.allclose(result.params["B"], full["B"][np.ix_(*masked)])


def test_it_trains_on_other_rows_or_on_a_loader():
    other = X[100:], Y[100:]
    loader = [(X[i : i + 50], Y[i : i + 50]) for i in range(0, 200, 50)]
    for data in (other, (*other, np.ones(100)), loader):
        tuning = FineTuning(ADAM, epochs=5, batch_size=50, data=data)
        result = prune(apply, PARAMS, X, Y, **OPTIONS, fine_tune=tuning)
        assert result.history[0].fine_tuned
        assert result.opt_state[0].count == 2 * 5 * (4 if data is loader else 2)


def test_the_same_seed_trains_the_same():
    one, other, third = (
        prune(apply, PARAMS, X, Y, **OPTIONS, fine_tune=FineTuning(ADAM), random_state=seed) for seed in (0, 0, 1)
    )
    assert all((a == b).all() for a, b in zip(one.params.values(), other.params.values(), strict=True))
    assert any((a != b).any() for a, b in zip(one.params.values(), third.params.values(), strict=True))


# --- state, dropout --------------------------------------------------------------------------------------------------


def normalized(p, s, x, key=None):
    h = x @ p["A"]
    mean, var = (h.mean(0), h.var(0)) if key is not None else (s["mean"], s["var"])
    new = {"mean": 0.5 * s["mean"] + 0.5 * mean, "var": 0.5 * s["var"] + 0.5 * var, "n": s["n"] + 1}
    h = jax.nn.relu((h - mean) / jnp.sqrt(var + 1e-3))
    if key is not None:
        h = h * jax.random.bernoulli(key, 0.9, h.shape) / 0.9
    return h @ p["C"], new


def test_batch_statistics_and_dropout_are_carried():
    params = {"A": np.asarray(PARAMS["A"]), "C": np.asarray(PARAMS["C"])}
    h = X @ params["A"]
    state = {"mean": h.mean(0), "var": h.var(0), "n": np.int32(0)}
    tuning = FineTuning(ADAM, epochs=4, batch_size=100, train_apply=normalized)
    result = prune(*(lambda p, s, x: normalized(p, s, x)[0], params, X, Y), **OPTIONS, state=state, fine_tune=tuning)
    assert result.history[-1].fine_tuned
    assert result.state["n"] == 2 * 4 * 2
    assert result.state["mean"].shape == (8,)
    # The statistics are those of the trained parameters, averaged over the last steps.
    h = X @ result.params["A"]
    np.testing.assert_allclose(result.state["mean"], h.mean(0), atol=0.3)
    assert jax.tree.map(np.shape, result.opt_state[0].mu) == {"A": (5, 8), "C": (8, 2)}


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"optimizer": 3}, "'optimizer' parameter of FineTuning must be an optax.GradientTransformation"),
        ({"epochs": 0}, "'epochs' parameter of FineTuning"),
        ({"batch_size": 0.5}, "'batch_size' parameter of FineTuning"),
        ({"train_apply": 3}, "'train_apply' parameter of FineTuning must be callable"),
        ({"loss": lambda outputs: outputs}, r"'loss' parameter of FineTuning must be callable with \(outputs, y\)"),
    ],
)
def test_wrong_fields_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        FineTuning(**{"optimizer": ADAM} | wrong)


def test_it_needs_a_function():
    groups = prune(apply, PARAMS, X, Y, **OPTIONS).groups
    network = GatedNetwork(lambda params, gates, X, y, weight: jnp.sum(weight * gates[0][0] * y), groups)
    with pytest.raises(ValueError, match="may be a FineTuning where a function is pruned"):
        prune(network, PARAMS, X, Y, fine_tune=FineTuning(ADAM))
    with pytest.raises(TypeError, match=r"A FineTuning is given to skbandit.prune"):
        FineTuning(ADAM)(PARAMS, (), 0)


def test_integers_are_not_trained():
    params = PARAMS | {"table": jnp.arange(5)}
    with pytest.raises(ValueError, match=r"FineTuning trains parameters of floats\. Got leaves of int32"):
        prune(*(lambda p, x: apply(p, x[:, p["table"]]), params, X, Y), **OPTIONS, fine_tune=FineTuning(ADAM))
