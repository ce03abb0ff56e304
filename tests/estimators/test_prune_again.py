"""`prune` and `prune_path` on a fitted estimator."""

import joblib
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skbandit import BanditPrunedMLPRegressor
from skbandit.policies import UCB1

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def dense(make_data, regressor):
    data = make_data("regression")
    return regressor(pruning_ratio=0).fit(data.X, data.y)


def test_prune_returns_a_smaller_copy_and_leaves_the_original(dense, make_data):
    data = make_data("regression")
    before = joblib.hash(dense.__dict__)
    pruned = dense.prune(data.X, data.y, pruning_ratio=0.5, policy="thompson")
    assert joblib.hash(dense.__dict__) == before
    assert type(pruned) is BanditPrunedMLPRegressor
    assert (dense.hidden_layer_sizes_, pruned.hidden_layer_sizes_) == ((8,), (4,))
    assert (pruned.policy, pruned.pruning_ratio) == ("thompson", 0.5)
    assert pruned.score(data.X, data.y) > 0.6
    assert pruned.n_units_ == (dense.n_units_[0], sum(pruned.hidden_layer_sizes_))
    assert pruned.n_parameters_ == (dense.n_parameters_[0], sum(a.size for a in (*pruned.coefs_, *pruned.intercepts_)))


def test_prune_keeps_the_record_of_the_training(dense, make_data):
    data = make_data("regression")
    pruned = dense.prune(data.X, data.y, pruning_ratio=0.5)
    assert pruned.loss_curve_ == dense.loss_curve_
    assert pruned.n_iter_ == dense.n_iter_


@pytest.mark.parametrize("kind", ["binary", "multi-class", "multi-label", "multi-output", "counts"])
def test_every_kind_of_network_can_be_pruned(kind, make_data, make_estimator):
    data = make_data(kind)
    model = make_estimator(kind, pruning_ratio=0).fit(data.X, data.y)
    pruned = model.prune(data.X, data.y, pruning_ratio=0.5)
    assert pruned.hidden_layer_sizes_ == (4,)
    assert pruned.score(data.X, data.y) > model.score(data.X, data.y) - 0.35
    assert pruned.predict(data.X).shape == data.y.shape


def test_prune_without_repair_slices_the_network(dense, make_data):
    data = make_data("regression")
    pruned = dense.prune(
        data.X, data.y, pruning_ratio=0.5, policy="magnitude", ablation="zero", compensate=False, fine_tune_iter=0
    )
    (kept,) = pruned.kept_units_
    np.testing.assert_array_equal(pruned.coefs_[0], dense.coefs_[0][:, kept])
    # The target's scale is taken out of the last layer and put back: rounding.
    np.testing.assert_allclose(pruned.coefs_[1], dense.coefs_[1][kept], rtol=1e-6)
    np.testing.assert_allclose(pruned.intercepts_[1], dense.intercepts_[1], rtol=1e-6)


def test_the_ratio_counts_from_the_trained_network(dense, make_data):
    data = make_data("regression")
    half = dense.prune(data.X, data.y, pruning_ratio=0.5)
    same = half.prune(data.X, data.y, pruning_ratio=0.25)
    assert same.hidden_layer_sizes_ == (4,)
    np.testing.assert_allclose(same.predict(data.X), half.predict(data.X), rtol=1e-5)
    quarter = half.prune(data.X, data.y, pruning_ratio=0.75)
    assert quarter.hidden_layer_sizes_ == (2,)
    assert set(quarter.kept_units_[0]) < set(half.kept_units_[0])
    assert quarter.n_parameters_[0] == dense.n_parameters_[0]


def test_prune_gives_what_fit_gives(dense, make_data, regressor):
    data = make_data("regression")
    fitted = regressor().fit(data.X, data.y)
    pruned = dense.prune(data.X, data.y, pruning_ratio=0.5)
    np.testing.assert_array_equal(pruned.kept_units_[0], fitted.kept_units_[0])
    # The scale of the target left the last layer and came back: rounding of float32.
    np.testing.assert_allclose(pruned.predict(data.X), fitted.predict(data.X), rtol=1e-3, atol=1e-3)


def test_prune_reaches_the_fields_of_the_policy(dense, make_data):
    data = make_data("regression")
    pruned = dense.prune(data.X, data.y, pruning_ratio=0.5, policy__exploration=0.25)
    assert pruned.policy == UCB1(exploration=0.25)
    assert dense.policy == "ucb1"


def test_prune_by_held_out_rows(dense, make_data):
    data = make_data("regression")
    held_out = {"X_val": data.X_val, "y_val": data.y_val}
    pruned = dense.prune(data.X, data.y, pruning_ratio="auto", tolerance=0.1, **held_out)
    loss = [np.mean((m.predict(data.X_val) - data.y_val) ** 2) for m in (dense, pruned)]
    assert loss[1] <= 1.1 * loss[0] * (1 + 1e-5)


def test_prune_weighs_rows(dense, make_data):
    data = make_data("regression")
    weight = np.where(np.arange(60) < 30, 1.0, 0.0)
    weighted = dense.prune(data.X, data.y, sample_weight=weight, pruning_ratio=0.5)
    half = dense.prune(data.X[:30], data.y[:30], pruning_ratio=0.5)
    np.testing.assert_array_equal(weighted.kept_units_[0], half.kept_units_[0])
    np.testing.assert_allclose(weighted.predict(data.X), half.predict(data.X), rtol=1e-3, atol=1e-3)


def test_prune_is_told_in_words(dense, make_data, capsys):
    data = make_data("regression")
    dense.set_params(verbose=True).prune(data.X, data.y, pruning_ratio=0.5)
    assert capsys.readouterr().out.startswith("Pruning\nRound 0: removed 2 units")


def test_the_path_is_nested_and_every_size_predicts(dense, make_data):
    data = make_data("regression")
    path = dense.prune_path(data.X, data.y, pruning_ratio=0.9, n_rounds=3)
    assert path.n_units.tolist() == [sum(sizes) for sizes in path.hidden_layer_sizes]
    assert path.n_units[0] == 8
    assert path.n_units[-1] == 1
    assert (np.diff(path.n_units) < 0).all()
    np.testing.assert_allclose(path.pruning_ratios, 1 - path.n_units / 8)
    for larger, smaller in zip(path.estimators[:-1], path.estimators[1:], strict=True):
        assert set(smaller.kept_units_[0]) < set(larger.kept_units_[0])
    for model, n_units, loss in zip(path.estimators, path.n_units, path.losses, strict=True):
        assert model.coefs_[0].shape == (4, n_units)
        residual = (model.predict(data.X) - data.y) / data.y.std()
        assert loss == pytest.approx(0.5 * np.mean(residual**2), rel=1e-3)


def test_the_path_ends_where_prune_ends(dense, make_data):
    data = make_data("regression")
    path = dense.prune_path(data.X, data.y, pruning_ratio=0.5)
    pruned = dense.prune(data.X, data.y, pruning_ratio=0.5)
    np.testing.assert_array_equal(path.estimators[-1].predict(data.X), pruned.predict(data.X))
    np.testing.assert_array_equal(path.estimators[0].predict(data.X), dense.predict(data.X))
    assert dense.hidden_layer_sizes_ == (8,)


def test_estimators_on_the_path_are_complete(dense, make_data):
    data = make_data("regression")
    path = dense.prune_path(data.X, data.y, pruning_ratio=0.75, n_rounds=2)
    for i, model in enumerate(path.estimators):
        assert len(model.pruning_history_) == i
        assert model.n_pulls_ == sum(record["n_pulls"] for record in model.pruning_history_)
        assert model.n_parameters_[1] == sum(a.size for a in (*model.coefs_, *model.intercepts_))
    on = path.estimators[1].prune(data.X, data.y, pruning_ratio=0.75)
    assert on.hidden_layer_sizes_ == (2,)


def test_a_path_of_nothing_to_remove(dense, make_data):
    data = make_data("regression")
    path = dense.prune_path(data.X, data.y, pruning_ratio=0)
    assert path.hidden_layer_sizes == [(8,)]
    assert len(path.losses) == len(path.estimators) == 1


@pytest.mark.parametrize("method", ["prune", "prune_path"])
def test_what_is_not_about_pruning_is_refused(method, dense, make_data):
    data = make_data("regression")
    with pytest.raises(ValueError, match=r"accepts the parameters \['policy', 'budget', .*Got \['max_iter'\]"):
        getattr(dense, method)(data.X, data.y, max_iter=3)
    with pytest.raises(ValueError, match="'budget' parameter"):
        getattr(dense, method)(data.X, data.y, budget=-1)
    with pytest.raises(ValueError, match="3 features, but BanditPrunedMLPRegressor is expecting 4"):
        getattr(dense, method)(data.X[:, :3], data.y)
    with pytest.raises(ValueError, match="y has 2 outputs, but the network was fitted to 1"):
        getattr(dense, method)(data.X, np.column_stack([data.y, data.y]))


@pytest.mark.parametrize("method", ["prune", "prune_path"])
def test_only_a_fitted_network_can_be_pruned(method, make_data, regressor):
    data = make_data("regression")
    with pytest.raises(NotFittedError):
        getattr(regressor(), method)(data.X, data.y)
