"""The types that a file with a fitted estimator holds, at the addresses by which the file names them.

A file (of pickle, joblib or skops) names classes as module and name. The classes below are private, and may move; the
addresses ``skbandit.saved.<name>`` stay, and so do ``skbandit.BanditPrunedMLPClassifier`` and
``skbandit.BanditPrunedMLPRegressor``. A later version loads the files of the version before.

``TYPES`` lists all addresses. It is what skops takes as the types to be trusted. An estimator whose ``policy`` is an
object adds that object's class, a public one.

Examples
--------
>>> import skbandit.saved
>>> "skbandit.BanditPrunedMLPRegressor" in skbandit.saved.TYPES
True

With skops: ``skops.io.load("model.skops", trusted=skbandit.saved.TYPES)``.
"""

from __future__ import annotations

import importlib
from typing import Any

#: Each class, and the module where it is written today.
_HOMES = {
    "Architecture": "skbandit._tabular.model",
    "Categories": "skbandit._tabular.features.categories",
    "CheckedRows": "skbandit.estimators._rows",
    "ClassTarget": "skbandit.estimators._targets",
    "Columns": "skbandit.estimators._rows",
    "FeatureEncoder": "skbandit._tabular.features.encoder",
    "FeatureReader": "skbandit._tabular.features.reader",
    "Inputs": "skbandit._tabular.features.embeddings",
    "LabelTarget": "skbandit.estimators._targets",
    "Member": "skbandit.estimators._fitted",
    "Model": "skbandit._tabular.model",
    "Moments": "skbandit.estimators._moments",
    "Pruning": "skbandit.estimators._fitted",
    "RegressionTarget": "skbandit.estimators._targets",
    "RowsSeen": "skbandit.estimators._incremental",
    "Sample": "skbandit.estimators._incremental",
    "Training": "skbandit.estimators._fitted",
}

#: Addresses of all types of the package that a saved estimator may hold.
TYPES = [
    "skbandit.BanditPrunedMLPClassifier",
    "skbandit.BanditPrunedMLPRegressor",
    *(f"skbandit.saved.{name}" for name in _HOMES),
]

__all__ = ["TYPES"]


def __getattr__(name: str) -> Any:
    """Find a class where it is written today."""
    if name not in _HOMES:
        raise AttributeError(f"module 'skbandit.saved' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
