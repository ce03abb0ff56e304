"""scikit-learn's own checks of an estimator.

The defaults go through all of them in both precisions at every kind of pruning ratio; one policy or criterion of each
other family in float64. ``pytest -m exhaustive`` runs every policy and criterion in both precisions.
"""

import pytest
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor
from skbandit.criteria import CRITERIA
from skbandit.policies import POLICIES

CLASSES = (BanditPrunedMLPClassifier, BanditPrunedMLPRegressor)
RATIOS = (0.0, 0.5, "auto")
DTYPES = ("float64", "float32")
#: Posterior sampling, full information, and a criterion that looks at the weights alone.
FAMILIES = ("thompson", "hedge", "magnitude")

# Both checks compare with a relative tolerance of 1e-7, the resolution of float32.
FLOAT32_FAILURES = {
    f"check_sample_weight_equivalence_on_{kind}_data": "the check's tolerance is below float32's resolution"
    for kind in ("dense", "sparse")
}


def expected_failures(estimator):
    return FLOAT32_FAILURES if estimator.dtype == "float32" else {}


expected_warnings = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore::sklearn.exceptions.SkipTestWarning"
)


@expected_warnings
@parametrize_with_checks(
    [cls(dtype=dtype, pruning_ratio=ratio) for cls in CLASSES for ratio in RATIOS for dtype in DTYPES],
    expected_failed_checks=expected_failures,
)
def test_defaults_pass_the_checks(estimator, check):
    check(estimator)


@expected_warnings
@parametrize_with_checks([cls(dtype="float64", policy=policy) for cls in CLASSES for policy in FAMILIES])
def test_one_policy_of_each_family_passes_the_checks(estimator, check):
    check(estimator)


@pytest.mark.exhaustive
@expected_warnings
@parametrize_with_checks(
    [
        cls(dtype=dtype, policy=policy)
        for cls in CLASSES
        for policy in sorted({**POLICIES, **CRITERIA})
        for dtype in DTYPES
    ],
    expected_failed_checks=expected_failures,
)
def test_every_policy_and_criterion_passes_the_checks(estimator, check):
    check(estimator)


@pytest.mark.exhaustive
@expected_warnings
@pytest.mark.parametrize("cls", CLASSES)
def test_check_estimator_accepts_the_defaults(cls):
    results = check_estimator(cls(dtype="float64"), on_skip=None)
    assert {r["status"] for r in results} <= {"passed", "skipped"}
