import dataclasses

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest

from skbandit._core import scope
from skbandit._core.pytree import pytree_dataclass, static
from skbandit._core.rows import Batches
from skbandit._tabular.network.inference import hidden_activations, raw_output
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.network.losses import weighted_mean
from skbandit._tabular.network.mlp import MLP
from skbandit._tabular.pruning.compensation import fold_emissions
from skbandit.criteria import Bandit, Criterion, LeaveOneOut, Magnitude, Scores, StableUnits
from skbandit.networks.gated import GatedNetwork
from skbandit.networks.groups import Group, Groups, Slice
from skbandit.policies import EXP3, UCB1
from skbandit.pruning import engine as pruning
from skbandit.pruning.engine import INTERRUPTED, Pruner, arms_per_step, canonical, prune

NETWORK = MLP((3, 8, 6, 1), "tanh", "squared_error")
#: Units that feed nothing.
USELESS = np.array([1, 2, 5, 8, 9, 13])


def trained(planted=True, seed=0):
    """A network, and rows on which it makes no error: every unit that feeds something does damage when it leaves."""
    params = init_params(NETWORK.layer_sizes, "tanh", np.random.RandomState(seed), "float32")
    if planted:
        for layer, part in enumerate(NETWORK.groups.split(np.isin(np.arange(14), USELESS))):
            params[layer + 1][0][part] = 0
    X = np.random.default_rng(seed).normal(size=(50, 3)).astype("float32")
    return params, X, output(params, X)


def output(params, X):
    return raw_output(X, [W for W, _ in params], [b for _, b in params], "tanh")


def pruner(planted=True, criterion=None, weight=None, **options):
    params, X, y = trained(planted)
    weight = np.ones(50) if weight is None else weight
    return params, Pruner(options.pop("network", NETWORK), batches(X, y, weight), criterion or LeaveOneOut(), **options)


def batches(X, y, weight):
    return Batches.partition(np.random.default_rng(0), X, y, weight, "float32", 16)


def removed_by(result):
    kept = np.concatenate([k + offset for k, offset in zip(result.kept, NETWORK.groups.offsets, strict=True)])
    return np.setdiff1d(np.arange(14), kept)


def assert_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


# --- one phase ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("criterion", [LeaveOneOut(), Bandit(), Magnitude(of="out")], ids=["exact", "ucb1", "norm"])
def test_units_that_feed_nothing_leave_first(criterion):
    params, engine = pruner(criterion=criterion, budget=2.0, n_rounds=2)
    result = engine.run(params, 6 / 14)
    np.testing.assert_array_equal(removed_by(result), USELESS)
    _, X, y = trained()
    # What fed nothing is gone from sums in float32.
    np.testing.assert_allclose(output(result.params, X), y, rtol=0, atol=1e-6)
    assert [W.shape for W, _ in result.params] == [(3, 5), (5, 3), (3, 1)]
    assert result.status == "removed 6 of 14 units in 2 rounds"


@pytest.mark.parametrize("ratio", [0.0, 1 / 15])
def test_nothing_to_remove_leaves_the_network_as_it_was(ratio):
    params, engine = pruner(repair=None, fine_tune=lambda params, gates, r: pytest.fail("nothing to tune"))
    result = engine.run(params, ratio)
    assert_equal(result.params, params)
    assert result.history == []
    assert result.n_pulls == 0
    assert [len(kept) for kept in result.kept] == [8, 6]


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.9, 1.0])
def test_the_ratio_is_met_down_to_one_unit_a_layer(ratio, scope):
    params, engine = pruner(scope=scope, n_rounds=3)
    result = engine.run(params, ratio)
    assert removed_by(result).size == min(int(ratio * 14), 12)
    assert all(kept.size >= 1 for kept in result.kept)


def test_history_adds_up():
    params, engine = pruner(False, Bandit(), n_rounds=3, budget=5.0)
    result = engine.run(params, 0.5)
    assert [record.round for record in result.history] == [0, 1, 2]
    assert sum(record.n_removed for record in result.history) == 7
    assert sum(record.n_pulls for record in result.history) == result.n_pulls
    assert result.n_pulls == 5 * 14
    left = 14 - np.cumsum([record.n_removed for record in result.history])
    assert [sum(record.sizes) for record in result.history] == left.tolist()
    assert result.history[-1].sizes == tuple(len(kept) for kept in result.kept)
    for before, after in zip(result.history[:-1], result.history[1:], strict=True):
        assert after.loss_before == before.loss_after
    # Without repair and fine-tuning, the rise of the loss is what removing the units together has done.
    for record in result.history:
        assert not record.fine_tuned
        assert record.loss_after == record.loss_repaired
        assert record.damage_measured == pytest.approx(record.loss_repaired - record.loss_before, rel=1e-4)
    _, X, y = trained(False)
    expected = weighted_mean("squared_error", output(result.params, X), y, np.ones(50))
    assert result.history[-1].loss_after == result.loss == pytest.approx(expected, rel=1e-5)


def test_predicted_damage_is_the_sum_over_the_units_removed():
    # One unit a round: what is predicted for it alone is what is measured.
    params, engine = pruner(False, n_rounds=14, budget=100.0)
    result = engine.run(params, 0.3)
    assert [record.n_removed for record in result.history] == [1, 1, 1, 1]
    for record in result.history:
        # Losses of size 0.01 in float32, subtracted.
        assert record.damage_predicted == pytest.approx(record.damage_measured, abs=1e-7)


def test_criteria_without_pulls_predict_nothing():
    params, engine = pruner(criterion=Magnitude())
    result = engine.run(params, 0.5)
    assert result.n_pulls == 0
    assert all(np.isnan(record.damage_predicted) for record in result.history)


@pytest.mark.parametrize("budget", [1.0, 2.0, 7.3])
def test_pulls_never_exceed_the_budget(budget):
    params, engine = pruner(criterion=Bandit(), budget=budget)
    for ratio in (0.5, "auto"):
        _, engine = pruner(criterion=Bandit(), budget=budget)
        assert engine.run(params, ratio).n_pulls <= budget * 14


def test_no_unit_is_pulled_on_more_batches_than_there_are():
    # Four batches of 50 rows: a budget of 1000 pulls a unit is cut to 4, where every damage is exact.
    params, engine = pruner(criterion=Bandit(), budget=1000.0, n_rounds=1)
    assert engine.run(params, 0.5).n_pulls == 4 * 14


def test_units_that_are_gone_already_count_towards_the_ratio():
    params, engine = pruner()
    active = ~np.isin(np.arange(14), USELESS[:4])
    zeroed = NETWORK.groups.zero(params, [np.flatnonzero(~part) for part in NETWORK.groups.split(active)])
    result = engine.run(zeroed, 6 / 14, active)
    np.testing.assert_array_equal(removed_by(result), USELESS)
    assert sum(record.n_removed for record in result.history) == 2


def test_same_seed_same_result():
    runs = []
    for seed in (0, 0, 1):
        params, engine = pruner(False, Bandit(policy=EXP3()), seed=seed, budget=2.0)
        runs.append(engine.run(params, 0.5))
    assert_equal(runs[0].params, runs[1].params)
    assert [r._replace(seconds=0) for r in runs[0].history] == [r._replace(seconds=0) for r in runs[1].history]
    assert runs[0].history[0].damage_predicted != runs[2].history[0].damage_predicted


def test_inputs_are_left_alone():
    params, engine = pruner()
    before = jax.tree.map(np.copy, params)
    engine.run(params, 0.5)
    assert_equal(params, before)


def test_zero_weight_rows_decide_nothing():
    # Half the rows alone, or beside the others at weight 0: the batches differ, the exact damages do not.
    weight = (np.arange(50) < 25).astype(float)
    params, engine = pruner(False, weight=weight, n_rounds=1)
    with_idle = engine.run(params, 0.5)
    _, X, y = trained(False)
    alone = Pruner(NETWORK, batches(X[:25], y[:25], np.ones(25)), LeaveOneOut(), n_rounds=1)
    assert_equal(with_idle.kept, alone.run(params, 0.5).kept)


# --- auto -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tolerance", [0.0, 0.1, 1.0])
def test_auto_stays_within_the_tolerance(tolerance):
    params, X, y = trained(False)
    y = y + np.random.default_rng(1).normal(size=y.shape).astype("float32")  # a loss to be relative to
    engine = Pruner(NETWORK, batches(X, y, np.ones(50)), LeaveOneOut(), tolerance=tolerance)
    result = engine.run(params, "auto")
    before, after = (weighted_mean("squared_error", output(p, X), y, np.ones(50)) for p in (params, result.params))
    assert after <= before * (1 + tolerance) * (1 + 1e-6)
    for record in result.history:
        assert record.loss_after <= before * (1 + tolerance) * (1 + 1e-6)


def test_auto_removes_what_costs_nothing():
    params, engine = pruner(n_rounds=20, budget=100.0, tolerance=0.0)
    result = engine.run(params, "auto")
    # The network makes no error, so that every other unit is missed.
    assert set(removed_by(result)) <= set(USELESS)
    assert removed_by(result).size >= 4  # halves of 14, then 3, 1
    assert "costs over the tolerance" in result.status


def test_auto_with_all_the_tolerance_there_is_keeps_a_unit_a_layer():
    params, engine = pruner(n_rounds=50, budget=1000.0, tolerance=1e9)
    engine.guard = lambda params, gates: 1.0
    result = engine.run(params, "auto")
    assert [len(kept) for kept in result.kept] == [1, 1]
    assert "one is left in each layer" in result.status


def test_auto_ends_when_its_pulls_are_spent():
    # 21 pulls: one for each of 14 units, then one for each of the 7 that are left; none for the last 4.
    params, engine = pruner(criterion=Bandit(), budget=1.5, tolerance=1e9, guard=lambda params, gates: 1.0)
    result = engine.run(params, "auto")
    assert [record.n_pulls for record in result.history] == [14, 7]
    assert [sum(record.sizes) for record in result.history] == [7, 4]
    assert "the budget is used up" in result.status


@pytest.mark.parametrize(("tolerance", "left"), [(0.01, 12), (0.3, 7)])
def test_auto_keeps_the_score_where_the_loss_falls(tolerance, left):
    # A network that is too sure of itself: the fewer its units, the smaller its loss, and the more often it errs.
    def units(gates):
        return sum(g.sum() for g in gates)

    params, engine = pruner(guard=lambda params, gates: float(units(gates)), budget=100.0, tolerance=tolerance)
    engine.score = lambda params, gates: 1.0 if units(gates) >= 12 else 0.8 if units(gates) >= 7 else 0.0
    result = engine.run(params, "auto")
    assert sum(len(kept) for kept in result.kept) == left


def test_auto_tries_half_as_many_after_a_failure():
    tried = []

    def guard(params, gates):
        left = int(sum(g.sum() for g in gates))
        tried.append(left)
        return 1.0 if left >= 12 else 2.0

    params, engine = pruner(guard=guard, budget=100.0)
    result = engine.run(params, "auto")
    # 14 units at the start; proposals of 7, 3 and 1: with 13 left the loss is within the tolerance. From 13, 6 and 3
    # are too many, 1 is not; from 12, all of 6, 3 and 1 are.
    assert tried == [14, 7, 11, 13, 7, 10, 12, 6, 9, 11]
    assert [record.n_removed for record in result.history] == [1, 1]
    assert "removing 1 more costs over the tolerance" in result.status


# --- repair, fine-tuning, guard -------------------------------------------------------------------------------------


def test_fine_tuning_must_win_on_the_guard_rows():
    def worse(params, gates, r):
        return jax.tree.map(lambda a: a + 1, params)

    params, engine = pruner(False, fine_tune=worse, n_rounds=1)
    kept_repaired = engine.run(params, 0.5)
    assert not kept_repaired.history[0].fine_tuned
    params, engine = pruner(False, n_rounds=1)
    assert_equal(kept_repaired.params, engine.run(params, 0.5).params)

    # A constant loss but for the tuned network, which the guard takes for better.
    tuned = []

    def better(params, gates, r):
        tuned.append(jax.tree.map(lambda a: 0.5 * a, params))
        return tuned[-1]

    params, engine = pruner(False, fine_tune=better, guard=lambda p, g: float(len(tuned) == 0), n_rounds=1)
    result = engine.run(params, 0.5)
    assert result.history[0].fine_tuned
    assert result.history[0].loss_repaired == 1.0
    assert result.history[0].loss_after == 0.0
    assert_equal(result.params, NETWORK.groups.compact(tuned[0], result.kept))


def test_a_tuned_network_that_is_not_finite_is_not_kept():
    params, engine = pruner(False, fine_tune=lambda p, g, r: jax.tree.map(lambda a: a * np.nan, p), n_rounds=1)
    result = engine.run(params, 0.5)
    assert not result.history[0].fine_tuned
    assert np.isfinite(result.params[0][0]).all()


def test_fine_tuning_sees_gates_and_zeros():
    seen = []

    def tune(params, gates, r):
        seen.append((params, gates, r))
        return params

    params, engine = pruner(fine_tune=tune, n_rounds=2)
    result = engine.run(params, 6 / 14)
    assert [r for _, _, r in seen] == [0, 1]
    params, gates, _ = seen[-1]
    off = np.concatenate(gates) == 0
    np.testing.assert_array_equal(np.flatnonzero(off), removed_by(result))
    parts = [np.flatnonzero(part) for part in NETWORK.groups.split(off)]
    assert_equal(NETWORK.groups.zero(params, parts), params)


def test_what_masked_units_emit_is_folded_and_measured_as_such():
    params, X, y = trained(False)

    def means(params, gates):
        layers = hidden_activations(X, [W for W, _ in params], [b for _, b in params], "tanh", gates)
        return tuple(h.mean(axis=0).astype("float32") for h in layers)

    def fold(params, active, removed, emissions):
        return fold_emissions(params, NETWORK.groups, removed, emissions)

    _, engine = pruner(False, emissions=means, repair=fold, n_rounds=1)
    result = engine.run(params, 0.5)
    (record,) = result.history
    # The rise of the loss that is measured with the units masked is that of the compact network.
    assert record.damage_measured == pytest.approx(record.loss_repaired - record.loss_before, rel=1e-4)
    expected = weighted_mean("squared_error", output(result.params, X), y, np.ones(50))
    assert record.loss_repaired == pytest.approx(expected, rel=1e-4)


# --- interruption and callbacks -------------------------------------------------------------------------------------


def after_rounds(n):
    """What the first ``n`` rounds of an undisturbed run leave."""
    params, engine = pruner(False, n_rounds=4, budget=100.0, on_round=lambda record, _: record.round == n - 1)
    return engine.run(params, 0.6)


def test_an_interrupt_in_a_round_keeps_the_rounds_before():
    def tune(params, gates, r):
        if r == 2:
            raise KeyboardInterrupt
        return params

    params, engine = pruner(False, n_rounds=4, budget=100.0, fine_tune=tune)
    result = engine.run(params, 0.6)
    assert result.status == INTERRUPTED
    assert [record.round for record in result.history] == [0, 1]
    assert_equal(result.params, after_rounds(2).params)


def test_an_interrupt_in_a_callback_keeps_the_round_that_it_heard_of():
    def interrupt(record, _):
        if record.round == 1:
            raise KeyboardInterrupt

    params, engine = pruner(False, n_rounds=4, budget=100.0, on_round=interrupt)
    result = engine.run(params, 0.6)
    assert result.status == INTERRUPTED
    assert [record.round for record in result.history] == [0, 1]
    assert_equal(result.params, after_rounds(2).params)


def test_an_interrupt_before_the_end_of_the_first_round_leaves_the_network_as_it_was():
    def interrupt(*_):
        raise KeyboardInterrupt

    params, engine = pruner(False, fine_tune=interrupt)
    result = engine.run(params, 0.5)
    assert result.status == INTERRUPTED
    assert result.history == []
    assert_equal(result.params, params)


@pytest.mark.parametrize("ratio", [0.6, "auto"])
def test_a_callback_can_end_the_phase(ratio):
    params, engine = pruner(n_rounds=4, budget=100.0, tolerance=1e9, on_round=lambda record, _: record.round == 1)
    result = engine.run(params, ratio)
    assert len(result.history) == 2
    assert "stopped by a callback" in result.status


def test_a_callback_can_see_what_pruning_would_return_if_it_ended_there():
    results = []
    params, engine = pruner(False, n_rounds=4, budget=100.0, on_round=lambda _, result: results.append(result()))
    end = engine.run(params, 0.6)
    assert [len(result.history) for result in results] == [1, 2, 3, 4]
    assert_equal(results[-1].params, end.params)
    assert_equal(results[1].params, after_rounds(2).params)


# --- one program ----------------------------------------------------------------------------------------------------


def test_one_program_serves_all_rounds_budgets_ratios_seeds_and_hyper_parameters():
    found = []

    def listen(event, duration, **kwargs):
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(kwargs.get("fun_name"))

    params, engine = pruner(criterion=Bandit(), n_rounds=1)
    engine.run(params, 0.5)
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        for policy in (UCB1(), UCB1(exploration=2), UCB1(exploration=0.5)):
            params, engine = pruner(criterion=Bandit(policy=policy), n_rounds=4, budget=3, seed=5, tolerance=1)
            engine.run(params, 0.8)
            params, engine = pruner(criterion=Bandit(policy=policy), n_rounds=2, budget=9.5, scope="layer")
            engine.run(params, "auto")
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert found == []


def test_canonical_makes_numbers_floats_and_nothing_else():
    integer, same = canonical(Bandit(policy=UCB1(exploration=2))), canonical(Bandit(policy=UCB1(exploration=2.0)))
    assert integer.policy.exploration.dtype == same.policy.exploration.dtype == float
    assert integer.rank_by == "damage"


def test_steps_have_slots_for_an_eighth_of_the_units():
    assert [arms_per_step(n) for n in (1, 7, 8, 64, 100)] == [1, 1, 1, 8, 12]


# --- any network ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class WithoutEvaluator:
    """A network that has no fast way to its damages."""

    inner: MLP

    @property
    def groups(self):
        return self.inner.groups

    def batch_loss(self, *args):
        return self.inner.batch_loss(*args)


def test_a_network_without_an_evaluator_of_its_own_gives_the_same_result():
    params, engine = pruner(False, Bandit(), budget=4.0)
    fast = engine.run(params, 0.5)
    params, engine = pruner(False, Bandit(), budget=4.0, network=WithoutEvaluator(NETWORK))
    slow = engine.run(params, 0.5)
    assert_equal(slow.kept, fast.kept)
    assert slow.n_pulls == fast.n_pulls
    for a, b in zip(slow.history, fast.history, strict=True):
        assert a.damage_predicted == pytest.approx(b.damage_predicted, abs=1e-6)


def embedding_output(xp, params, gates, tokens):
    """A bag of embeddings and two dense layers; units are embedding channels and hidden units."""
    bag = params["embed"][tokens].mean(axis=1) * gates[0]
    return xp.tanh(bag @ params["layers"][0]["w"]) * gates[1] @ params["layers"][1]["w"]


def embedding_loss(params, gates, tokens, y, weight):
    rows = jnp.sum(jnp.square(embedding_output(jnp, params, gates, tokens) - y), axis=1)
    return jnp.sum(weight * rows) / jnp.sum(weight)


def test_any_pytree_of_parameters_and_integer_rows_can_be_pruned():
    rng = np.random.default_rng(0)
    params = {
        "embed": rng.normal(size=(11, 4)),
        "layers": [{"w": rng.normal(size=(4, 5))}, {"w": rng.normal(size=(5, 3))}],
    }
    params["layers"][0]["w"][2] = 0  # the third channel and the units 1 and 3 feed nothing
    params["layers"][1]["w"][[1, 3]] = 0
    groups = Groups(
        (
            Group(4, (Slice(("embed",), 1), Slice(("layers", 0, "w"), 0))),
            Group(5, (Slice(("layers", 0, "w"), 1), Slice(("layers", 1, "w"), 0))),
        )
    )
    tokens = rng.integers(11, size=(40, 6))
    y = embedding_output(np, params, (np.ones(4), np.ones(5)), tokens)
    held_out = (tokens[30:], y[30:] + 1)
    result = prune(
        GatedNetwork(embedding_loss, groups),
        params,
        tokens[:30],
        y[:30],
        policy="leave_one_out",
        pruning_ratio=1 / 3,
        n_rounds=1,
        held_out=held_out,
        batch_size=8,
    )
    np.testing.assert_array_equal(result.kept[0], [0, 1, 3])
    np.testing.assert_array_equal(result.kept[1], [0, 2, 4])
    np.testing.assert_array_equal(result.params["embed"], params["embed"][:, [0, 1, 3]].astype("float32"))
    assert result.params["layers"][0]["w"].shape == (3, 3)
    # The guard is the loss on the held-out rows, each of the 3 outputs off by 1, before and after.
    (record,) = result.history
    assert record.loss_before == pytest.approx(3, rel=1e-5)
    assert record.loss_after == pytest.approx(3, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("budget", 0), ("pruning_ratio", 1.5), ("tolerance", -1), ("scope", "best"), ("n_rounds", 0), ("batch_size", 2.5)],
)
def test_prune_refuses_values_out_of_bounds(name, value):
    params, X, y = trained()
    with pytest.raises(ValueError, match=f"'{name}' parameter of prune must be .*{value!r}"):
        prune(GatedNetwork(quadratic_loss, NETWORK.groups), params, X, y, **{name: value})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"y": np.zeros((49, 1))}, "one row each: got 50, 49, 50"),
        ({"sample_weight": np.ones(51)}, "one row each: got 50, 50, 51"),
        ({"sample_weight": np.r_[-1.0, np.ones(49)]}, "non-negative and finite"),
        ({"sample_weight": np.r_[np.inf, np.ones(49)]}, "non-negative and finite"),
        ({"sample_weight": np.r_[np.nan, np.ones(49)]}, "non-negative and finite"),
        ({"sample_weight": np.zeros(50)}, "positive for some row"),
        ({"y": np.full((50, 1), np.nan)}, "loss of the network to prune is nan"),
    ],
)
def test_prune_refuses_rows_that_it_cannot_judge_by(rows, message):
    params, X, y = trained()
    with pytest.raises(ValueError, match=message):
        prune(GatedNetwork(quadratic_loss, NETWORK.groups), params, **{"X": X, "y": y, **rows})


def test_prune_refuses_groups_that_do_not_fit():
    params, X, y = trained()
    with pytest.raises(ValueError, match="group of 8 units has a slice of size 6"):
        prune(GatedNetwork(quadratic_loss, NETWORK.groups), (params[1], params[0], params[2]), X, y)


def test_prune_takes_any_random_state():
    params, X, y = trained(False)
    options = {"policy": "random", "n_rounds": 1, "batch_size": 16}
    network = GatedNetwork(quadratic_loss, NETWORK.groups)

    def kept(random_state):
        return prune(network, params, X, y, random_state=random_state, **options).kept

    assert_equal(kept(np.random.RandomState(3)), kept(np.random.RandomState(3)))
    assert_equal(kept(np.int64(3)), kept(3))
    generator = np.random.RandomState(3)
    draws = {tuple(np.concatenate(kept(generator))) for _ in range(4)}
    # A generator moves on: four sets of 7 of 14 units, of which there are 3432 (two are equal with probability 2e-3).
    assert len(draws) == 4


@pytest.mark.parametrize("policy", ["racing", "warm_top_two_thompson", "budgeted_greedy", "obs", "bip", "stable_units"])
def test_prune_computes_in_float32_where_float64_is_switched_on(policy):
    params, X, y = trained(planted=False)
    kept = []
    for x64 in (False, True):
        with jax.enable_x64(x64):
            kept.append(prune(NETWORK, params, X, y, policy=policy, n_rounds=1).kept)
    assert_equal(*kept)


def test_prune_takes_losses_and_repairs_that_float64_would_reach():
    def loss(params, gates, X, y, weight):
        assert jnp.zeros(1).dtype == "float32"
        hidden = jnp.tanh(X @ params["in"]) * gates[0] + jnp.zeros(8)  # float64 where that is switched on
        rows = jnp.sum(jnp.square(hidden @ params["out"] - jax.nn.one_hot(y, 2)), axis=1)
        return jnp.sum(weight * rows) / jnp.sum(weight)

    def repair(params, active, removed, emissions):
        assert jnp.zeros(1).dtype == "float64"
        return jax.tree.map(lambda a: np.asarray(a, float), params)

    groups = Groups((Group(8, (Slice(("in",), 1), Slice(("out",), 0))),))
    rng = np.random.default_rng(0)
    params = {"in": rng.normal(size=(3, 8)), "out": rng.normal(size=(8, 2))}
    X, y = rng.normal(size=(40, 3)), rng.integers(2, size=40)
    with jax.enable_x64(True):
        result = prune(GatedNetwork(loss, groups), params, X, y, held_out=(X, y), repair=repair)
    assert result.params["in"].shape == (3, 4)


def test_prune_refuses_a_forked_process(monkeypatch):
    monkeypatch.setattr(scope, "_jax_pid", -1)
    params, X, y = trained()
    with pytest.raises(RuntimeError, match="forked"):
        prune(GatedNetwork(quadratic_loss, NETWORK.groups), params, X, y)


def test_sample_weights_of_zero_take_rows_out():
    params, X, y = trained(False)
    network = GatedNetwork(quadratic_loss, NETWORK.groups)
    y = y.copy()
    y[25:] = 1e3
    weight = (np.arange(50) < 25).astype(float)
    options = {"policy": "leave_one_out", "n_rounds": 1, "batch_size": 16}
    weighted = prune(network, params, X, y, weight, **options)
    alone = prune(network, params, X[:25], y[:25], **options)
    assert_equal(weighted.kept, alone.kept)
    assert weighted.history[0].loss_before == pytest.approx(0, abs=1e-9)


def quadratic_loss(params, gates, X, y, weight):
    none = tuple(jnp.zeros_like(g) for g in gates)
    return NETWORK.batch_loss(params, gates, none, X, y, weight)


def test_mean_loss_is_over_all_rows():
    params, engine = pruner(False)
    gates = NETWORK.groups.split(np.ones(14, "float32"))
    shifted = engine.batches._replace(y=engine.batches.y + 1)
    loss = pruning._mean_loss(params, gates, gates, shifted, network=NETWORK)
    assert float(loss) == pytest.approx(0.5, rel=1e-5)  # ½·1²


# --- criteria with a set of their own -------------------------------------------------------------------------------


@pytree_dataclass
class Own(Criterion):
    """Suggests the units that feed nothing, and unit 0 or a whole layer with them."""

    extra: tuple[int, ...] = static(default=())

    @property
    def suggests(self):
        return True

    def step(self, key, state, problem, active):
        chosen = active & jnp.isin(jnp.arange(14), jnp.array([*USELESS, *self.extra]))
        value = -jnp.arange(14.0)
        scores = Scores(value, jnp.minimum(problem.budget, 99), jnp.zeros(14), chosen)
        # Twice the output, so that it shows whose parameters go on.
        return state, scores._replace(params=(*problem.params[:-1], tuple(2 * a for a in problem.params[-1])))


def test_auto_removes_the_criterions_own_set_in_one_round_with_all_pulls():
    params, phase = pruner(criterion=Own(), budget=3.0, scope="layer", tolerance=0.0)
    result = phase.run(params, "auto")
    np.testing.assert_array_equal(removed_by(result), USELESS)
    assert result.n_pulls == 3 * 14
    assert len(result.history) == 1
    assert result.status == "removed 6 of 14 units; the criterion suggests 6"


def test_the_criterions_parameters_go_on():
    params, phase = pruner(criterion=Own())
    result = phase.run(params, "auto")
    np.testing.assert_array_equal(result.params[-1][0], 2 * params[-1][0][[2, 3, 4]])
    result = pruner(criterion=Own(), n_rounds=1)[1].run(params, 0.4)
    np.testing.assert_array_equal(result.params[-1][1], 2 * params[-1][1])


def test_of_a_layer_that_is_suggested_whole_the_least_safe_unit_stays():
    params, phase = pruner(criterion=Own(extra=tuple(range(8, 14))))
    result = phase.run(params, "auto")
    assert result.kept[1].tolist() == [5]
    assert result.status == "removed 8 of 14 units; the criterion suggests 9"


def test_a_criterion_that_suggests_nothing_removes_nothing():
    params, phase = pruner(criterion=StableUnits())
    result = phase.run(params, "auto")
    assert removed_by(result).size == 0
    assert result.history == []
    assert result.status == "removed 0 of 14 units: the criterion suggests none"


def test_more_pulls_than_the_budget_do_not_end_auto():
    """Leave-one-out asks for every unit on every mini-batch."""
    params, phase = pruner(criterion=LeaveOneOut(), budget=2.0, tolerance=np.inf)
    result = phase.run(params, "auto")
    assert len(result.history) > 1


# --- what others' criteria and functions may do ---------------------------------------------------------------------


@pytree_dataclass
class Given(Criterion):
    value: float = 0.0

    def step(self, key, state, problem, active):
        value = jnp.full(problem.n_units, self.value)
        return state, Scores(value, jnp.zeros((), jnp.int32), value)


@pytest.mark.parametrize("value", [1.0, np.nan, -np.inf])
def test_a_criterion_that_knows_no_unit_from_another_is_told_so(value):
    params, phase = pruner(criterion=Given(value), n_rounds=2)
    with pytest.warns(UserWarning, match=rf"Given\(value={value}\) does not tell one unit from another") as warned:
        result = phase.run(params, 0.5)
    assert len(warned) == 1
    assert [kept.size for kept in result.kept] == [4, 3]


def test_units_that_are_all_proved_to_be_useless_are_no_reason_to_warn():
    @pytree_dataclass
    class Proved(Given):
        @property
        def suggests(self):
            return True

        def step(self, key, state, problem, active):
            state, scores = super().step(key, state, problem, active)
            return state, scores._replace(suggested=active)

    params, phase = pruner(criterion=Proved())
    assert [kept.size for kept in phase.run(params, "auto").kept] == [1, 1]


def test_equal_damages_are_no_reason_to_warn():
    params, phase = pruner(n_rounds=1)
    params = (*params[:-1], (0 * params[-1][0], params[-1][1]))  # a constant
    assert [kept.size for kept in phase.run(params, 0.5).kept] == [4, 3]


def test_what_a_repair_has_spoiled_may_be_tuned_again():
    def repair(params, active, removed, emissions):
        return jax.tree.map(lambda a: np.full_like(a, np.nan), params)

    params, phase = pruner(repair=repair, fine_tune=lambda *_: trained()[0], n_rounds=1)
    result = phase.run(params, 0.3)
    assert np.isnan(result.history[0].loss_repaired)
    assert result.history[0].fine_tuned
    assert np.isfinite(result.loss)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"network": print}, r"'network' parameter of prune must have 'groups' and 'batch_loss'"),
        ({"batch_size": "auto"}, r"'batch_size' parameter of prune must be an int .* Got 'auto'"),
        ({"repair": 3}, r"'repair' parameter of prune must be None or callable. Got 3"),
        ({"held_out": np.ones((5, 3))}, r"'held_out' parameter of prune must be a tuple \(X, y\)"),
        ({"held_out": (np.ones((5, 3)),)}, r"'held_out' parameter of prune must be a tuple \(X, y\)"),
    ],
)
def test_prune_names_what_it_cannot_take(wrong, message):
    params, X, y = trained()
    with pytest.raises(ValueError, match=message):
        prune(**{"network": NETWORK, "params": params, "X": X, "y": y} | wrong)
