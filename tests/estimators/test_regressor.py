"""Regression: kinds of targets and their scale."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import mean_poisson_deviance, r2_score

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("kind", ["regression", "multi-output"])
def test_learns_and_generalises(kind, make_data, regressor):
    data = make_data(kind)
    model = regressor(max_iter=100).fit(data.X, data.y)
    assert model.score(data.X_val, data.y_val) > 0.75
    assert model.predict(data.X_val).shape == data.y_val.shape
    assert model.n_outputs_ == (1 if kind == "regression" else 2)
    assert model.out_activation_ == "identity"


def test_the_unit_of_the_target_does_not_matter(make_data, regressor):
    data = make_data("regression")
    metres = regressor().fit(data.X, data.y)
    millimetres = regressor().fit(data.X, 1000 * data.y + 5e5)
    assert millimetres.hidden_layer_sizes_ == metres.hidden_layer_sizes_
    # Training sees the standardised target in float32: ε = 1.2e-7, grown over 30 epochs.
    np.testing.assert_allclose(
        millimetres.predict(data.X_val),
        1000 * metres.predict(data.X_val) + 5e5,
        rtol=0,
        atol=1e-3 * data.y.std() * 1000,
    )


def test_outputs_of_very_different_scale_are_learned_alike(make_data, regressor):
    data = make_data("regression")
    both = np.column_stack([data.y, 1e6 * data.y])
    prediction = regressor(max_iter=100).fit(data.X, both).predict(data.X)
    scores = r2_score(both, prediction, multioutput="raw_values")
    assert scores.min() > 0.85


def test_a_target_far_from_zero_keeps_its_digits(make_data, regressor):
    data = make_data("regression")
    noise = (data.y - data.y.mean()) / data.y.std()
    model = regressor(max_iter=100).fit(data.X, 1e9 + noise)
    assert r2_score(1e9 + noise, model.predict(data.X)) > 0.85
    near = regressor(max_iter=100).fit(data.X, noise)
    np.testing.assert_allclose(model.predict(data.X) - 1e9, near.predict(data.X), atol=1e-2)


@pytest.mark.parametrize("value", [0.0, 3.7, -1e9])
def test_a_constant_target_is_predicted_exactly(value, make_data, regressor):
    data = make_data("regression")
    model = regressor(max_iter=200).fit(data.X, np.full(60, value))
    np.testing.assert_allclose(model.predict(data.X_val), value, rtol=1e-6, atol=0.05)


@pytest.mark.parametrize(("dtype", "scale"), [("float32", 1e36), ("float32", 1e300), ("float64", 1e305)])
def test_a_target_beyond_the_precision_is_refused(dtype, scale, make_data, regressor):
    # The last layer carries the scale of the target: infinite weights would come back in silence.
    data = make_data("regression")
    with pytest.raises(ValueError, match=rf"y spread by .* which dtype='{dtype}' cannot hold. Rescale y"):
        regressor(dtype=dtype).fit(data.X, scale * data.y)


@pytest.mark.parametrize("exponent", [-1060, -540, -520, 512, 1015])
def test_a_refused_target_is_told_its_true_spread(exponent, make_data, regressor):
    data = make_data("regression")
    y, others = np.ldexp(data.y, exponent), data.y
    spread = re.escape(f"{np.ldexp(data.y.std(), exponent):.3g}")
    for target in (y, np.c_[others, y]):
        with pytest.raises(ValueError, match=rf"y spread by {spread}, which dtype='float32' cannot hold"):
            regressor().fit(data.X, target)


@pytest.mark.parametrize("exponent", [-1000, -540, 512, 1000])
def test_a_target_whose_square_is_no_number_is_fitted_in_float64(exponent, make_data, regressor):
    data = make_data("regression")
    y = np.c_[data.y, np.ldexp(data.y, exponent)]
    first, second = regressor(dtype="float64", max_iter=100).fit(data.X, y).predict(data.X).T
    for prediction in (first, np.ldexp(second, -exponent)):
        assert np.mean(np.square(prediction - data.y)) < 0.5 * data.y.var()


@pytest.mark.parametrize(("dtype", "exponent"), [("float32", 100), ("float64", 900)])
def test_a_later_target_on_a_scale_that_the_network_cannot_take_is_refused(dtype, exponent, make_data, regressor):
    data = make_data("regression")
    model = regressor(dtype=dtype, warm_start=True, max_iter=2).fit(data.X, np.ldexp(data.y, exponent))
    with pytest.raises(ValueError, match=r"y spread by .*, and those of earlier calls by .* Rescale y"):
        model.fit(data.X, np.ldexp(data.y, -exponent))


@pytest.mark.parametrize("scale", [1e-20, 1e30])
def test_a_target_of_extreme_scale_within_the_precision(scale, make_data, regressor):
    data = make_data("regression")
    model = regressor().fit(data.X, scale * data.y)
    np.testing.assert_allclose(
        model.predict(data.X) / scale, regressor().fit(data.X, data.y).predict(data.X), rtol=1e-3
    )


def test_an_integer_target_is_a_number(make_data, regressor):
    data = make_data("regression")
    rounded = np.round(data.y)
    a, b = (regressor().fit(data.X, y) for y in (rounded, rounded.astype(int)))
    np.testing.assert_array_equal(a.predict(data.X), b.predict(data.X))


def test_poisson_loss_models_counts(make_data, regressor):
    data = make_data("counts")
    model = regressor(loss="poisson").fit(data.X, data.y)
    prediction = model.predict(data.X_val)
    assert (prediction > 0).all()
    mean = np.full_like(data.y_val, data.y.mean())
    assert mean_poisson_deviance(data.y_val, prediction) < 0.7 * mean_poisson_deviance(data.y_val, mean)
    assert model.out_activation_ == "exp"


def test_poisson_loss_refuses_negative_targets(make_data, regressor):
    data = make_data("regression")
    with pytest.raises(ValueError, match="negative, which loss='poisson' does not allow"):
        regressor(loss="poisson").fit(data.X, data.y - 100)


def test_a_column_target_is_taken_as_a_vector_with_a_warning(make_data, regressor):
    data = make_data("regression")
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        column = regressor().fit(data.X, data.y[:, None])
    vector = regressor().fit(data.X, data.y)
    assert column.predict(data.X).shape == (60,)
    np.testing.assert_array_equal(column.predict(data.X), vector.predict(data.X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predictions_are_float64_like_the_mean_of_the_target(dtype, make_data, regressor):
    data = make_data("regression")
    model = regressor().fit(data.X.astype(dtype), data.y.astype(dtype))
    assert model.predict(data.X.astype(dtype)).dtype == np.float64


def test_frames_keep_their_names(make_data, regressor):
    data = make_data("regression")
    table = pd.DataFrame(data.X, columns=list("abcd"))
    model = regressor().fit(table, pd.Series(data.y, name="price"))
    assert model.feature_names_in_.tolist() == list("abcd")
    np.testing.assert_array_equal(model.coefs_[0], regressor().fit(data.X, data.y).coefs_[0])


def test_score_is_weighted_r2(make_data, regressor):
    data = make_data("regression")
    model = regressor().fit(data.X, data.y)
    weight = np.linspace(0, 1, len(data.y_val))
    expected = r2_score(data.y_val, model.predict(data.X_val), sample_weight=weight)
    assert model.score(data.X_val, data.y_val, sample_weight=weight) == pytest.approx(expected)
