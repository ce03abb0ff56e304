"""The scikit-learn estimators."""

from skbandit.estimators._classifier import BanditPrunedMLPClassifier
from skbandit.estimators._regressor import BanditPrunedMLPRegressor

__all__ = ["BanditPrunedMLPClassifier", "BanditPrunedMLPRegressor"]
