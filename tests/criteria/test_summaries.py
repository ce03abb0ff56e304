"""What units are ranked by: a summary of their damages on mini-batches."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skbandit import rank_units
from skbandit.criteria import Bandit, GreedyLeaveOneOut, LeaveOneOut, SequentialRacing, Taylor, resolve
from skbandit.networks import GatedNetwork, Group, Groups, Slice
from skbandit.policies import UCB1, EpsilonGreedy, Racing, Uniform

N, N_BATCHES = 6, 5
ALL = np.ones(N, bool)
EVERY_PULL = N * N_BATCHES
#: Unit 2 seems to help; unit 1 changes the loss least, unit 3 most.
DAMAGE = np.array([0.4, 0.02, -0.5, 0.9, -0.1, 0.3])


def expected(table, by):
    """The summary, in float64; batches are of equal size."""
    damages = table.batch_damages().astype("float64")
    return {
        "mean": damages.mean(axis=0),
        "absolute": np.abs(damages.mean(axis=0)),
        "rms": np.sqrt(np.square(damages).mean(axis=0)),
        "curvature": table.damage.astype("float64"),
    }[by]


@pytest.mark.parametrize("by", ["mean", "absolute", "rms", "curvature"])
@pytest.mark.parametrize("factor", [1.0, 1e-24, 1e24])
@pytest.mark.parametrize(
    "criterion",
    [LeaveOneOut(), Bandit(policy=UCB1()), Bandit(policy=Racing()), SequentialRacing()],
    ids=["exact", "ucb1", "racing", "sequential"],
)
def test_units_are_ranked_by_the_summary_of_all_pulls(criterion, factor, by, bench, score):
    table = bench(damage=DAMAGE * factor, noise=0.3 * factor)
    if isinstance(criterion, SequentialRacing) and by == "absolute":
        with pytest.raises(ValueError, match="'rank_by' parameter of SequentialRacing must be"):
            resolve(dataclasses.replace(criterion, rank_by=by))
        return
    scores = score(dataclasses.replace(criterion, rank_by=by), 0, table.problem(EVERY_PULL), ALL)
    value = np.asarray(scores.value, "float64")
    if isinstance(criterion, LeaveOneOut) or getattr(criterion, "policy", None) == UCB1():
        np.testing.assert_allclose(value, -expected(table, by), rtol=1e-4 if by == "curvature" else 1e-5)
    # A policy that looks for the best set may rank within it as it likes.
    order = np.argsort(-value)
    assert set(order[:3]) == set(np.argsort(expected(table, by))[:3])
    # Whatever ranks the units: the damage that is told is the mean.
    if not isinstance(criterion, SequentialRacing):
        np.testing.assert_allclose(scores.damage, expected(table, "mean"), rtol=1e-4, atol=1e-6 * factor)


def test_equal_means_differ_by_their_squares(bench, score):
    # Unit 0 costs 1 on every batch; unit 1 costs -4 on four batches and 21 on the fifth: 1 on average.
    table = bench(damage=[1, -4, 2, 2, 2, 2], noise=0.0)
    table.X[table.parts()[1], 1] = 25
    for criterion in (LeaveOneOut(rank_by="rms"), Bandit(policy=Uniform(), rank_by="rms")):
        value = score(criterion, 0, table.problem(EVERY_PULL), ALL).value
        np.testing.assert_allclose(value[:3], [-1, -np.sqrt((4 * 16 + 441) / 5), -2], rtol=1e-5)


@pytest.mark.parametrize(
    ("by", "favourites"),
    [("mean", {2, 4}), ("absolute", {1, 4}), ("rms", {1, 4}), ("curvature", {2, 4}), ("reward", {2, 4})],
)
def test_the_policy_learns_from_what_ranks(by, favourites, bench, score):
    # Without exploration, the two slots of each step take the two units of highest reward so far.
    bandit = Bandit(policy=EpsilonGreedy(epsilon=0), rank_by=by)
    # Where noise of first order is thirty times the damages, only what is left without it shows the favourites.
    noise = 30.0 if by == "curvature" else 0.001
    scores = score(bandit, 0, bench(damage=DAMAGE, noise=noise).problem(N + 6), ALL)
    assert set(np.flatnonzero(np.asarray(scores.info["pulls"]) > 1)) == favourites


#: Summaries and damages that are not finite. By the mean, a damage of -inf is that of the safest unit.
NOT_FINITE = [
    *(("mean", bad) for bad in (np.nan, np.inf)),
    *(("curvature", bad) for bad in (np.nan, np.inf)),
    *((by, bad) for by in ("absolute", "rms") for bad in (np.nan, np.inf, -np.inf)),
]


@pytest.mark.parametrize(("by", "bad"), NOT_FINITE)
@pytest.mark.parametrize("name", ["leave_one_out", "greedy_leave_one_out", "ucb1", "racing"])
def test_a_damage_that_is_not_finite_does_not_spoil_the_ranking(name, by, bad, bench, score):
    criterion = dataclasses.replace(resolve(name), rank_by=by)
    table = bench(damage=[0.1, 0.5, bad, 0.2, 0.6, 0.3], noise=0.01)
    value = np.asarray(score(criterion, 0, table.problem(24), ALL).value)
    assert set(np.argsort(np.where(np.isnan(value), np.inf, -value))[:3]) == {0, 3, 5}


def test_greedy_removal_goes_by_the_summary(bench, score):
    table = bench(damage=DAMAGE, noise=0.0)
    for by in ("mean", "absolute", "rms", "curvature"):
        value = score(GreedyLeaveOneOut(rank_by=by), 0, table.problem(EVERY_PULL), ALL).value
        assert np.argsort(-value)[:3].tolist() == np.argsort(expected(table, by))[:3].tolist()


def test_a_first_order_part_is_no_noise_of_the_curvature(bench, score):
    # One pull of each unit, whose noise is thirty times the damage, and all of it of first order.
    table = bench(damage=DAMAGE, noise=30.0)
    by_mean, by_curvature = (
        score(Bandit(policy=Uniform(), rank_by=by), 0, table.problem(N), ALL) for by in ("mean", "curvature")
    )
    np.testing.assert_allclose(by_curvature.value, -DAMAGE, atol=1e-4)
    np.testing.assert_array_equal(by_curvature.damage, by_mean.damage)  # the damage that is told is that of the pull
    assert np.abs(np.asarray(by_mean.value) + DAMAGE).max() > 1


#: Weights of four units of one layer. The loss of a row is (Σ gate · weight - target)² / 2.
WEIGHTS, TARGET = np.array([0.5, -1.0, 2.0, 0.25]), 0.75


def of_squares(params, gates, X, y, weight):
    return weight @ jnp.square(X[:, 0] * (gates[0] @ params["w"]) - y) / 2


def a_network(loss=of_squares):
    return GatedNetwork(loss, Groups([Group("units", 4, [Slice("w", 0)])]))


@pytest.mark.parametrize("removed", [(), (1,)])
@pytest.mark.parametrize("n_batches", [1, 2, 5])  # up to two, damages are measured beforehand
def test_the_curvature_is_that_of_the_loss_at_the_present_gates(n_batches, removed):
    # In one gate the curvature is weight² / 2, the slope the rest.
    active = ~np.isin(np.arange(4), removed)
    params = {"w": jnp.asarray(WEIGHTS * active, jnp.float32)}
    X, y = np.ones((4 * n_batches, 1), np.float32), np.full(4 * n_batches, TARGET, np.float32)
    residual = WEIGHTS @ active - TARGET
    for criterion in (
        LeaveOneOut(rank_by="curvature"),
        GreedyLeaveOneOut(rank_by="curvature"),
        Bandit(policy=Uniform(), rank_by="curvature"),
    ):
        given = {"active": active, "batch_size": 4, "pruning_ratio": 0.4, "budget": n_batches}
        scores = rank_units(a_network(), params, X, y, policy=criterion, **given)
        damage = (np.square(residual - WEIGHTS) - residual**2) / 2
        np.testing.assert_allclose(scores.damage[active], damage[active], atol=1e-6)
        if isinstance(criterion, GreedyLeaveOneOut):  # values are places
            assert np.argmax(np.where(active, scores.value, -np.inf)) == 3
        else:
            np.testing.assert_allclose(scores.value[active], -np.square(WEIGHTS)[active] / 2, atol=1e-6)
            np.testing.assert_allclose(scores.info["slope"][active], (-WEIGHTS * residual)[active], atol=1e-6)


def test_slopes_take_a_backward_pass_on_each_mini_batch_that_is_pulled_on():
    passes = []

    @jax.custom_vjp
    def counted(gates):
        return gates

    def backward(_, cotangent):
        jax.debug.callback(lambda: passes.append(1))
        return (cotangent,)

    counted.defvjp(lambda gates: (gates, None), backward)

    def loss(params, gates, X, y, weight):
        return of_squares(params, (counted(gates[0]),), X, y, weight)

    params = {"w": jnp.asarray(WEIGHTS, jnp.float32)}
    X, y = np.ones((400, 1), np.float32), np.full(400, TARGET, np.float32)
    for budget, n_passes in ((3, 3), (500, 100)):  # of 100 mini-batches
        passes.clear()
        policy = Bandit(policy=Uniform(), rank_by="curvature")
        rank_units(a_network(loss), params, X, y, policy=policy, batch_size=4, budget=budget)
        jax.effects_barrier()
        assert len(passes) == n_passes


def test_rows_of_padding_have_no_slope():
    # Norms have an infinite derivative at 0, where rows of padding are.
    def loss(params, gates, X, y, weight):
        norms = jnp.linalg.norm(X * (gates[0] @ params["w"]), axis=1)
        return weight @ jnp.where(weight > 0, jnp.square(norms - y), 0)

    params = {"w": jnp.asarray(WEIGHTS, jnp.float32)}
    X, y = np.ones((10, 2), np.float32), np.full(10, TARGET, np.float32)
    for criterion in (LeaveOneOut(rank_by="curvature"), Bandit(policy=Uniform(), rank_by="curvature"), Taylor()):
        scores = rank_units(a_network(loss), params, X, y, policy=criterion, batch_size=8, budget=2)
        assert np.isfinite(scores.value).all()


def test_a_loss_without_a_derivative_is_remarked_on():
    def loss(params, gates, X, y, weight):
        return of_squares(params, (jnp.round(gates[0]),), X, y, weight)

    params = {"w": jnp.asarray(WEIGHTS, jnp.float32)}
    X, y = np.ones((8, 1), np.float32), np.full(8, TARGET, np.float32)
    for criterion in (LeaveOneOut(rank_by="curvature"), Bandit(policy=Uniform(), rank_by="curvature")):
        with pytest.warns(UserWarning, match="no derivative with respect to the gates"):
            rank_units(a_network(loss), params, X, y, policy=criterion, batch_size=4)
