import jax
import numpy as np
import pytest

from skbandit._core.rows import Batches
from skbandit._tabular.network.inference import raw_output
from skbandit._tabular.network.mlp import MLP
from skbandit.criteria import Problem, StableUnits


def case(activation="relu", dtype="float32", n_linear=6, n_dead=2):
    """A first layer of ten units on three features: linear ones, dead ones, and two of neither kind."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(50, 3))
    W, b = rng.normal(size=(3, 10)), np.zeros(10)
    reach = np.abs(W).sum(axis=0) + 0.5
    b[:n_linear], b[n_linear : n_linear + n_dead] = reach[:n_linear], -reach[n_linear : n_linear + n_dead]
    V, c = rng.normal(size=(10, 4)), rng.normal(size=4) * 0.1
    U, d = rng.normal(size=(4, 2)), np.zeros(2)
    params = tuple(tuple(a.astype(dtype) for a in layer) for layer in ((W, b), (V, c), (U, d)))
    network = MLP((3, 10, 4, 2), activation, "squared_error")
    split = network.groups.split
    problem = Problem(
        params=params,
        gates=split(np.ones(14, dtype)),
        emissions=split(np.zeros(14, dtype)),
        batches=Batches.partition(rng, X, np.zeros((50, 2)), np.ones(50), dtype, 16),
        budget=np.int32(0),
        n_remove=np.int32(1),
        room=np.array([9, 3], np.int32),
        network=network,
        arms_per_step=1,
    )
    return problem, X


def run(problem, criterion=None):
    active = np.concatenate(problem.gates) > 0
    step = jax.jit(lambda c, p: c.step(jax.random.key(0), (), p, active)[1])
    return jax.tree.map(np.asarray, step(criterion or StableUnits(), problem))


def predict(params, X, kept=None):
    params = params if kept is None else MLP((3, 10, 4, 2), "relu", "squared_error").groups.compact(params, kept)
    return raw_output(X, *zip(*params, strict=True), "relu")


def test_dead_units_and_affine_copies_are_suggested():
    problem, _ = case()
    suggested = run(problem).suggested
    assert suggested[6:8].all()  # dead
    assert suggested[:6].sum() == 3  # six linear units in three directions: three are enough
    assert not suggested[8:10].any()
    assert set(np.argsort(-run(problem).value)[: suggested.sum()]) == set(np.flatnonzero(suggested))  # and leave first


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_they_leave_at_no_loss(dtype):
    with jax.enable_x64(dtype == "float64"):
        problem, X = case(dtype=dtype)
        scores = run(problem)
    kept = [np.flatnonzero(~part) for part in problem.network.groups.split(scores.suggested)]
    before, after = predict(problem.params, X), predict(scores.params, X, kept)
    np.testing.assert_allclose(after, before, atol={"float32": 2e-4, "float64": 1e-10}[dtype])
    np.testing.assert_allclose(predict(scores.params, X), before, atol={"float32": 2e-4, "float64": 1e-10}[dtype])


def test_a_unit_that_always_gives_the_same_hands_it_over():
    problem, X = case("logistic", n_linear=0, n_dead=0)
    (W, b), *rest = problem.params
    W, b = W.copy(), b.copy()
    W[:, 3], b[3] = 0, 40  # saturated: 1
    problem = Problem(**{**vars(problem), "params": ((W, b), *rest)})
    scores = run(problem)
    assert scores.suggested.tolist() == [unit == 3 for unit in range(14)]
    before = raw_output(X, *zip(*problem.params, strict=True), "logistic")
    kept = [np.flatnonzero(~part) for part in problem.network.groups.split(scores.suggested)]
    after = raw_output(X, *zip(*problem.network.groups.compact(scores.params, kept), strict=True), "logistic")
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_scales_of_features_do_not_hide_a_direction():
    """The second unit differs by a feature of large values and small weight: it is no copy."""
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 1, size=(50, 3)) * [1, 1e5, 1]
    W, b = np.zeros((3, 10)), np.full(10, -1e3)
    W[0, :2], W[1, 1], b[:2] = 1, 5e-5, 1
    problem, _ = case()
    params = ((W.astype("float32"), b.astype("float32")), *problem.params[1:])
    batches = Batches.partition(rng, X, np.zeros((50, 2)), np.ones(50), "float32", 16)
    suggested = run(Problem(**{**vars(problem), "params": params, "batches": batches})).suggested
    assert suggested[:10].tolist() == [False] * 2 + [True] * 8


def test_units_that_have_left_are_not_suggested():
    problem, _ = case()
    gates = [np.ones(10, "float32"), np.ones(4, "float32")]
    gates[0][[0, 6]] = 0
    params = problem.network.groups.zero(problem.params, [np.array([0, 6]), np.array([], int)])
    suggested = run(Problem(**{**vars(problem), "gates": tuple(gates), "params": params})).suggested
    assert not suggested[[0, 6]].any()
    assert suggested[:6].sum() == 2


def test_a_wider_box_proves_less():
    problem, _ = case()
    assert run(problem, StableUnits(margin=5.0)).suggested.sum() < run(problem).suggested.sum()


@pytest.mark.parametrize("activation", ["tanh", "logistic", "silu", "gelu", "mish", "selu"])
def test_other_activations_have_no_such_units_but_a_ranking(activation):
    problem, _ = case(activation, n_linear=0, n_dead=0)
    scores = run(problem)
    assert not scores.suggested.any()
    assert np.isfinite(scores.value).all()
    assert (scores.value < 0).all()
