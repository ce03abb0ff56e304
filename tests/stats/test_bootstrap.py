"""Bootstrap intervals."""

import numpy as np
import pytest
from published import DEEP, DEEP_NAMES, MODEL, UCB1, continuous
from scipy import stats as scipy_stats

from skbandit import stats


def test_bootstrap_of_two_data_sets_by_hand():
    # Advantages 0 and 1: a resample's mean is 0, ½ or 1 with probability ¼, ½, ¼.
    scores = [[0, 0], [1, 0]]
    options = {"statistic": "mean", "control": 1, "random_state": 0}
    wide = stats.bootstrap_interval(scores, **options)
    assert (wide.low[0], wide.estimate[0], wide.high[0]) == (0, 0.5, 1)
    narrow = stats.bootstrap_interval(scores, confidence_level=0.4, **options)
    assert (narrow.low[0], narrow.high[0]) == (0.5, 0.5)
    assert wide.low[1] == wide.high[1] == 0


@pytest.mark.parametrize("interval", ["percentile", "basic", "BCa"])
def test_bootstrap_equals_scipy(interval):
    scores = continuous((15, 2))
    ours = stats.bootstrap_interval(scores, statistic="mean", control=0, interval=interval, random_state=1)
    oracle = scipy_stats.bootstrap(
        (scores[:, 1] - scores[:, 0],), np.mean, method=interval, rng=np.random.default_rng(1)
    ).confidence_interval
    assert (ours.low[1], ours.high[1]) == pytest.approx((oracle.low, oracle.high), rel=1e-9)


def test_median_and_direction_of_an_advantage():
    errors = np.array([[1.0, 3], [1, 4], [2, 9]])
    result = stats.bootstrap_interval(
        errors, statistic="median", control=1, higher_is_better=False, n_resamples=99, random_state=0
    )
    assert result.estimate[0] == 3  # of 2, 3 and 7
    assert (result.low[0], result.high[0]) == (2, 7)


def test_bootstrap_of_mean_ranks_surrounds_them():
    result = stats.bootstrap_interval(DEEP, names=DEEP_NAMES, random_state=0)
    np.testing.assert_allclose(result.estimate, stats.mean_ranks(DEEP).mean_ranks)
    assert (result.low < result.estimate).all()
    assert (result.estimate < result.high).all()
    assert result.high[UCB1] < result.low[MODEL]
