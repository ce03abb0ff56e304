"""The compact network in fine-tuning: the same as the gated one, and which widths it has."""

import dataclasses

import numpy as np
import pytest
from sklearn.datasets import make_regression

from skbandit import BanditPrunedMLPRegressor
from skbandit._core.scope import jax_scope
from skbandit._tabular.features.embeddings import Inputs
from skbandit._tabular.network.initialization import init_params
from skbandit._tabular.network.mlp import MLP
from skbandit._tabular.network.trainable import Trainable
from skbandit._tabular.pruning.task import as_read_by_layers
from skbandit._tabular.training import compact
from skbandit._tabular.training.compact import Compact, Programs, padded
from skbandit._tabular.training.fine_tune import fine_tune
from skbandit._tabular.training.solvers import SOLVERS, Hyper
from skbandit._tabular.types import Network, Rows

#: Three of eight and two of five units are left, at widths of four and of four.
GATES = (np.array([1.0, 0, 0, 1, 0, 0, 1, 0]), np.array([0.0, 1, 0, 0, 1]))
COMPACT = Compact((np.array([0, 3, 6]), np.array([1, 4])), (4, 4))


def network_of(loss="squared_error", n_outputs=2, parametric=True, dtype="float64", **inputs):
    """Return rows, what is static about a network with two hidden layers, and its start; what is gone is 0."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(40, 2)), rng.integers(3, size=40)])
    y = {
        "squared_error": rng.normal(size=(40, n_outputs)),
        "poisson": rng.poisson(2.0, size=(40, n_outputs)).astype(float),
        "log_loss": rng.integers(n_outputs, size=(40, 1)).astype(float),
        "binary_log_loss": rng.integers(2, size=(40, n_outputs)).astype(float),
    }[loss]
    read = Inputs(**({"n_dense": 3} | inputs))
    mlp = MLP((read.n_features, 8, 5, n_outputs), "mish", loss, parametric)
    params = read.init(np.random.RandomState(1), dtype, X)
    if "scale" in params:
        params["scale"] = rng.normal(size=read.n_features).astype(dtype)
    layers = init_params(mlp.layer_sizes, "mish", np.random.RandomState(1), dtype)
    if parametric:
        layers = (*((W, b, rng.normal(size=b.size).astype(dtype)) for W, b in layers[:-1]), layers[-1])
    network = Network(params, layers).folded()
    gone = [np.flatnonzero(gate == 0) for gate in GATES]
    network = network._replace(layers=mlp.groups.zero(network.layers, gone))
    return Rows(X, y, rng.exponential(size=40)), Trainable(mlp, read), network


TABULAR = {"n_dense": 2, "n_embedded": 1, "cardinalities": (3,), "scaled": True, "embedding": "periodic"}


@pytest.fixture
def tune(base_settings, make_listener):
    """Fine-tune a network as it is, and its compact one; returns the layers that each leaves, and its losses."""

    def run(made, n_epochs=1, held_out=False, features=True, dtype="float64", stop_at=None, **changes):
        on, static, network = made
        settings = dataclasses.replace(base_settings, network=static, dtype=dtype, **changes)
        validation = on.take(np.arange(0, 40, 4)) if held_out else None

        def one(rows, validation, cut, embedded):
            listener, losses = make_listener(every_epoch=stop_at is not None), []
            listener.fine_tune_epoch = lambda loss, layers: (losses.append((loss, layers())), len(losses) == stop_at)[1]
            with jax_scope(dtype):
                data = [None if part is None else part.pad(dtype) for part in (rows, validation)]
                gates, rng = tuple(gate.astype(dtype) for gate in GATES), np.random.default_rng(3)
                tuned = fine_tune(network, gates, *data, 40, settings, n_epochs, rng, listener, cut, embedded)
            return tuned, losses

        read = [None if part is None else as_read_by_layers(network, part, settings) for part in (on, validation)]
        sources = read if features else (on, validation)
        return one(on, validation, None, False), one(*sources, COMPACT, features)

    return run


@pytest.mark.parametrize("solver", SOLVERS)
def test_it_learns_what_the_gated_network_does(solver, tune, assert_close):
    # Three steps; float64 rounds at 1e-16, and steps are divided by roots of second moments.
    gated, small = tune(network_of(**TABULAR), solver=solver, hyper=Hyper(alpha=0.1), learning_rate_init=1e-2)
    assert_close(small, gated, 1e-11)


@pytest.mark.parametrize(
    ("loss", "n_outputs"), [("squared_error", 1), ("poisson", 2), ("log_loss", 3), ("binary_log_loss", 3)]
)
def test_of_every_loss_with_held_out_rows(loss, n_outputs, tune, assert_close):
    hyper = Hyper(alpha=0.1, label_smoothing=0.1 if "log" in loss else 0.0, monitor_loss=1.0)
    made = network_of(loss, n_outputs, parametric=False)
    # A rate at which the last epoch is not the best.
    gated, small = tune(made, n_epochs=6, held_out=True, hyper=hyper, learning_rate_init=0.3)
    assert_close(small, gated, 1e-9)


@pytest.mark.parametrize("embedding", ["periodic", "piecewise_linear"])
@pytest.mark.parametrize("features", [True, False])
def test_of_features_or_of_columns(embedding, features, tune, assert_close):
    made = network_of(**(TABULAR | {"embedding": embedding}))
    gated, small = tune(made, features=features, n_epochs=3, parametrization="ntk", held_out=True)
    assert_close(small, gated, 1e-11)


def test_dropout_is_in_neither(tune, assert_close):
    on, static, network = network_of()
    made = on, dataclasses.replace(static, dropout=True), network
    gated, small = tune(made, hyper=Hyper(dropout=0.5), n_epochs=2)
    assert_close(small, gated, 1e-12)


def test_in_float32_within_rounding(tune, assert_close):
    made = network_of(dtype="float32", **TABULAR)
    gated, small = tune(made, dtype="float32")
    # Weights of order 1 and Adam's three steps of 1e-2 at most; some ten roundings of 1e-7.
    assert_close(small, gated, 1e-5)


def test_a_reporter_sees_whole_layers_and_may_end_it(tune, assert_equal):
    (_, gated), (tuned, small) = tune(network_of(), n_epochs=5, stop_at=2)
    assert len(small) == len(gated) == 2
    assert_equal(small[-1][1], tuned)
    assert [a.shape for layer in small[0][1] for a in layer] == [a.shape for layer in gated[0][1] for a in layer]


def test_units_that_are_off_stay_as_they_are(assert_equal):
    _, static, network = network_of()
    layers = tuple(tuple(np.array(a) + 1 for a in layer) for layer in network.layers)
    small = COMPACT.cut(layers)
    assert [a.shape for layer in small for a in layer] == [(3, 4), (4,), (4,), (4, 4), (4,), (4,), (4, 2), (2,)]
    assert small[0][0][:, 3:].sum() == small[1][0][3:].sum() == small[1][0][:, 2:].sum() == small[2][0][2:].sum() == 0
    assert_equal(COMPACT.put_back(small, layers), layers)
    changed = COMPACT.put_back(tuple(tuple(np.full_like(a, 7) for a in layer) for layer in small), layers)
    kept = [np.flatnonzero(gate) for gate in GATES]
    assert all((a == 7).all() for layer in static.mlp.groups.compact(changed, kept) for a in layer)
    off = [np.flatnonzero(gate == 0) for gate in GATES]
    for now, was in zip(changed[0], layers[0], strict=True):
        np.testing.assert_array_equal(now[..., off[0]], was[..., off[0]])
    np.testing.assert_array_equal(COMPACT.gates("float32")[1], [1, 1, 0, 0])


# --- which widths ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "width", "expected"), [(1, 256, 64), (64, 256, 64), (65, 256, 128), (256, 256, 256), (3, 5, 4), (5, 5, 5)]
)
def test_layers_are_padded_to_quarters(n, width, expected):
    assert padded(n, width) == expected


def test_no_layer_is_narrower_than_its_units():
    for width in range(1, 70):
        widths = {padded(n, width) for n in range(1, width + 1)}
        assert len(widths) <= 4
        assert all(n <= padded(n, width) <= width for n in range(1, width + 1))


def gates_of(*parts):
    return tuple((np.arange(width) % width < n).astype("float32") for n, width in parts)


PLAIN = Trainable(MLP((50, 256, 256, 1), "relu", "squared_error"), Inputs(50))


def test_small_tables_keep_the_program_of_training():
    programs = Programs(PLAIN, 1000)
    assert programs.compact(gates_of((64, 256), (64, 256)), 10) is None


def test_a_program_serves_rounds_until_another_saves_enough():
    programs = Programs(PLAIN, 10_000)
    assert programs.compact(gates_of((250, 256), (250, 256)), 10) is None  # nothing to save
    first = programs.compact(gates_of((190, 256), (180, 256)), 10)
    assert first.widths == (192, 192)
    # A third less of both layers saves 23 936 weights of 46 656, 7.2e9 multiply-accumulates: not enough.
    assert programs.compact(gates_of((120, 256), (120, 256)), 10).widths == (192, 192)
    assert programs.compact(gates_of((60, 256), (60, 256)), 10).widths == (64, 64)
    # What does not fit the narrower one takes the wider one.
    again = programs.compact(gates_of((130, 256), (130, 256)), 10)
    assert again.widths == (192, 192)
    assert [len(units) for units in again.kept] == [130, 130]


def test_what_training_alone_needs_is_worth_a_program():
    embedded = Trainable(MLP((200, 64, 1), "mish", "squared_error"), Inputs(50, 50, "periodic"))
    dropout = Trainable(MLP((50, 64, 1), "mish", "squared_error"), Inputs(50), dropout=True)
    whole = gates_of((64, 64))
    assert Programs(embedded, 1000).compact(whole, 10) is None
    assert Programs(embedded, 20_000).compact(whole, 10).widths == (64,)
    assert Programs(embedded, 20_000, embedded=False).compact(whole, 10) is None
    assert Programs(dropout, 20_000).compact(whole, 10) is None
    assert Programs(dropout, 10**6).compact(whole, 10).widths == (64,)
    assert Programs(dataclasses.replace(dropout, dropout=False), 10**6).compact(whole, 10) is None


def test_on_an_accelerator_the_program_of_training_serves(monkeypatch):
    monkeypatch.setattr(compact, "on_cpu", lambda: False)
    assert Programs(PLAIN, 10**6).compact(gates_of((64, 256), (64, 256)), 10) is None


# --- through the estimator ------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_prunes_as_with_the_program_of_training(monkeypatch, compilations):
    X, y = make_regression(120, 4, noise=1.0, random_state=0)

    def fitted():
        # float64: what a unit does is measured to digits that rounding does not reach.
        model = BanditPrunedMLPRegressor(
            (21, 22),
            max_iter=20,
            numeric_embedding="periodic",
            n_members=1,
            dtype="float64",
            fine_tune_iter=3,
            random_state=0,
        )
        return model.fit(X, y)

    gated = fitted()
    compilations.clear()
    monkeypatch.setattr(compact, "WORTH_A_PROGRAM", 1.0)
    small = fitted()
    assert compilations.count("jit(run_chunk)") > 0
    assert [list(units) for units in small.kept_units_] == [list(units) for units in gated.kept_units_]
    np.testing.assert_allclose(small.predict(X), gated.predict(X), rtol=1e-6)
    compilations.clear()
    np.testing.assert_array_equal(fitted().predict(X), small.predict(X))
    assert compilations.count("jit(run_chunk)") == 0
