"""The recipes of the presets before docs/decisions/0023 and 0024, which the ablation takes apart.

``"fast"`` was one network of three layers of 128 (RealMLP-TD-S with dropout and weight decay), ``"strong"`` four
networks of that size with an embedding of numbers (RealMLP-TD).
"""

from __future__ import annotations

from typing import Any

from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor

_PRUNING = {"budget": 8, "n_rounds": 4, "fine_tune_iter": 10, "scope": "global"}
_FAST = _PRUNING | {
    "hidden_layer_sizes": (128, 128, 128),
    "parametric_activation": False,
    "numeric_embedding": None,
    "weight_init": "normal",
    "n_members": 1,
}
_STRONG = _FAST | {
    "parametric_activation": True,
    "numeric_embedding": "periodic",
    "weight_init": "data_driven",
    "n_members": 4,
}
#: What differs from the presets of today, by name and task.
_CHANGES: dict[str, dict[str, dict[str, Any]]] = {
    "fast": {
        "regression": _FAST | {"learning_rate_init": 0.07, "clip_predictions": False},
        "classification": _FAST,
    },
    "strong": {"regression": _STRONG, "classification": _STRONG},
}


def estimator(name: str, task: str, **params: Any) -> Any:
    """Return an unfitted estimator of ``"fast"`` or ``"strong"`` as they were, with some parameters changed."""
    cls = BanditPrunedMLPRegressor if task == "regression" else BanditPrunedMLPClassifier
    return cls.from_preset("fast", **_CHANGES[name][task] | params)
