"""Held-out rows: early stopping, rows of the user's own, and metadata routing."""

import warnings

import numpy as np
import pytest
from sklearn import config_context
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ("regression", "multi-class")
#: Fast enough to pass the best network by.
RESTLESS = {"early_stopping": True, "learning_rate_init": 0.2, "max_iter": 60, "n_iter_no_change": 20}


@pytest.mark.parametrize("kind", KINDS)
def test_the_best_weights_are_restored(kind, make_data, make_estimator):
    data = make_data(kind)
    model = make_estimator(kind, pruning_ratio=0, **RESTLESS)
    model.fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)
    best = max(model.validation_scores_)
    assert model.validation_scores_[-1] < best  # there is something to restore
    assert model.score(data.X_val, data.y_val) == pytest.approx(best, abs=1e-5)
    assert model.best_validation_score_ == pytest.approx(best)
    assert model.best_loss_ is None
    assert len(model.validation_scores_) == len(model.loss_curve_) == model.n_iter_


def test_training_stops_when_the_validation_score_stays(make_data, regressor):
    data = make_data("regression")
    params = {**RESTLESS, "n_iter_no_change": 3, "tol": 10.0}  # no epoch improves R² by 10 but the first
    model = regressor(pruning_ratio=0, **params).fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)
    assert model.n_iter_ == 1 + 3 + 1


def test_weights_of_held_out_rows_count(make_data, regressor):
    data = make_data("regression")
    weight = np.where(np.arange(40) < 20, 1.0, 0.0)
    model = regressor(pruning_ratio=0, **RESTLESS)
    model.fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val, sample_weight_val=weight)
    scores = model.validation_scores_
    model.fit(data.X, data.y, X_val=data.X_val[:20], y_val=data.y_val[:20])
    np.testing.assert_allclose(scores, model.validation_scores_, atol=1e-4)
    assert model.score(data.X_val, data.y_val, sample_weight=weight) == pytest.approx(max(scores), abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_held_out_where_the_user_gives_none(kind, make_data, make_estimator):
    data = make_data(kind)
    model = make_estimator(kind, validation_fraction=0.2, **RESTLESS).fit(data.X, data.y)
    assert len(model.validation_scores_) == model.n_iter_
    assert model.t_ == model.n_iter_ * 48  # 60 rows, a fifth of them held out
    assert model.hidden_layer_sizes_ == (4,)


def test_no_rows_are_held_out_without_need(make_data, regressor):
    data = make_data("regression")
    model = regressor().fit(data.X, data.y)
    assert model.t_ == model.n_iter_ * 60
    assert model.validation_scores_ is None


def test_rows_of_the_user_leave_all_others_for_training(make_data, regressor):
    data = make_data("regression")
    model = regressor(**RESTLESS).fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)
    assert model.t_ == model.n_iter_ * 60


def test_held_out_rows_choose_between_the_repaired_and_the_fine_tuned_network(make_data, regressor):
    data = make_data("regression")
    # A learning rate at which fine-tuning makes matters worse.
    model = regressor(learning_rate_init=0.5, fine_tune_iter=1)
    model.fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)
    for record in model.pruning_history_:
        assert record["loss_after"] <= record["loss_repaired"]
        assert record["fine_tuned"] == (record["loss_after"] < record["loss_repaired"])
    # The last record is the loss of the network that was kept, in units of the standardised target.
    residual = (model.predict(data.X_val) - data.y_val) / data.y.std()
    assert model.pruning_history_[-1]["loss_after"] == pytest.approx(0.5 * np.mean(residual**2), rel=1e-4)


@pytest.mark.parametrize("given", [{"X_val"}, {"y_val"}, {"sample_weight_val"}, {"X_val", "sample_weight_val"}])
def test_held_out_rows_need_their_targets(given, make_data, regressor):
    data = make_data("regression")
    everything = {"X_val": data.X_val, "y_val": data.y_val, "sample_weight_val": np.ones(40)}
    with pytest.raises(ValueError, match="'X_val' and 'y_val' go together, and 'sample_weight_val' needs both"):
        regressor().fit(data.X, data.y, **{name: everything[name] for name in given})


def test_held_out_rows_are_checked_like_training_rows(make_data, classifier):
    data = make_data("multi-class")
    with pytest.raises(ValueError, match="X has 3 features, but BanditPrunedMLPClassifier is expecting 4"):
        classifier().fit(data.X, data.y, X_val=data.X_val[:, :3], y_val=data.y_val)
    with pytest.raises(ValueError, match="classes that the earlier fit did not see"):
        classifier().fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val + 1)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        classifier().fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val[1:])


@pytest.mark.parametrize("copies", [1, 20])
def test_few_distinct_rows_are_all_trained(make_data, regressor, copies):
    data = make_data("regression")
    X, y = np.repeat(data.X[:5], copies, axis=0), np.repeat(data.y[:5], copies)
    model = regressor(early_stopping=True, max_iter=3).fit(X, y)
    assert model.t_ == 3 * 5 * copies
    assert len(model.validation_scores_) == 3


def test_where_all_rows_are_cut_the_last_epoch_is_kept(make_data, regressor):
    data = make_data("regression")
    # At this learning rate the last epoch is not the best one, even on the rows that train.
    params = {"pruning_ratio": 0, "learning_rate_init": 0.5, "max_iter": 8, "n_iter_no_change": 100}
    stopped = regressor(early_stopping=True, **params).fit(data.X[:5], data.y[:5])
    scores = stopped.validation_scores_
    assert scores[-1] < max(scores)
    assert stopped.score(data.X[:5], data.y[:5]) == pytest.approx(scores[-1], abs=1e-5)


@pytest.mark.parametrize("params", [{"early_stopping": True}, {"pruning_ratio": "auto"}])
def test_of_one_distinct_row_nothing_is_held_out(make_data, regressor, params):
    data = make_data("regression")
    X, y = np.repeat(data.X[:1], 5, axis=0), np.full(5, 7.0)
    with pytest.warns(UserWarning, match="No rows can be held out, because all 5 training rows are alike"):
        model = regressor(**{"early_stopping": False, "max_iter": 3, **params}).fit(X, y)
    assert model.validation_scores_ is None
    np.testing.assert_allclose(model.predict(X), y, rtol=1e-5)


def test_one_row_can_be_fitted(make_data, regressor):
    data = make_data("regression")
    with pytest.warns(UserWarning, match="because there is one training row"):
        model = regressor(early_stopping=True, max_iter=3).fit(data.X[:1], data.y[:1])
    assert model.predict(data.X[:1]) == pytest.approx(data.y[0], rel=1e-4)


@pytest.mark.parametrize("n", [10, 60])
def test_of_constant_features_the_mean_is_learned(make_data, regressor, n):
    data = make_data("regression")
    with pytest.warns(UserWarning, match=f"X is constant: all {n} training rows have the same features") as caught:
        model = regressor(early_stopping=True, max_iter=60).fit(np.ones((n, 2)), data.y[:n])
    assert len(caught) == 1
    assert model.predict(np.ones((1, 2))) == pytest.approx(data.y[:n].mean(), abs=0.3 * data.y[:n].std())


@pytest.mark.parametrize("task", ["regression", "binary", "multi-class"])
def test_where_held_out_rows_do_not_follow_from_the_others_a_warning_says_so(make_estimator, task):
    # Each row is a cell of its own: what is learned of the others says nothing about it.
    rng = np.random.default_rng(0)
    X = np.eye(200)
    y = rng.normal(size=200) if task == "regression" else rng.integers(3 if task == "multi-class" else 2, size=200)
    params = {"early_stopping": True, "validation_metric": "loss", "validation_fraction": 0.5, "pruning_ratio": 0}
    model = make_estimator(task, **params)
    with pytest.warns(UserWarning, match="No epoch predicts the held-out rows better than a constant would") as caught:
        model.fit(X, y)
    assert len(caught) == 1
    assert "early_stopping=False" in str(caught[0].message)


@pytest.mark.parametrize("task", ["regression", "counts", "binary", "multi-class", "multi-label"])
def test_where_they_do_follow_nothing_is_said(make_data, make_estimator, task):
    data = make_data(task)
    params = {"early_stopping": True, "validation_metric": "loss", "validation_fraction": 1 / 3, "max_iter": 100}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make_estimator(task, **params).fit(data.X, data.y)
    assert not [str(warning.message) for warning in caught if "held-out rows" in str(warning.message)]


def test_a_pipeline_scales_the_held_out_rows(make_data, regressor):
    data = make_data("regression")
    X, X_val = 50 * data.X + 1000, 50 * data.X_val + 1000
    params = {"pruning_ratio": 0, **RESTLESS}
    with config_context(enable_metadata_routing=True):
        model = regressor(**params).set_fit_request(X_val=True, y_val=True)
        pipeline = Pipeline([("scale", StandardScaler()), ("mlp", model)], transform_input=["X_val"])
        pipeline.fit(X, data.y, X_val=X_val, y_val=data.y_val)
    scaler = StandardScaler().fit(X)
    by_hand = regressor(**params).fit(scaler.transform(X), data.y, X_val=scaler.transform(X_val), y_val=data.y_val)
    np.testing.assert_array_equal(pipeline[-1].validation_scores_, by_hand.validation_scores_)
    assert pipeline.score(X_val, data.y_val) == pytest.approx(max(by_hand.validation_scores_), abs=1e-5)


def test_a_pipeline_routes_sample_weights(make_data, regressor):
    data = make_data("regression")
    weight = np.linspace(0.1, 1, 60)
    with config_context(enable_metadata_routing=True):
        model = regressor().set_fit_request(sample_weight=True)
        pipeline = Pipeline([("mlp", model)]).fit(data.X, data.y, sample_weight=weight)
    expected = regressor().fit(data.X, data.y, sample_weight=weight)
    np.testing.assert_array_equal(pipeline[-1].coefs_[0], expected.coefs_[0])


def test_smoothed_labels_of_a_rare_class_raise_no_alarm(classifier):
    # Under label smoothing no probability falls much below 5 %: the plain loss is above that of a constant.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 4))
    y = (X[:, 0] + 0.5 * rng.normal(size=1000) > 2.7).astype(int)
    assert 5 < y.sum() < 20
    params = {"label_smoothing": 0.1, "validation_fraction": 0.2, "pruning_ratio": 0, "max_iter": 60}
    model = classifier(early_stopping=True, validation_metric="loss", **params).fit(X, y)
    assert log_loss(y, model.predict_proba(X)) > 0.9 * log_loss(y, np.full(1000, y.mean()))


def test_classes_of_one_distinct_row_each_are_all_trained(classifier):
    X, y = np.repeat(np.eye(60), 3, axis=0), np.repeat(np.arange(60), 3)
    with pytest.warns(UserWarning, match="because no class has two different rows"):
        classifier(early_stopping=True, max_iter=3).fit(X, y)
