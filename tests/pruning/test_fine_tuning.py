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


def test_what_is_removed_stays_at_zero():
    seen = []

    def kept_zero(variables, active, removed, emissions):
        seen.append((variables, active & ~removed))
        return variables

    decayed = optax.adamw(1e-2, weight_decay=0.1)
    result = prune(apply, PARAMS, X, Y, **OPTIONS, fine_tune=FineTuning(decayed, epochs=2), repair=kept_zero)
    (_, after_first), (second, _) = seen
    assert result.history[0].fine_tuned
    gone = ~after_first[:16]  # of the first layer, in the first round
    assert gone.any()
    assert np.abs(second["A"][:, gone]).max() == np.abs(second["B"][gone]).max() == 0
    assert np.abs(second["A"][:, ~gone]).min() > 0
    np.testing.assert_allclose(cross_entropy(result.apply(result.params, X), Y).mean(), result.loss, rtol=1e-5)


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.multi_transform(
            {"on": ADAM, "off": optax.set_to_zero()}, {k: "off" if k == "b" else "on" for k in PARAMS}
        ),
        optax.masked(ADAM, {k: k in "AB" for k in PARAMS}),
        optax.MultiSteps(ADAM, every_k_schedule=1),
    ],
)
def test_the_state_of_every_optimizer_fits_the_smaller_parameters(optimizer):
    result = prune(apply, PARAMS, X, Y, **OPTIONS, fine_tune=FineTuning(optimizer))
    assert jax.tree.map(np.shape, result.opt_state) == jax.tree.map(np.shape, optimizer.init(result.params))


def test_a_state_that_cannot_be_cut_is_none_with_a_warning():
    optimizer = optax.adafactor(1e-3, min_dim_size_to_factor=2)
    with pytest.warns(UserWarning, match="state of the optimizer cannot be cut"):
        result = prune(apply, PARAMS, X, Y, **OPTIONS, fine_tune=FineTuning(optimizer))
    assert result.opt_state is None


def test_the_state_of_a_training_that_was_not_kept_is_set_back():
    diverges = optax.chain(optax.scale_by_adam(), optax.scale(np.inf))
    with pytest.warns(UserWarning, match="returned parameters that are not finite"):
        result = prune(apply, PARAMS, X, Y, **OPTIONS, fine_tune=FineTuning(diverges))
    assert not any(record.fine_tuned for record in result.history)
    assert result.opt_state[0].count == 0
    assert np.isfinite(result.opt_state[0].mu["A"]).all()
    # Proposals of "auto" that are not accepted do not count either.
    nothing = OPTIONS | {"pruning_ratio": "auto", "tolerance": 0.0}
    result = prune(apply, PARAMS, X, Y, **nothing, fine_tune=FineTuning(optax.sgd(0.0), opt_state=None))
    assert len(result.history) == 0 or result.history[-1].loss_after <= result.history[0].loss_before


def test_states_of_half_precision_are_trained_in_float32_and_come_back():
    half = jax.tree.map(lambda a: a.astype(jnp.bfloat16), PARAMS)
    tuning = FineTuning(ADAM, opt_state=ADAM.init(half))
    result = prune(apply, half, X, Y, **OPTIONS, fine_tune=tuning)
    assert result.opt_state[0].mu["A"].dtype == jnp.bfloat16
    assert result.params["A"].dtype == jnp.bfloat16


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
    now, before = (X @ result.params["A"]).mean(0), state["mean"][result.kept[0]]
    assert np.abs(result.state["mean"] - now).max() < 0.5 * np.abs(before - now).max()
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


def test_an_iterator_is_refused_for_it_ends_after_an_epoch():
    batches = [(X, Y)]
    with pytest.raises(ValueError, match="which can be gone through once: give a list, or a data loader"):
        FineTuning(ADAM, data=iter(batches))
    with pytest.raises(ValueError, match=r"must be a tuple \(X, y\) .* of length 1 instead"):
        FineTuning(ADAM, data=(X,))


@pytest.mark.parametrize(
    "wrong",
    [
        {"train_apply": lambda params, x: apply(params, x)},
        {"loss": lambda outputs, y: cross_entropy(outputs, y).mean()},
    ],
)
def test_what_cannot_make_a_step_is_named_before_any_work(wrong):
    with pytest.raises(ValueError, match="'fine_tune' parameter of prune cannot make a step"):
        prune(apply, PARAMS, X, Y, **OPTIONS, fine_tune=FineTuning(ADAM, **wrong))


def test_the_state_of_another_optimizer_is_named_before_any_work():
    with pytest.raises(ValueError, match="'opt_state' parameter of FineTuning must be a state of its optimizer"):
        prune(apply, PARAMS, X, Y, **OPTIONS, fine_tune=FineTuning(ADAM, opt_state=optax.sgd(0.1).init(PARAMS)))


def test_a_new_state_of_another_tree_is_named():
    params = {"A": np.asarray(PARAMS["A"]), "C": np.asarray(PARAMS["C"])}
    state = {"mean": np.zeros(16, "float32"), "var": np.ones(16, "float32"), "n": np.int32(0)}

    def other(p, s, x, key):
        return normalized(p, s, x, key)[0], {"mean": s["mean"]}

    with pytest.raises(ValueError, match=r"'fine_tune' parameter of prune (cannot|must return)"):
        prune(
            *(lambda p, s, x: normalized(p, s, x)[0], params, X, Y),
            **OPTIONS,
            state=state,
            fine_tune=FineTuning(ADAM, train_apply=other),
        )


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
