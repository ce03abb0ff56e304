"""The scikit-learn estimators."""

# cloudpickle, and joblib's workers with it, copies a class as a whole if the module that it names is not imported.
from skbandit import saved as _saved  # noqa: F401
from skbandit.estimators._classifier import BanditPrunedMLPClassifier
from skbandit.estimators._regressor import BanditPrunedMLPRegressor

__all__ = ["BanditPrunedMLPClassifier", "BanditPrunedMLPRegressor"]
