import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skbandit._core.rows import Batches
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.network.mlp import MLP
from skbandit.criteria import BMRSNormal, BMRSUniform, ExpectedGate, Problem, SignalToNoise, noise
from skbandit.criteria.bmrs import Noise


def toy(seed):
    """A thousand rows, eight features, 40 ReLU units: far more than the function needs."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(1000, 8))
    y = np.sin(X[:, 0]) + 0.5 * X[:, 1] * X[:, 2] + 0.3 * X[:, 3] + np.sqrt(0.05) * rng.normal(size=1000)
    return Problem(
        params=init_params((8, 40, 1), "relu", np.random.RandomState(seed), "float32"),
        gates=(np.ones(40, np.float32),),
        emissions=(np.zeros(40, np.float32),),
        batches=Batches.partition(rng, X, y[:, None], np.ones(1000), "float32", 128),
        budget=np.int32(0),
        n_remove=np.int32(20),
        room=np.array([39], np.int32),
        network=MLP((8, 40, 1), "relu", "squared_error"),
        arms_per_step=1,
    )


ALL = np.ones(40, bool)


def shares(learned):
    """The share of units that each criterion would remove."""
    criteria = {
        "equation": BMRSNormal(offset=0.0),
        "code": BMRSNormal(),
        "uniform-8": BMRSUniform(),
        "uniform-4": BMRSUniform(bits=4.0),
        "snr": SignalToNoise(),
        "mean": ExpectedGate(),
    }
    return {name: float(c.judge(learned)[1].mean()) for name, c in criteria.items()}


@pytest.fixture(scope="module")
def learned():
    train = jax.jit(lambda criterion, key, problem: criterion._train(key, problem, ALL)[0])
    return train(BMRSNormal(noise_variance=0.05), jax.random.key(0), toy(0))


def test_the_criteria_of_one_model_prune_the_shares_that_are_known(learned):
    """Wright et al.'s released rule and its kin agree on two thirds and more; their equation 8 prunes nothing."""
    found = shares(learned)
    assert found.pop("equation") == 0.0
    assert all(0.65 <= share <= 0.85 for share in found.values()), found


def test_units_are_either_needed_or_have_become_the_prior(learned):
    means = np.asarray(noise.mean(*learned))
    assert np.mean(means < 0.07) > 0.65
    assert np.mean(means > 0.3) > 0.1


def test_a_short_training_moves_nothing_far_enough():
    scores = jax.jit(lambda c, p: c.step(jax.random.key(0), (), p, ALL)[1])(
        BMRSNormal(n_steps=300, noise_variance=0.05), toy(0)
    )
    assert not scores.suggested.any()


def test_the_evidence_lower_bound_asks_for_less():
    """A step of the bound's divergence is n·layers/units, 25 here, times weaker."""
    problem = toy(0)

    def drift(criterion):
        learned, _ = criterion._train(jax.random.key(0), problem, ALL)
        return float(jnp.mean(learned.mu))

    few = {"n_steps": 200, "noise_variance": 0.05}
    assert drift(BMRSNormal(**few)) < drift(BMRSNormal(**few, kl="elbo")) < 0


def test_continuous_pruning_switches_units_off_on_the_way():
    train = jax.jit(lambda c, p: c._train(jax.random.key(0), p, ALL)[1])
    left = {t: train(ExpectedGate(threshold=t, n_steps=20, mode="continuous"), toy(0)) for t in (1.0, 0.0)}
    assert not left[1.0].any()
    assert left[0.0].all()


def test_the_default_variance_is_that_of_the_residuals():
    problem = toy(0)
    (W, b), (V, c) = problem.params
    counts = np.asarray(problem.batches.weight) > 0
    X, y = np.asarray(problem.batches.X)[counts], np.asarray(problem.batches.y)[counts]
    residual = np.maximum(X @ W + b, 0) @ V + c - y
    np.testing.assert_allclose(BMRSNormal()._likelihood_scale(problem), np.mean(residual**2), rtol=1e-4)


def test_uniform_ranks_what_it_suggests_first():
    mu, log_sigma = jnp.array([-8.0, -0.5, -19.9, -3.0]), jnp.array([0.0, -3.0, -2.0, -3.0])
    value, redundant = BMRSUniform().judge(Noise(mu, log_sigma))
    assert redundant.tolist() == [True, False, True, False]  # the third lies below the reduced prior, and is nothing
    assert np.argsort(-value).tolist() == [2, 0, 3, 1]


def test_a_weight_of_two_is_a_row_that_is_there_twice():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 8)), rng.normal(size=(30, 1))
    counts, ids = rng.integers(3, size=30).astype(float), np.arange(30, dtype=np.uint32) * 77
    twice = np.repeat(np.arange(30), counts.astype(int))
    values = []
    for rows, weight in ((np.arange(30), counts), (twice, np.ones(len(twice)))):
        kept = rows[weight > 0]
        batches = Batches.partition(rng, X[kept], y[kept], weight[weight > 0], "float32", 128, ids[kept])
        problem = Problem(**{**vars(toy(0)), "batches": batches})
        scores = jax.jit(lambda p: ExpectedGate(n_steps=30).step(jax.random.key(0), (), p, ALL)[1])(problem)
        values.append(np.asarray(scores.value))
    np.testing.assert_allclose(*values, rtol=1e-4)
    assert np.ptp(values[0]) > 1e-3


def test_rows_share_a_draw_where_the_network_takes_one_gate_for_all():
    from skbandit.networks import GatedNetwork
    from skbandit.networks.groups import dense_chain

    def loss(params, gates, X, y, weight):
        assert gates[0].shape == (40,)
        h = jax.nn.relu(X @ params[0][0] + params[0][1]) * gates[0]
        return jnp.sum(weight * jnp.sum((h @ params[1][0] + params[1][1] - y) ** 2, axis=1))

    problem = toy(0)
    other = Problem(**{**vars(problem), "network": GatedNetwork(loss, dense_chain((1, 40, 1)))})
    scores = jax.jit(lambda p: ExpectedGate(n_steps=5).step(jax.random.key(0), (), p, ALL)[1])(other)
    assert np.isfinite(scores.value).all()
