"""What stays of an encoder, and what comes in."""

import numpy as np

from skbandit._tabular.features.encoder import FeatureEncoder
from skbandit._tabular.features.renewal import MOST_RATIO, MOST_SCALES, renewed

NAN = np.nan


def fit(*rows, categories=None, **options):
    return FeatureEncoder.fit(np.array(rows, float), None, categories, **options)


def test_nothing_new_is_the_same_encoder(column):
    encoder = FeatureEncoder.fit(column(1, 2, 3, 4, 5, NAN))
    assert renewed(encoder, FeatureEncoder.fit(column(1, 2, 3, 4, 5))) is encoder


def test_a_scale_that_is_far_off_is_learned_anew(column):
    # Quartiles 2 and 4, and twice that.
    encoder, latest = FeatureEncoder.fit(column(1, 2, 3, 4, 5)), FeatureEncoder.fit(column(2, 4, 6, 8, 10))
    assert 1 / latest.scale[0] > MOST_RATIO / encoder.scale[0]
    assert renewed(encoder, latest, column(1, 2, 3, 4, 5), np.ones(5)).scale == latest.scale
    assert renewed(encoder, latest, rescale=False) is encoder


def test_a_column_that_begins_to_vary_gets_a_scale_in_any_case(column):
    for lone in (7.0, NAN):
        encoder, latest = FeatureEncoder.fit(column(lone, lone)), FeatureEncoder.fit(column(1, 2, 3, 4, 5))
        result = renewed(encoder, latest, rescale=False)
        assert (result.centre, result.scale, result.n_embeddable) == (3, 0.5, 1)


def test_numbers_that_are_embedded_stay_so_and_others_join_them():
    encoder, latest = fit([0, 1, 1], [1, 2, 1], [0, 3, 1]), fit([0, 1, 5], [1, 1, 6], [0, 2, 7])
    assert encoder.columns[: encoder.n_embeddable].tolist() == [1]
    result = renewed(encoder, latest)
    assert result.columns.tolist() == [1, 2, 0]
    assert result.n_embeddable == 2


def test_indicators_stay_and_others_join_them():
    encoder, latest = fit([NAN, 1], [1, 2], [2, 3]), fit([1, NAN], [1, 2], [2, 3])
    assert renewed(encoder, latest).indicators.tolist() == [0, 1]


def test_the_ends_of_one_hot_columns_stay(column):
    encoder = FeatureEncoder.fit(column(0, 1, 2, 2), categories=(3,))
    latest = FeatureEncoder.fit(column(0, 0, 0, 1, 2, 3, NAN), categories=(4,))
    result = renewed(encoder, latest)
    assert (result.one_hot_sizes, result.one_hot_missing) == (4, True)
    np.testing.assert_array_equal(result.low[:3], encoder.low)
    np.testing.assert_array_equal(result.high[:3], encoder.high)
    # 2, clipped: 2 / sqrt(1 + 4 / 9).
    np.testing.assert_allclose(result.high[3:], 2 / np.sqrt(13 / 9))
    np.testing.assert_array_equal(result.low[3:], 0)


def test_the_stand_in_for_a_table_without_columns_goes(column):
    encoder = FeatureEncoder.fit(column(0, 0), categories=(1,))
    latest = FeatureEncoder.fit(column(0, 1, 1), categories=(2,))
    assert encoder.scale == 0
    assert renewed(encoder, latest).scale == latest.scale


def test_a_number_is_written_on_a_second_scale_where_another_would_clip_old_rows(column):
    rows = column(*range(11))
    encoder = FeatureEncoder.fit(rows)
    for others in (5 + column(*range(100)) / 1000, 1000 + rows, 100 * rows):
        latest = FeatureEncoder.fit(others)
        result = renewed(encoder, latest, rows, np.ones(11))
        assert result.columns.tolist() == [0, 0]
        np.testing.assert_array_equal(result.centre, np.append(encoder.centre, latest.centre))
        np.testing.assert_array_equal(result.scale, np.append(encoder.scale, latest.scale))
        assert result.n_embeddable == 1  # the first of them
        assert renewed(result, latest, rows, np.ones(11)) is result
    # What was never told apart may be, on the one scale.
    latest = FeatureEncoder.fit(5 + rows / 1.26)
    assert renewed(encoder, latest, rows, np.ones(11)).scale == latest.scale


def test_the_last_of_many_scales_is_the_one_that_moves(column):
    rows = column(*range(11))
    encoder = FeatureEncoder.fit(rows)
    for k in range(1, 8):
        encoder = renewed(encoder, FeatureEncoder.fit(100.0**k * rows), rows, np.ones(11))
    first = FeatureEncoder.fit(rows).scale[0]
    np.testing.assert_allclose(encoder.scale, first / 100.0 ** np.array([0, 1, 2, 7]))
    assert encoder.scale.size == MOST_SCALES
