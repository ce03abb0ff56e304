import jax.numpy as jnp
import numpy as np
import pytest
from planted import NETWORK, USELESS, Phase, batches, output, pruner, removed_by, trained

from skbandit._core.pytree import pytree_dataclass, static
from skbandit._tabular.network.losses import LOSSES
from skbandit.criteria import Bandit, Criterion, LeaveOneOut, Scores, StableUnits
from skbandit.pruning import Outcome


@pytest.mark.parametrize("tolerance", [0.0, 0.1, 1.0])
def test_auto_stays_within_the_tolerance(tolerance):
    params, X, y = trained(False)
    y = y + np.random.default_rng(1).normal(size=y.shape).astype("float32")  # a loss to be relative to
    engine = Phase(NETWORK, batches(X, y, np.ones(50)), LeaveOneOut(), tolerance=tolerance)
    result = engine.run(params, "auto")
    before, after = (LOSSES["squared_error"].mean(output(p, X), y, np.ones(50)) for p in (params, result.params))
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
    assert result.outcome is Outcome.TOLERANCE


def test_auto_with_all_the_tolerance_there_is_keeps_a_unit_a_layer():
    params, engine = pruner(n_rounds=50, budget=1000.0, tolerance=1e9)
    engine.task.guard = lambda params, gates: 1.0
    result = engine.run(params, "auto")
    assert [len(kept) for kept in result.kept] == [1, 1]
    assert "one is left in each layer" in result.status
    assert result.outcome is Outcome.SMALLEST


def test_auto_ends_when_its_pulls_are_spent():
    # 21 pulls: one for each of 14 units, then one for each of the 7 that are left; none for the last 4.
    params, engine = pruner(criterion=Bandit(), budget=1.5, tolerance=1e9, guard=lambda params, gates: 1.0)
    result = engine.run(params, "auto")
    assert [record.n_pulls for record in result.history] == [14, 7]
    assert [sum(record.sizes) for record in result.history] == [7, 4]
    assert "the budget is used up" in result.status
    assert result.outcome is Outcome.BUDGET


@pytest.mark.parametrize(("tolerance", "left"), [(0.01, 12), (0.3, 7)])
def test_auto_keeps_the_score_where_the_loss_falls(tolerance, left):
    # A network that is too sure of itself: the fewer its units, the smaller its loss, and the more often it errs.
    def units(gates):
        return sum(g.sum() for g in gates)

    params, engine = pruner(guard=lambda params, gates: float(units(gates)), budget=100.0, tolerance=tolerance)
    engine.task.score = lambda params, gates: 1.0 if units(gates) >= 12 else 0.8 if units(gates) >= 7 else 0.0
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


# --- criteria with a set of their own ---------------------------------------------------------------------------------


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
    assert result.outcome is Outcome.SUGGESTED


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
