"""What stays of an encoder, and what comes in."""

import numpy as np

from skbandit._tabular.features.encoder import FeatureEncoder
from skbandit._tabular.features.renewal import MOST_RATIO, renewed

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
    assert renewed(encoder, latest).scale == latest.scale
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


def test_a_scale_of_rows_that_lie_close_together_is_not_taken(column):
    rows = column(*range(11))
    encoder = FeatureEncoder.fit(rows)
    latest = FeatureEncoder.fit(np.concatenate([rows, 5 + column(*range(100)) / 1000]))
    assert latest.scale > 100 * encoder.scale
    assert renewed(encoder, latest, rows, np.ones(11)) is encoder
    # What was never told apart may be.
    assert renewed(encoder, latest, 5 + rows / 1000, np.ones(11)).scale == latest.scale


def test_a_scale_has_old_rows_and_others_inside(column):
    rows = column(*range(11))
    encoder, latest = FeatureEncoder.fit(rows), FeatureEncoder.fit(1000 + rows)
    result = renewed(encoder, latest, rows, np.ones(11))
    # Quartiles 2 and 8, and 1002 and 1008, and medians halfway between.
    np.testing.assert_allclose(result.centre, 505)
    np.testing.assert_allclose(1 / result.scale, 1006)
    assert renewed(encoder, latest, 1000 * rows, np.ones(11)).centre == 505
