import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest
from planted import NETWORK, USELESS, Phase, assert_equal, batches, output, pruner, removed_by, trained

from skbandit._core import programs
from skbandit._core.pytree import pytree_dataclass
from skbandit._tabular.network.inference import hidden_activations
from skbandit._tabular.network.losses import LOSSES
from skbandit._tabular.pruning.compensation import fold_emissions
from skbandit.criteria import Bandit, Criterion, LeaveOneOut, Magnitude, Scores
from skbandit.policies import EXP3, UCB1
from skbandit.pruning import Outcome, prune
from skbandit.pruning.scoring import arms_per_step, canonical

# --- one phase --------------------------------------------------------------------------------------------------------


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
    assert result.outcome is Outcome.REACHED


@pytest.mark.parametrize("ratio", [0.0, 1 / 15])
def test_nothing_to_remove_leaves_the_network_as_it_was(ratio):
    params, engine = pruner(fine_tune=lambda *_, last: pytest.fail("nothing to tune"))
    result = engine.run(params, ratio)
    assert_equal(result.params, params)
    assert result.history == []
    assert result.n_pulls == 0
    assert [len(kept) for kept in result.kept] == [8, 6]


@pytest.mark.parametrize("scope", ["auto", "global", "layer"])
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.9, 1.0])
def test_the_ratio_is_met_down_to_one_unit_a_layer(ratio, scope):
    params, engine = pruner(scope=scope, n_rounds=3)
    result = engine.run(params, ratio)
    assert removed_by(result).size == min(int(ratio * 14), 12)
    assert all(kept.size >= 1 for kept in result.kept)


@pytest.mark.parametrize("ratio", [0.3, "auto"])
def test_of_the_sets_of_both_scopes_the_one_of_lower_loss_leaves(ratio):
    better = {"global": 0, "layer": 0}
    for seed in range(20):
        params, X, y = trained(False, seed)
        y = y + np.random.default_rng(seed).normal(size=y.shape).astype("float32")
        losses = {}
        for scope in ("auto", "global", "layer"):
            phase = Phase(NETWORK, batches(X, y, np.ones(50)), LeaveOneOut(), scope=scope, n_rounds=1, tolerance=1.0)
            first = phase.run(params, ratio).history[0]
            losses[scope] = first.loss_after, first.n_removed, first.sizes
        if losses["global"] != losses["layer"] and len({n for _, n, _ in losses.values()}) == 1:
            best = min(("global", "layer"), key=lambda scope: losses[scope][0])
            assert losses["auto"] == losses[best]
            better[best] += 1
    assert min(better.values()) > 1


def test_the_choice_of_a_set_follows_the_loss_after_the_repair():
    """A repair that ruins what is left of the better set: the other one leaves, and ``now`` stays as it was."""
    by_scope = {}
    for scope in ("global", "layer"):
        params, phase = pruner(False, n_rounds=1, scope=scope)
        by_scope[scope] = phase.run(params, 0.5).history[0]
    assert by_scope["global"].sizes != by_scope["layer"].sizes
    better, other = sorted(by_scope, key=lambda scope: by_scope[scope].loss_repaired)

    def repair(params, active, removed, emissions):
        left = tuple(int(part.sum()) for part in NETWORK.groups.split(active & ~removed))
        return [(10 * W, b) for W, b in params] if left == by_scope[better].sizes else params

    params, phase = pruner(False, n_rounds=1, scope="auto", repair=repair)
    result = phase.run(params, 0.5)
    assert result.history[0].scope == other
    assert result.history[0]._replace(seconds=0) == by_scope[other]._replace(seconds=0)


def test_a_set_that_leaves_no_finite_loss_is_not_chosen():
    """The layers lose the same share where the ranking of all together gives NaN."""
    params, phase = pruner(False, n_rounds=1)
    together = phase.run(params, 0.5).history[0].sizes
    assert together != (4, 3)

    def guard(params, gates):
        return np.nan if tuple(int(gate.sum()) for gate in gates) == together else 1.0

    params, phase = pruner(False, n_rounds=1, scope="auto", guard=guard)
    assert phase.run(params, 0.5).history[0].sizes == (4, 3)


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
    expected = LOSSES["squared_error"].mean(output(result.params, X), y, np.ones(50))
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
    alone = Phase(NETWORK, batches(X[:25], y[:25], np.ones(25)), LeaveOneOut(), n_rounds=1)
    assert_equal(with_idle.kept, alone.run(params, 0.5).kept)


# --- repair, fine-tuning, guard ---------------------------------------------------------------------------------------


def test_fine_tuning_must_win_on_the_guard_rows():
    def worse(params, gates, r, *, last):
        return jax.tree.map(lambda a: a + 1, params)

    params, engine = pruner(False, fine_tune=worse, n_rounds=1)
    kept_repaired = engine.run(params, 0.5)
    assert not kept_repaired.history[0].fine_tuned
    params, engine = pruner(False, n_rounds=1)
    assert_equal(kept_repaired.params, engine.run(params, 0.5).params)

    # A constant loss but for the tuned network, which the guard takes for better.
    tuned = []

    def better(params, gates, r, *, last):
        tuned.append(jax.tree.map(lambda a: 0.5 * a, params))
        return tuned[-1]

    params, engine = pruner(False, fine_tune=better, guard=lambda p, g: float(len(tuned) == 0), n_rounds=1)
    result = engine.run(params, 0.5)
    assert result.history[0].fine_tuned
    assert result.history[0].loss_repaired == 1.0
    assert result.history[0].loss_after == 0.0
    assert_equal(result.params, NETWORK.groups.compact(tuned[0], result.kept))


def test_a_tuned_network_that_is_not_finite_is_not_kept():
    params, engine = pruner(False, fine_tune=lambda p, *_, last: jax.tree.map(lambda a: a * np.nan, p), n_rounds=1)
    result = engine.run(params, 0.5)
    assert not result.history[0].fine_tuned
    assert np.isfinite(result.params[0][0]).all()


def test_fine_tuning_sees_gates_and_zeros():
    seen = []

    def tune(params, gates, r, *, last):
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
    expected = LOSSES["squared_error"].mean(output(result.params, X), y, np.ones(50))
    assert record.loss_repaired == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("ratio", "expected"), [(0.5, [False, False, True]), ("auto", [True] * 3)])
def test_fine_tuning_is_told_whether_the_round_may_be_the_last(ratio, expected):
    told = []

    def tune(params, gates, r, *, last):
        told.append(last)
        return params

    _, engine = pruner(False, n_rounds=3, budget=100.0, tolerance=1e9, fine_tune=tune)
    engine.run(trained(False)[0], ratio)
    assert told == expected


# --- interruption and callbacks ---------------------------------------------------------------------------------------


def after_rounds(n):
    """What the first ``n`` rounds of an undisturbed run leave."""
    params, engine = pruner(False, n_rounds=4, budget=100.0, on_round=lambda record, _: record.round == n - 1)
    return engine.run(params, 0.6)


def test_an_interrupt_in_a_round_keeps_the_rounds_before():
    def tune(params, gates, r, *, last):
        if r == 2:
            raise KeyboardInterrupt
        return params

    params, engine = pruner(False, n_rounds=4, budget=100.0, fine_tune=tune)
    result = engine.run(params, 0.6)
    assert result.outcome is Outcome.INTERRUPTED
    assert [record.round for record in result.history] == [0, 1]
    assert_equal(result.params, after_rounds(2).params)


def test_an_interrupt_in_a_callback_keeps_the_round_that_it_heard_of():
    def interrupt(record, _):
        if record.round == 1:
            raise KeyboardInterrupt

    params, engine = pruner(False, n_rounds=4, budget=100.0, on_round=interrupt)
    result = engine.run(params, 0.6)
    assert result.outcome is Outcome.INTERRUPTED
    assert [record.round for record in result.history] == [0, 1]
    assert_equal(result.params, after_rounds(2).params)


def test_an_interrupt_before_the_end_of_the_first_round_leaves_the_network_as_it_was():
    def interrupt(*_, last):
        raise KeyboardInterrupt

    params, engine = pruner(False, fine_tune=interrupt)
    result = engine.run(params, 0.5)
    assert result.outcome is Outcome.INTERRUPTED
    assert result.history == []
    assert_equal(result.params, params)


@pytest.mark.parametrize("ratio", [0.6, "auto"])
def test_a_callback_can_end_the_phase(ratio):
    params, engine = pruner(n_rounds=4, budget=100.0, tolerance=1e9, on_round=lambda record, _: record.round == 1)
    result = engine.run(params, ratio)
    assert len(result.history) == 2
    assert "stopped by a callback" in result.status
    assert result.outcome is Outcome.STOPPED


def test_a_callback_can_see_what_pruning_would_return_if_it_ended_there():
    results = []
    params, engine = pruner(False, n_rounds=4, budget=100.0, on_round=lambda _, result: results.append(result()))
    end = engine.run(params, 0.6)
    assert [len(result.history) for result in results] == [1, 2, 3, 4]
    assert_equal(results[-1].params, end.params)
    assert_equal(results[1].params, after_rounds(2).params)


# --- one program ------------------------------------------------------------------------------------------------------


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
    assert integer.rank_by == "mean"


def test_steps_have_slots_for_an_eighth_of_the_units():
    assert [arms_per_step(n) for n in (1, 7, 8, 64, 100)] == [1, 1, 1, 8, 12]


# --- what others' criteria and functions may do -----------------------------------------------------------------------


@pytree_dataclass
class Given(Criterion):
    value: float = 0.0

    def step(self, key, state, problem, active):
        value = jnp.full(problem.n_units, self.value)
        return state, Scores(value, jnp.zeros((), jnp.int32), value)


@pytest.mark.parametrize("value", [1.0, np.nan, -np.inf])
def test_a_criterion_that_knows_no_unit_from_another_is_told_so(value):
    params, phase = pruner(criterion=Given(value), n_rounds=2)
    result = phase.run(params, 0.5)
    (warning,) = result.warnings
    assert warning.startswith(f"Given(value={value}) does not tell one unit from another")
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

    params, phase = pruner(repair=repair, fine_tune=lambda *_, last: trained()[0], n_rounds=1)
    result = phase.run(params, 0.3)
    assert np.isnan(result.history[0].loss_repaired)
    assert result.history[0].fine_tuned
    assert np.isfinite(result.loss)


def test_programs_of_many_shapes_are_forgotten(monkeypatch):
    """Every shape says that it comes, so that memory maps stay bounded (`skbandit._core.programs`)."""
    monkeypatch.setattr(programs, "MOST_PROGRAMS", 4)
    monkeypatch.setattr(programs, "_programs", set())
    sizes = []
    for n_rows in (17, 33, 49, 81):  # mini-batches of 16: another number of them each time
        params, X, y = trained(False)
        rows = np.resize(X, (n_rows, 3)), np.resize(y, (n_rows, 1))
        prune(NETWORK, params, *rows, policy="leave_one_out", n_rounds=1, batch_size=16 + n_rows)
        sizes.append(len(programs._programs))
    assert max(sizes) <= 4
    assert sizes[:2] == [2, 4]  # a program that scores, and one for the loss
    assert sizes[2] == 2  # all others are forgotten
