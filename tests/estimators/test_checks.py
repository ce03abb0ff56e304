"""scikit-learn's own checks of an estimator."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor

CLASSES = (BanditPrunedMLPClassifier, BanditPrunedMLPRegressor)
RATIOS = (0.0, 0.5, "auto")

# Both checks compare with a relative tolerance of 1e-7, the resolution of float32.
FLOAT32_FAILURES = {
    f"check_sample_weight_equivalence_on_{kind}_data": "the check's tolerance is below float32's resolution"
    for kind in ("dense", "sparse")
}


def expected_failures(estimator):
    return FLOAT32_FAILURES if estimator.dtype == "float32" else {}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::UserWarning")
@parametrize_with_checks(
    [
        cls(dtype=dtype, pruning_ratio=ratio)
        for cls in CLASSES
        for ratio in RATIOS
        for dtype in ("float64", "float32")
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
