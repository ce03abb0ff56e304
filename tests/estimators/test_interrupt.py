"""Ctrl-C: what was learned so far is kept."""

import numpy as np
import pytest

from skbandit._core.programs import quick_compile_is_known
from skbandit._tabular.training import epochs, lbfgs
from skbandit.pruning import scoring

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

#: Ninety-six epochs in three calls.
LONG = {"max_iter": 96, "tol": 0.0, "n_iter_no_change": 1000}


@pytest.fixture
def interrupt(monkeypatch):
    """Press Ctrl-C in call ``n`` (from 1) of a function of a module."""

    def at(module, name, n):
        calls = []
        original = getattr(module, name)

        def interrupted(*args, **kwargs):
            calls.append(1)
            if len(calls) == n:
                raise KeyboardInterrupt
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, interrupted)

    return at


@pytest.mark.parametrize("kind", ["regression", "multi-class"])
def test_training_keeps_the_epochs_that_are_done(kind, interrupt, make_data, make_estimator):
    data = make_data(kind)
    expected = make_estimator(kind, pruning_ratio=0, **{**LONG, "max_iter": 64}).fit(data.X, data.y)
    interrupt(epochs, "run_chunk", 3)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model = make_estimator(kind, **LONG).fit(data.X, data.y)
    assert model.n_iter_ == len(model.loss_curve_) == 64
    assert model.training_status_ == "interrupted"
    np.testing.assert_array_equal(model.predict(data.X), expected.predict(data.X))
    # The user wants to go on: nothing is pruned.
    assert model.hidden_layer_sizes_ == (8,)
    assert model.prune(data.X, data.y, pruning_ratio=0.5).hidden_layer_sizes_ == (4,)


def test_an_interrupt_before_the_first_epoch_leaves_the_initial_network(interrupt, make_data, regressor):
    data = make_data("regression")
    interrupt(epochs, "run_chunk", 1)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model = regressor(**LONG).fit(data.X, data.y)
    assert model.n_iter_ == 0
    assert np.isfinite(model.predict(data.X)).all()


def test_early_stopping_keeps_the_best_weights_so_far(interrupt, make_data, regressor):
    data = make_data("regression")
    interrupt(epochs, "run_chunk", 3)
    model = regressor(early_stopping=True, **LONG)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)
    assert len(model.validation_scores_) == 64
    assert model.score(data.X_val, data.y_val) == pytest.approx(max(model.validation_scores_), abs=1e-5)


def test_lbfgs_keeps_its_last_iterate(interrupt, make_data, regressor):
    data = make_data("regression")
    params = {"solver": "lbfgs", "pruning_ratio": 0, "max_iter": 100}
    interrupt(lbfgs, "full_loss", 20)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model = regressor(**params).fit(data.X, data.y)
    assert 5 < model.n_iter_ < 20
    residual = (model.predict(data.X) - data.y) / data.y.std()
    # The loss of the last iterate, but for its tiny penalty.
    assert 0.5 * np.mean(residual**2) == pytest.approx(model.loss_, rel=1e-2)
    assert model.score(data.X, data.y) > 0.5


@pytest.mark.parametrize("at", [3, 4])
def test_pruning_keeps_the_rounds_that_are_done(at, interrupt, make_data, regressor):
    data = make_data("regression")
    whole = regressor(n_rounds=4, pruning_ratio=0.75).fit(data.X, data.y)
    interrupt(epochs, "run_chunk", at)  # the first call trains, each later one fine-tunes a round
    with pytest.warns(UserWarning, match=f"Pruning interrupted by user after {at - 2} rounds"):
        model = regressor(n_rounds=4, pruning_ratio=0.75).fit(data.X, data.y)
    assert len(model.pruning_history_) == at - 2
    assert model.hidden_layer_sizes_ == model.pruning_history_[-1]["sizes"] == whole.pruning_history_[at - 3]["sizes"]
    assert model.pruning_status_ == "interrupted by the user"
    assert model.coefs_[0].shape == (4, *model.hidden_layer_sizes_)
    residual = (model.predict(data.X) - data.y) / data.y.std()
    assert model.pruning_history_[-1]["loss_after"] == pytest.approx(0.5 * np.mean(residual**2), rel=1e-4)


def test_an_interrupted_bandit_drops_its_round(interrupt, make_data, regressor):
    data = make_data("regression")
    interrupt(scoring, "_score_quick" if quick_compile_is_known() else "_score_thorough", 1)
    with pytest.warns(UserWarning, match="Pruning interrupted by user after 0 rounds"):
        model = regressor().fit(data.X, data.y)
    assert model.hidden_layer_sizes_ == (8,)
    assert model.pruning_history_ == []


def test_prune_keeps_the_rounds_that_are_done(interrupt, make_data, regressor):
    data = make_data("regression")
    dense = regressor(pruning_ratio=0).fit(data.X, data.y)
    interrupt(epochs, "run_chunk", 2)
    with pytest.warns(UserWarning, match="Pruning interrupted by user after 1 rounds"):
        model = dense.prune(data.X, data.y, pruning_ratio=0.5)
    assert model.hidden_layer_sizes_ == (6,)


def test_partial_fit_keeps_the_network_of_the_calls_before(interrupt, make_data, regressor):
    data = make_data("regression")
    model = regressor().partial_fit(data.X, data.y)
    before = model.predict(data.X)
    interrupt(epochs, "run_chunk", 1)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.partial_fit(data.X, data.y)
    np.testing.assert_allclose(model.predict(data.X), before, rtol=1e-5)
