"""What is computed for one column."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skbandit._tabular.features.columns import median_and_scale, places, smooth_clip
from skbandit._tabular.features.encoder import FeatureEncoder

FEW = settings(max_examples=60, deadline=None, derandomize=True)
NAN = np.nan


# --- a column of numbers ----------------------------------------------------------------------------------------------


def test_a_number_is_centred_scaled_by_the_quartiles_and_clipped(column):
    # Median 3, quartiles 2 and 4: 7 becomes 4 / 2 = 2, and 2 / sqrt(1 + 4/9) = 2 / sqrt(13/9) = 6 / sqrt(13).
    encoder = FeatureEncoder.fit(column(1, 2, 3, 4, 5))
    np.testing.assert_allclose(encoder.transform(column(3, 7, -1)), column(0, 6 / 13**0.5, -6 / 13**0.5))


def test_equal_quartiles_leave_the_range_for_the_scale(column):
    # Seven of eight values are 0: s = 2 / (max - min) = 2 / 4, so 4 becomes 2.
    encoder = FeatureEncoder.fit(column(0, 0, 0, 0, 0, 0, 0, 4), clip=False)
    np.testing.assert_allclose(encoder.transform(column(0, 4)), column(0, 2))


def test_a_constant_column_becomes_zero(column):
    encoder = FeatureEncoder.fit(column(5, 5, 5))
    np.testing.assert_array_equal(encoder.transform(column(5, 6, -1e300, NAN)), column(0, 0, 0, 0))


@FEW
@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_the_quartiles_are_those_of_numpy(values, column):
    X = column(*values)
    encoder = FeatureEncoder.fit(X, clip=False)
    q25, q50, q75 = np.quantile(X, [0.25, 0.5, 0.75], method="averaged_inverted_cdf")
    spread = q75 - q25 if q75 > q25 else (X.max() - X.min()) / 2
    if spread > 1e-290:
        np.testing.assert_allclose(encoder.scale, 1 / spread, rtol=1e-9)
        np.testing.assert_allclose(encoder.centre, q50, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("huge", [1e30, 3e38])
def test_huge_values_are_clipped_and_do_not_overflow(dtype, huge, column):
    # The scale is 1e6: the scaled value does not fit into float32.
    encoder = FeatureEncoder.fit(column(0, 1e-6, 2e-6, 3e-6, 4e-6) / 2)
    X = column(huge, -huge).astype(dtype)
    out = encoder.transform(X, np.float32)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, column(3, -3))


def test_the_largest_numbers_of_float64_are_clipped(column, clipped):
    largest = np.finfo(float).max
    np.testing.assert_array_equal(FeatureEncoder.fit(column(0, 1e-9, 2e-9)).transform(column(largest)), [[3]])
    # The range of the column itself overflows.
    encoder = FeatureEncoder.fit(column(-largest, -largest, 0, largest, largest))
    np.testing.assert_allclose(encoder.transform(column(-largest, 0, largest)), clipped(column(-0.5, 0, 0.5)))


def test_a_number_missing_only_at_prediction_is_the_median(column):
    encoder = FeatureEncoder.fit(column(1, 2, 3, 4, 5))
    np.testing.assert_array_equal(encoder.transform(column(NAN)), [[0]])


def test_a_column_without_any_value_is_zero(column):
    encoder = FeatureEncoder.fit(column(NAN, NAN))
    assert encoder.n_outputs == 1
    np.testing.assert_array_equal(encoder.transform(column(NAN, 3, -1e30)), column(0, 0, 0))


# --- a column of categories -------------------------------------------------------------------------------------------


def test_two_categories_are_minus_one_and_one_and_missing_is_between(column):
    encoder = FeatureEncoder.fit(column(0, 1, 0, NAN), categories=(2,), scale=False)
    np.testing.assert_array_equal(encoder.transform(column(0, 1, NAN)), column(-1, 1, 0))
    assert encoder.names(["smoker"]) == ["smoker"]
    # It is the same where nothing was missing in fit.
    encoder = FeatureEncoder.fit(column(0, 1), categories=(2,), scale=False)
    np.testing.assert_array_equal(encoder.transform(column(0, 1, NAN)), column(-1, 1, 0))


def test_a_few_categories_are_one_hot(column):
    encoder = FeatureEncoder.fit(column(0, 1, 2, 2), categories=(3,), scale=False)
    np.testing.assert_array_equal(encoder.transform(column(2, 0, 1, NAN)), [[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 0]])
    assert encoder.names() == ["x0_0", "x0_1", "x0_2"]
    assert encoder.names(["colour"], [["blue", "green", "red"]]) == ["colour_blue", "colour_green", "colour_red"]


def test_one_hot_has_a_column_for_missing_where_fit_saw_one(column):
    encoder = FeatureEncoder.fit(column(0, 1, 2, NAN), categories=(3,), scale=False)
    np.testing.assert_array_equal(encoder.transform(column(1, NAN)), [[0, 1, 0, 0], [0, 0, 0, 1]])
    assert encoder.names() == ["x0_0", "x0_1", "x0_2", "x0_nan"]


def test_dense_categories_are_scaled_like_numbers(column, clipped):
    # Of four rows one is category 0: its column 1, 0, 0, 0 has median 0 and quartiles 0 and 1/2, as the upper quartile
    # lies between 0 and 1. So s = 2: 0 stays, and 1 becomes 2.
    encoder = FeatureEncoder.fit(column(0, 1, 2, 2), categories=(3,), clip=False)
    np.testing.assert_allclose(encoder.transform(column(0, 1)), [[2, 0, -0.5], [0, 2, -0.5]])
    # The third column, 0, 0, 1, 1: median 1/2, quartiles 0 and 1.
    # Of two categories, -1, -1, -1, 1: median -1, quartiles -1 and 0, so -1 -> 0, missing -> 1 and 1 -> 2.
    encoder = FeatureEncoder.fit(column(0, 0, 0, 1), categories=(2,))
    np.testing.assert_allclose(encoder.transform(column(0, NAN, 1)), clipped(column(0, 1, 2)))


def test_a_category_that_fit_never_saw_is_a_rare_one(column, clipped):
    encoder = FeatureEncoder.fit(column(0, 1, 0, 1), categories=(3,))
    np.testing.assert_allclose(encoder.transform(column(0, 1, 2))[:, [2]], clipped(column(0, 0, 2)))
    # The others are what they would be without it: median 1/2, quartiles 0 and 1.
    np.testing.assert_allclose(encoder.transform(column(0, 1))[:, :2], clipped(np.array([[0.5, -0.5], [-0.5, 0.5]])))
    encoder = FeatureEncoder.fit(column(0, 0, 0), categories=(2,))
    np.testing.assert_allclose(encoder.transform(column(0, 1)), clipped(column(0, 2)))


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_the_median_and_the_scale_of_distinct_values():
    # Quartiles 1.5, 4 and 6: s = 1 / (6 - 1.5).
    assert median_and_scale(np.array([1.0, 2.0, 6.0]), np.array([1.0, 1.0, 2.0])) == (4, pytest.approx(1 / 4.5))
    assert median_and_scale(np.array([2.0]), np.array([3.0])) == (0, 0)


def test_places_of_codes():
    codes = np.array([0.0, 2.0, 3.0, -1.0, NAN])
    np.testing.assert_array_equal(places(codes, 3), [1, 3, 0, 0, 0])
    # A number of categories for each column.
    np.testing.assert_array_equal(places(np.array([[1.0, 1.0]]), np.array([1, 2])), [[0, 2]])


def test_the_clip_works_in_place(clipped):
    z = np.array([-1e300, -3.0, 0.0, 1.0, 1e200])
    expected = [-3, clipped(-3), 0, clipped(1), 3]
    assert smooth_clip(z) is z
    np.testing.assert_allclose(z, expected, rtol=1e-15)
