"""Classification: kinds of targets, probabilities, class weights."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.metrics import accuracy_score

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

KINDS = ("binary", "multi-class", "multi-label")
NAMES = np.array(["low", "mid", "high"])


def assert_same_network(a, b, rtol=1e-6, atol=1e-7):
    for u, v in zip([*a.coefs_, *a.intercepts_], [*b.coefs_, *b.intercepts_], strict=True):
        np.testing.assert_allclose(u, v, rtol=rtol, atol=atol)


@pytest.mark.parametrize("kind", KINDS)
def test_learns_and_generalises(kind, make_data, classifier):
    data = make_data(kind)
    model = classifier().fit(data.X, data.y)
    # All labels must be right at once: three coins, against one for two classes.
    assert model.score(data.X_val, data.y_val) > {"binary": 0.85, "multi-class": 0.75, "multi-label": 0.6}[kind]
    np.testing.assert_array_equal(model.classes_, [0, 1] if kind == "binary" else [0, 1, 2])
    assert model.n_outputs_ == model.coefs_[-1].shape[1] == (1 if kind == "binary" else 3)
    assert model.out_activation_ == ("softmax" if kind == "multi-class" else "logistic")


@pytest.mark.parametrize("kind", ["binary", "multi-class"])
def test_probabilities_sum_to_one_and_decide_the_class(kind, make_data, classifier):
    data = make_data(kind)
    model = classifier().fit(data.X, data.y)
    p = model.predict_proba(data.X_val)
    assert p.shape == (len(data.X_val), len(model.classes_))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(data.X_val), model.classes_[p.argmax(axis=1)])
    np.testing.assert_allclose(model.predict_log_proba(data.X_val), np.log(p), atol=1e-12)


def test_the_labels_of_a_row_have_probabilities_of_their_own(make_data, classifier):
    data = make_data("multi-label")
    model = classifier().fit(data.X, data.y)
    p = model.predict_proba(data.X_val)
    assert p.shape == data.y_val.shape
    assert 0 < p.min() < p.max() < 1
    np.testing.assert_array_equal(model.predict(data.X_val), p > 0.5)
    np.testing.assert_allclose(model.predict_log_proba(data.X_val), np.log(p), atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_log_probabilities_are_finite_where_probabilities_underflow(kind, make_data, classifier):
    data = make_data(kind)
    model = classifier(pruning_ratio=0).fit(data.X, data.y)
    log_p = model.predict_log_proba(1e4 * data.X)
    assert np.isfinite(log_p).all()
    assert log_p.min() < np.log(np.finfo(float).tiny)


@pytest.mark.parametrize(
    "names", [NAMES, NAMES.astype(object), np.array([-1.0, 0.0, 7.0])], ids=["str", "object", "float"]
)
def test_classes_may_be_of_any_kind(names, make_data, classifier):
    data = make_data("multi-class")
    model = classifier().fit(data.X, names[data.y])
    np.testing.assert_array_equal(model.classes_, np.unique(names))
    prediction = model.predict(data.X_val)
    assert set(prediction) <= set(names)
    assert accuracy_score(names[data.y_val], prediction) > 0.75


def test_two_classes_of_strings(make_data, classifier):
    data = make_data("binary")
    numbered = classifier().fit(data.X, data.y)
    named = classifier().fit(data.X, np.array(["ham", "spam"])[data.y])
    assert_same_network(named, numbered, rtol=0, atol=0)
    np.testing.assert_array_equal(named.predict(data.X) == "spam", numbered.predict(data.X) == 1)


@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array])
def test_labels_may_be_sparse(container, make_data, classifier):
    data = make_data("multi-label")
    dense = classifier().fit(data.X, data.y)
    model = classifier().fit(data.X, container(data.y))
    assert_same_network(model, dense, rtol=0, atol=0)
    assert model.score(data.X, container(data.y)) == dense.score(data.X, data.y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_have_the_precision_of_the_input(dtype, make_data, classifier):
    data = make_data("multi-class")
    model = classifier().fit(data.X, data.y)
    assert model.predict_proba(data.X.astype(dtype)).dtype == dtype
    assert model.coefs_[0].dtype == np.float32


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_frames_with_a_target_of_strings(frame, make_data, classifier):
    data = make_data("multi-class")
    names = list("abcd")
    series = pd.Series if frame is pd.DataFrame else pl.Series
    target = series(NAMES[data.y].tolist())
    table = frame(dict(zip(names, data.X.T, strict=True)))
    model = classifier().fit(table, target)
    assert_same_network(model, classifier().fit(data.X, NAMES[data.y]), rtol=0, atol=0)
    assert model.feature_names_in_.tolist() == names
    assert set(model.predict(table)) <= set(NAMES)
    assert model.score(table, target) > 0.75
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(table[["b", "a", "c", "d"]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(data.X)


def test_class_weight_is_a_sample_weight(make_data, classifier):
    data = make_data("multi-class")
    by_class = {0: 3.0, 2: 0.5}  # a class that is not named has weight 1
    weighted = classifier(class_weight=by_class).fit(data.X, data.y)
    expected = classifier().fit(data.X, data.y, sample_weight=np.array([3.0, 1.0, 0.5])[data.y])
    assert_same_network(weighted, expected)


def test_balanced_class_weight_gives_every_class_the_same_total(make_data, classifier):
    data = make_data("multi-class")
    weight = np.linspace(0.5, 2, 60)
    totals = np.bincount(data.y, weights=weight)
    model = classifier(class_weight="balanced").fit(data.X, data.y, sample_weight=weight)
    expected = classifier().fit(data.X, data.y, sample_weight=weight * (weight.sum() / (3 * totals))[data.y])
    assert_same_network(model, expected)


def test_balanced_class_weight_of_a_class_without_any_weight(make_data, classifier):
    data = make_data("multi-class")
    weight = np.where(data.y == 1, 0.0, 1.0)
    model = classifier(class_weight="balanced").fit(data.X, data.y, sample_weight=weight)
    assert set(model.predict(data.X)) == {0, 2}
    assert model.predict_proba(data.X).shape == (60, 3)


def test_class_weight_counts_for_the_names_of_the_classes(make_data, classifier):
    data = make_data("multi-class")
    named = classifier(class_weight={"low": 3.0, "high": 0.5}).fit(data.X, NAMES[data.y])
    # Sorted, the names are high, low, mid.
    numbered = classifier(class_weight={1: 3.0, 0: 0.5}).fit(data.X, np.array([1, 2, 0])[data.y])
    assert_same_network(named, numbered, rtol=0, atol=0)


def test_class_weight_of_labels_is_a_list(make_data, classifier):
    data = make_data("multi-label")
    heavy = classifier(class_weight=[{0: 1, 1: 5}, {0: 1, 1: 1}, {0: 1, 1: 1}]).fit(data.X, data.y)
    # The weight of a row is the product over its labels.
    expected = classifier().fit(data.X, data.y, sample_weight=np.where(data.y[:, 0], 5.0, 1.0))
    assert_same_network(heavy, expected)


def test_an_unknown_class_in_class_weight_is_refused(make_data, classifier):
    data = make_data("binary")
    with pytest.raises(ValueError, match=r"class_weight has classes that y has not: \[7\]"):
        classifier(class_weight={0: 1, 7: 2}).fit(data.X, data.y)


@pytest.mark.parametrize("weights", [{0: -1, 1: 2}, {0: 0, 1: 0}, {0: np.nan}])
def test_class_weights_must_make_sense(weights, make_data, classifier):
    data = make_data("binary")
    with pytest.raises(ValueError, match="class_weight must be non-negative, and positive for some class"):
        classifier(class_weight=weights).fit(data.X, data.y)


def test_score_is_weighted_accuracy(make_data, classifier):
    data = make_data("multi-class")
    model = classifier().fit(data.X, data.y)
    weight = np.linspace(0, 1, len(data.y_val))
    right = model.predict(data.X_val) == data.y_val
    assert model.score(data.X_val, data.y_val, sample_weight=weight) == pytest.approx(
        weight[right].sum() / weight.sum()
    )
