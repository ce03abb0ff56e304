"""What the constructors do: keep each argument, unchanged, as the attribute of its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import os

    import joblib
    import optax

    from skbandit.criteria import Criterion
    from skbandit.policies import Policy


#: Parameters that came later, with the values that models saved before them behave by.
_OF_MODELS_BEFORE = {"member_weights": "uniform"}


class Constructor:
    """Types and assignment of the constructor parameters that both estimators have.

    Each estimator declares ``__init__`` with its signature in full, for scikit-learn and editors to read, and one line:
    ``self._keep(locals())``. `skbandit.estimators._parameters` says what a parameter means.
    """

    hidden_layer_sizes: int | Sequence[int]
    activation: str
    parametric_activation: bool
    preprocessing: str | None
    categorical_features: str | Sequence[bool | int | str] | np.ndarray | None
    categories: Mapping[Any, Any] | None
    numeric_embedding: str | Sequence[str | None] | None
    input_scaling: bool
    parametrization: str
    weight_init: str
    solver: str | optax.GradientTransformation
    alpha: float
    batch_size: int | str
    balanced_batches: bool
    learning_rate: str | Callable[[Any], Any]
    learning_rate_init: float
    power_t: float
    dropout: float
    regularization_schedule: str
    max_iter: int | str
    shuffle: bool
    random_state: int | np.random.RandomState | None
    tol: float
    verbose: bool | int
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    validation_metric: str
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    n_members: int
    member_weights: str
    policy: str | Policy | Criterion
    budget: float
    pruning_ratio: float | str
    tolerance: float
    scope: str
    n_rounds: int | str
    ablation: str
    compensate: bool
    fine_tune_iter: int | str
    calibration: str
    memory: str | os.PathLike[str] | joblib.Memory | None
    dtype: str
    device: str | None

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a saved estimator, also one that was saved before some parameter existed."""
        super().__setstate__(_OF_MODELS_BEFORE | state)  # type: ignore[misc]  # of scikit-learn's base class

    def _keep(self, given: dict[str, Any]) -> None:
        """Set the attributes of a new estimator.

        Parameters
        ----------
        given : dict
            ``locals()`` at the beginning of ``__init__``: the arguments, and ``self``.
        """
        for name, value in given.items():
            if name not in ("self", "__class__"):  # the latter is there if __init__ calls super()
                setattr(self, name, value)
