"""scikit-learn's own checks of an estimator.

Nearly all of their time is compilation: every check brings shapes of its own. So the classifier goes through them as it
is by default, in float64; a smaller network of the same recipe stands for the regressor, for float32 and for an
ensemble; and of the other kinds of pruning ratio and of policy, one class has each. ``pytest -m exhaustive`` runs both
defaults in both precisions, every policy and criterion, and both classes with all of these.
"""

import pytest
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor
from skbandit.criteria import CRITERIA
from skbandit.policies import POLICIES

CLASSES = (BanditPrunedMLPClassifier, BanditPrunedMLPRegressor)
DTYPES = ("float64", "float32")
#: Posterior sampling, and a criterion that looks at the weights alone.
FAMILIES = {"thompson": BanditPrunedMLPClassifier, "magnitude": BanditPrunedMLPRegressor}
#: ... and a network that is not pruned, and one that is as far as the held-out rows allow.
RATIOS = {0.0: BanditPrunedMLPClassifier, "auto": BanditPrunedMLPRegressor}
#: A tenth of the time of the defaults' three layers of 128.
SMALL = {"hidden_layer_sizes": (16,), "dtype": "float64"}

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
@parametrize_with_checks([BanditPrunedMLPClassifier(dtype="float64")])
def test_defaults_pass_the_checks(estimator, check):
    check(estimator)


@pytest.mark.exhaustive
@expected_warnings
@parametrize_with_checks(
    [
        BanditPrunedMLPRegressor(dtype="float64"),
        *(cls(dtype="float32") for cls in CLASSES),
        *(cls(**SMALL, n_members=2) for cls in CLASSES),
    ],
    expected_failed_checks=expected_failures,
)
def test_all_defaults_and_ensembles_pass_the_checks(estimator, check):
    check(estimator)


@expected_warnings
@parametrize_with_checks(
    [
        BanditPrunedMLPRegressor(**SMALL),
        *(cls(**SMALL | {"dtype": "float32"}) for cls in CLASSES),
        *(cls(**SMALL, pruning_ratio=ratio) for ratio, cls in RATIOS.items()),
        BanditPrunedMLPClassifier(**SMALL, n_members=2),
    ],
    expected_failed_checks=expected_failures,
)
def test_smaller_networks_pass_the_checks(estimator, check):
    check(estimator)


@expected_warnings
@parametrize_with_checks([cls.from_preset("plain", **SMALL, policy=policy) for policy, cls in FAMILIES.items()])
def test_one_policy_of_each_family_passes_the_checks(estimator, check):
    check(estimator)


@pytest.mark.exhaustive
@expected_warnings
@parametrize_with_checks(
    [
        *(
            cls(**SMALL | {"dtype": dtype, "policy": policy})
            for cls in CLASSES
            for policy in sorted({**POLICIES, **CRITERIA})
            for dtype in DTYPES
        ),
        *(cls(**SMALL, pruning_ratio=ratio) for cls in CLASSES for ratio in RATIOS if cls is not RATIOS[ratio]),
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
