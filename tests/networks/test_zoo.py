"""The networks of the zoo: their groups are those that were worked out by hand, and what they taught stays learnt."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from zoo import PLAIN, generic, inputs, tokens
from zoo_equinox import EQUINOX
from zoo_flax import FLAX
from zoo_haiku import HAIKU

from skbandit.networks import infer_groups, inference

MAKERS = {"jax": PLAIN, "flax": FLAX, "equinox": EQUINOX, "haiku": HAIKU}
NETWORKS = [pytest.param(name, make, id=make.__name__) for name, makers in MAKERS.items() for make in makers]


@pytest.mark.parametrize(("framework", "make"), NETWORKS)
def test_the_outputs_of_the_zoo_are_finite_and_depend_on_the_inputs(framework, make):
    pytest.importorskip(framework)
    network = make()
    state = () if network.state is None else (network.state,)
    outputs = jax.jit(network.apply)(network.params, *state, *network.example)
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(outputs)]
    assert all(np.isfinite(leaf).all() for leaf in leaves)
    rows = leaves[0].reshape(len(leaves[0]), -1)
    assert np.abs(rows - rows[0])[1:].max(1).min() > 1e-3 * np.abs(rows).max()


@pytest.mark.parametrize(("framework", "make"), NETWORKS)
def test_the_groups_of_the_zoo_are_those_worked_out_by_hand(framework, make):
    pytest.importorskip(framework)
    network = make()
    groups = infer_groups(network.apply, network.params, *network.example, state=network.state)
    assert tuple(sorted(groups.sizes)) == network.expected
    assert max(groups.verified) < 1e-5
    assert groups.verified.noise == 0


def test_rows_of_a_table_may_be_taken_one_at_a_time():
    # A scalar index is a gather of a window over all columns, which starts at a column that is given: 0.
    params = {"table": inputs(9, 6), "W": inputs(6, 3)}

    def apply(params, ids):
        return jax.vmap(jax.vmap(lambda i: params["table"][i]))(ids) @ params["W"]

    assert infer_groups(apply, params, tokens(9, 2, 4)).sizes == (6,)


def test_rows_may_be_written_into_a_table_one_at_a_time():
    params = {"A": inputs(5, 6), "W": inputs(6, 3)}

    def apply(params, x):
        def write(table, row):
            return jax.vmap(lambda table, i, x: table.at[i].set(x), (0, None, 0))(table, *row), None

        steps = jnp.arange(x.shape[1])
        rows = jnp.swapaxes(x @ params["A"], 0, 1)
        table = jnp.zeros((x.shape[0], x.shape[1], params["A"].shape[1]))
        return jax.lax.scan(write, table, (steps, rows))[0] @ params["W"]

    assert infer_groups(apply, params, inputs(2, 4, 5)).sizes == (6,)


@pytest.mark.parametrize("shape", [(6,), (1, 1, 1, 6)])
def test_groups_are_verified_at_numbers_whatever_the_shape_of_a_variance(shape, monkeypatch):
    # Where all outputs are NaN, nothing would differ, and everything would pass.
    compared = []
    compare = inference.relative_difference
    monkeypatch.setattr(inference, "relative_difference", lambda a, b: compared.extend([*a, *b]) or compare(a, b))
    shapes = {"A": (5, 6), "variance": shape, "W": (6, 3)}
    shapes = {name: jax.ShapeDtypeStruct(sizes, jnp.float32) for name, sizes in shapes.items()}

    def apply(params, x):
        return (x @ params["A"]) / jnp.sqrt(params["variance"]).reshape(-1) @ params["W"]

    for params in (shapes, generic(shapes)):
        infer_groups(apply, params, inputs(4, 5))
    assert len(compared) == 12
    assert all(np.isfinite(array).all() for array in compared)


def test_parameters_are_not_moved_by_the_numbers_that_they_are_made_of():
    drawn = np.random.default_rng(0).standard_normal((64, 64), np.float32)
    (moved,) = inference.random_values((jnp.asarray(drawn),), ())[0]
    assert np.abs(moved - drawn).max() > 0.1
    # By their own numbers, they would have a mean of 0.2, and its standard error is 1 / 64.
    assert abs(float(moved.mean() - drawn.mean())) < 0.05
