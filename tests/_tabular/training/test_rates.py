"""Learning rates over time, by hand, and the factor of each array."""

import jax
import numpy as np
import optax
import pytest

from skbandit._tabular.training.rates import SCHEDULES, cosine, coslog4, flat_cosine, leaf_rates

#: Four inputs, nine hidden units with slopes, one output; every kind of parameter that inputs have.
INPUTS = {
    "frequency": np.ones((1, 16)),
    "phase": np.ones((1, 16)),
    "edges": np.ones((1, 17)),
    "weight": np.ones((1, 16, 3)),
    "bias": np.ones((1, 3)),
    "tables": (np.ones((5, 8)), np.ones((7, 8))),
    "scale": np.ones(4),
}
LAYERS = ((np.ones((4, 9)), np.ones(9), np.ones(9)), (np.ones((9, 1)), np.ones(1)))


def test_coslog4_at_worked_points():
    # ½ (1 - cos(2π log2(1 + 15 t))): 0 where 1 + 15 t is 1, 2, 4, 8, 16; 1 halfway on the logarithmic axis; ½ between.
    zeros = (np.array([1, 2, 4, 8, 16]) - 1) / 15
    peaks = (2 ** np.array([0.5, 1.5, 2.5, 3.5]) - 1) / 15
    np.testing.assert_allclose(coslog4(zeros), 0, atol=1e-14)
    np.testing.assert_allclose(coslog4(peaks), 1, rtol=1e-14)
    assert coslog4(np.array((2**0.25 - 1) / 15)) == pytest.approx(0.5, rel=1e-12)
    # log2(4.75) = 2.2479, so at a quarter of the way ½ (1 - cos(2π 0.2479)) = 0.4935.
    assert coslog4(np.array(0.25)) == pytest.approx(0.4935, abs=1e-4)


def test_flat_cosine_and_cosine_at_worked_points():
    t = np.array([0, 0.25, 0.5, 2 / 3, 0.75, 1])
    # 2t - 1 is a third at t = 2/3: ½ (1 + cos 60°) = ¾.
    np.testing.assert_allclose(flat_cosine(t), [1, 1, 1, 0.75, 0.5, 0], atol=1e-15)
    np.testing.assert_allclose(cosine(t), [1, 0.5 + 0.5**1.5, 0.5, 0.25, 0.5 - 0.5**1.5, 0], atol=1e-15)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_ends_at_0_and_stays_there(name):
    np.testing.assert_allclose(SCHEDULES[name](np.array([1.0, 1.5, 30.0])), 0, atol=1e-15)
    values = SCHEDULES[name](np.linspace(0, 1, 500))
    assert ((values >= 0) & (values <= 1)).all()
    assert values.max() > 0.999


@pytest.mark.parametrize("solver", ["adam", "sgd", optax.adam(1e-2)], ids=["adam", "sgd", "optax"])
def test_the_standard_parametrisation_has_one_rate_for_all_that_is_learned(solver):
    rates = leaf_rates((INPUTS, LAYERS), "standard", solver)
    assert jax.tree.structure(rates.rate) == jax.tree.structure((INPUTS, LAYERS))
    learned = {name: value for name, value in rates.rate[0].items() if name != "edges"}
    assert set(map(float, jax.tree.leaves((learned, rates.rate[1])))) == {1.0}
    assert rates.rate[0]["edges"] == 0


@pytest.mark.parametrize(
    ("solver", "power"), [("adam", 0.5), ("adamw", 0.5), ("lion", 0.5), ("sgd", 1), ("sgd_nesterov", 1)]
)
def test_factors_of_the_ntk_parametrisation(solver, power):
    inputs, layers = leaf_rates((INPUTS, LAYERS), "ntk", solver).rate
    # 1/sqrt(inputs of the layer), or 1/inputs where a step is in proportion to the gradient.
    assert layers[0] == (pytest.approx(4**-power), 0.1, 0.1)
    assert layers[1] == (pytest.approx(9**-power), 0.1)
    expected = {"frequency": 0.1, "phase": 0.1, "weight": 0.1, "bias": 0.1, "edges": 0, "tables": (1, 1), "scale": 6}
    assert inputs == expected


def test_biases_and_slopes_do_not_decay_and_inputs_do_by_the_square_of_their_factor():
    inputs, layers = leaf_rates((INPUTS, LAYERS), "ntk", "adamw").decay
    assert layers == ((1, 0, 0), (1, 0))
    assert (inputs["scale"], inputs["tables"], inputs["edges"]) == (36, (1, 1), 0)
    assert inputs["frequency"] == pytest.approx(0.01)


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_frozen_inputs_neither_learn_nor_decay(parametrization):
    rates = leaf_rates((INPUTS, LAYERS), parametrization, "adamw", frozen_inputs=True)
    assert set(map(float, jax.tree.leaves((rates.rate[0], rates.decay[0])))) == {0.0}
    assert rates.rate[1] == leaf_rates((INPUTS, LAYERS), parametrization, "adamw").rate[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_factors_have_the_dtype_of_the_network(dtype):
    layers = jax.tree.map(lambda a: a.astype(dtype), LAYERS)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(leaf_rates(({}, layers), "ntk", "adam"))} == {dtype}
