"""The types that a file with a fitted estimator holds, at the addresses by which the file names them.

A file (of pickle, joblib or skops) names classes by module and name. ``TYPES`` lists those of this package. skops takes
the list as the types to be trusted: ``skops.io.load("model.skops", trusted=skbandit.saved.TYPES)``.

The addresses stay when code moves. ``skbandit.saved.<name>`` stands for a class that is private, and may be written
elsewhere in the next version. The others are the two estimators, and the policies, criteria and rewards, of which
``policy`` may be an object. Version 0.N loads the files that version 0.N or 0.(N-1) has saved.

Parameters that are objects of others (a path or a `joblib.Memory` as ``memory``, a function as ``learning_rate``) add
their own types, and so do pipelines and searches.

Examples
--------
>>> import skbandit.saved
>>> "skbandit.BanditPrunedMLPRegressor" in skbandit.saved.TYPES
True
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

#: What ``policy`` may be an object of, or have in its fields, by module: these modules stay where they are.
_POLICIES = {
    "criteria.ablation": ("BudgetedGreedy", "GreedyLeaveOneOut", "LeaveOneOut"),
    "criteria.activation": ("APoZ", "ActivationVariance", "GreedyActivationVariation"),
    "criteria.bandit": ("Bandit",),
    "criteria.bmrs": ("BMRSNormal", "BMRSUniform", "ExpectedGate", "SignalToNoise"),
    "criteria.gates": ("BiP", "DAIS", "IterativeSoftShrinkage", "MaskDecay"),
    "criteria.gradient": ("Fisher", "OBD", "Taylor"),
    "criteria.reconstruction": ("OBS", "Submodular"),
    "criteria.stable": ("StableUnits",),
    "criteria.warm_start": ("SequentialRacing", "WarmRacing", "WarmStartedBandit", "WarmTopTwoThompson"),
    "criteria.weights": ("Magnitude", "Random"),
    "policies.csar": ("CSAR",),
    "policies.epsilon_greedy": ("EpsilonGreedy",),
    "policies.exp3": ("EXP3",),
    "policies.hedge": ("Hedge",),
    "policies.lucb": ("LUCB",),
    "policies.racing": ("Racing",),
    "policies.softmax": ("Softmax",),
    "policies.thompson": ("GaussianThompson", "Thompson"),
    "policies.top_two_thompson": ("TopTwoThompson",),
    "policies.ucb": ("UCB1",),
    "policies.uniform": ("Uniform",),
    "rewards": ("OffsetClipReward", "SmoothReward"),
}

#: Addresses of all types of the package that a saved estimator may hold.
TYPES: list[str] = [
    "skbandit.BanditPrunedMLPClassifier",
    "skbandit.BanditPrunedMLPRegressor",
    *(f"skbandit.saved.{name}" for name in _HOMES),
    *(f"skbandit.{module}.{name}" for module, names in _POLICIES.items() for name in names),
]

__all__ = ["TYPES"]


def __getattr__(name: str) -> Any:
    """Find a class where it is written today."""
    if name not in _HOMES:
        raise AttributeError(f"module 'skbandit.saved' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
