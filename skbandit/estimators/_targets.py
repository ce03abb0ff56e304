"""Targets: what y means to a network, and what a network's output means to the user.

A target is learned from the y of a fit, and learned on from that of a later one. It encodes y as the loss wants it,
and decodes raw outputs: the output layer's pre-activations f[n, n_outputs], one array for each member, or what computes
them for some rows at a time. Targets are immutable; a copy of an estimator may share one.
"""

from __future__ import annotations

import dataclasses
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self, cast

import numpy as np
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import type_of_target, unique_labels

from skbandit._core.addresses import saved
from skbandit._core.constraints import shown
from skbandit._tabular.model import RawOutputs
from skbandit._tabular.network.losses import LOSSES
from skbandit.estimators._class_weights import balanced_by_label, weights_of_label_sets
from skbandit.estimators._given import (
    as_classes,
    as_labels,
    as_numbers,
    as_weights,
    check_known,
    is_multilabel,
    naming,
    refuse_weights,
)
from skbandit.estimators._moments import Moments

Parameters = Mapping[str, Any]
#: From targets to the weights of their rows.
Weighting = Callable[[np.ndarray], "np.ndarray | float"]
#: Of each member, for all rows.
Raw = Sequence[np.ndarray] | RawOutputs
#: Of the members in a mean; None for equal ones.
Weights = Sequence[float] | None


@dataclasses.dataclass(frozen=True, eq=False)
class Target(ABC):
    """A target.

    Parameters
    ----------
    loss : str
        A key of `LOSSES`.
    n_outputs : int
        Outputs of the network.
    """

    loss: str
    n_outputs: int

    #: Name of the attribute that keeps what members predict for the rows that they held out.
    out_of_fold: ClassVar[str]
    #: Whether y holds classes or labels.
    classifies: ClassVar[bool] = False

    # ------------------------------------------------------------------ learn

    @abstractmethod
    def learn_on(
        self,
        y: np.ndarray,
        weight: np.ndarray,
        params: Parameters,
        owner: str,
        *,
        incremental: bool = False,
        classes: Any = None,
    ) -> Self:
        """Learn from the y of a later call.

        Parameters
        ----------
        y, weight : array of shape (n,) or (n, n_outputs), f[n]
            Checked; the weights are those that the user gave.
        params : mapping
            Parameters of the estimator.
        owner : str
            Name of the estimator, for messages.
        incremental : bool
            Whether more rows will come, by `partial_fit`.
        classes : array-like, optional
            All classes that will come.

        Raises
        ------
        ValueError
            If y does not fit what was learned.
        """

    @property
    def attributes(self) -> dict[str, Any]:
        """What the estimator shows of it."""
        return {"n_outputs_": self.n_outputs}

    @property
    def for_export(self) -> dict[str, Any]:
        """What another library is to know of it (`skbandit.export.sklearn.to_sklearn`)."""
        return {}

    # ------------------------------------------------------------------ y in

    @abstractmethod
    def check(self, y: np.ndarray) -> None:
        """Raise ValueError if y does not fit what was learned."""

    @abstractmethod
    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return y as the loss wants it, f[n, n_targets]."""

    def identify(self, y: np.ndarray) -> np.ndarray:
        """Return what tells rows of the same features apart, f[n, n_targets], whatever the other rows are."""
        return self.encode(y)

    def strata(self, y: np.ndarray) -> np.ndarray | None:
        """Return what the held-out split keeps the shares of, i[n]."""
        return None

    def class_weighting(self, y: np.ndarray, weight: np.ndarray, params: Parameters) -> Weighting:
        """Return the function from targets to the weights that their classes have in the training data."""
        return lambda y: 1.0

    # ------------------------------------------------------------------ predictions out

    @property
    def scale(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Mean and scale f[n_outputs] that a fitted network's last layer carries; None where it carries none."""
        return None

    def ratio_to(self, before: Target) -> np.ndarray | None:
        """Return the scale that another target had over the scale of this one, f[n_outputs]; None where they agree."""
        return None

    def link(self, z: np.ndarray) -> np.ndarray:
        """Return what one network predicts, f[n, n_outputs]."""
        return LOSSES[self.loss].link(z)

    def mean(self, raw: Sequence[np.ndarray], weights: Weights = None) -> np.ndarray:
        """Return the mean of the members' predictions for some rows, f[n, n_outputs]."""
        if len(raw) == 1:
            return self.link(raw[0])
        outputs = [self.link(z) for z in raw]
        if weights is not None:
            weighted = functools.reduce(np.add, [w * output for w, output in zip(weights, outputs, strict=True)])
            low, high = functools.reduce(np.minimum, outputs), functools.reduce(np.maximum, outputs)
            return cast(np.ndarray, np.minimum(np.maximum(weighted, low), high))  # rounding leaves the range of all
        return cast(np.ndarray, functools.reduce(np.add, outputs) / outputs[0].dtype.type(len(outputs)))

    @abstractmethod
    def predict(self, raw: Raw) -> np.ndarray:
        """Return what the estimator predicts."""

    @abstractmethod
    def present(self, prediction: np.ndarray) -> np.ndarray:
        """Return a mean of predictions, f[n, n_outputs], in the shape that the user expects."""


def _for_rows(raw: Raw, of: Callable[[Sequence[np.ndarray], Weights], np.ndarray]) -> np.ndarray:
    """Return what ``of`` makes of raw outputs; where these are still to be computed, for some rows at a time."""
    return raw.map(lambda some: of(some, raw.weights)) if isinstance(raw, RawOutputs) else of(raw, None)


class Kind(NamedTuple):
    """What y is: numbers or classes."""

    read: Callable[[Any], Any]
    """Returns y so that scikit-learn can check it."""
    learn: Callable[..., Target]
    """Learns from the y of a first fit; takes what `Target.learn_on` takes."""
    of_sklearn: Callable[[Any], Target]
    """Returns the target of a fitted MLP of scikit-learn's."""


# ---------------------------------------------------------------------- regression


@saved
@dataclasses.dataclass(frozen=True, eq=False)
class RegressionTarget(Target):
    """Numbers, standardised where the last layer can carry the scale: under the identity link.

    Parameters
    ----------
    y_mean, y_scale : f[n_outputs]
        The network is trained on ``(y - y_mean) / y_scale``.
    y_range : f[2, n_outputs] or None
        Least and largest value that was seen, where predictions are clipped.
    moments : Moments or None
        Of the rows that mean and scale were learned from; None where they were not learned.
    """

    y_mean: np.ndarray
    y_scale: np.ndarray
    y_range: np.ndarray | None = None
    moments: Moments | None = None

    out_of_fold: ClassVar[str] = "oof_prediction_"

    @classmethod
    def learn(
        cls,
        y: np.ndarray,
        weight: np.ndarray,
        params: Parameters,
        owner: str,
        *,
        incremental: bool = False,
        classes: Any = None,
    ) -> RegressionTarget:
        """Learn the mean and the spread of y."""
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        target = cls(params["loss"], n_outputs, np.zeros(n_outputs), np.ones(n_outputs))
        target.check(y)
        seen = target._seen(y, weight) if params["clip_predictions"] else None
        target = dataclasses.replace(target, y_range=seen)
        # float32's resolution, so that what the network gives out does not show beside the mean; but where more rows
        # will come, they come on a scale that is not known.
        return target._standardised(
            Moments.of(target._columns(y), weight),
            params["dtype"],
            lambda size: np.ones(n_outputs) if incremental else _RESOLUTION * size,
        )

    def learn_on(
        self,
        y: np.ndarray,
        weight: np.ndarray,
        params: Parameters,
        owner: str,
        *,
        incremental: bool = False,
        classes: Any = None,
    ) -> Self:
        """Learn mean and spread anew, from `partial_fit` those of all rows so far; the range grows.

        The last layer of the network is unfolded with the new scale (`Model.to_layers`), so that it predicts the same.
        """
        self.check(y)
        target = self
        if self.y_range is not None and weight.any():
            low, high = self._seen(y, weight)
            y_range = np.array([np.minimum(self.y_range[0], low), np.maximum(self.y_range[1], high)])
            target = dataclasses.replace(self, y_range=y_range)
        if not weight.any():
            return target
        moments = Moments.of(self._columns(y), weight)
        if incremental and self.moments is not None:
            moments = self.moments.merged(moments)
        target = target._standardised(moments, params["dtype"], lambda size: self.y_scale)
        with np.errstate(over="ignore"):
            held = self.y_scale / target.y_scale < 1e-4 * np.finfo(params["dtype"]).max
        if not held.all():
            raise ValueError(
                f"The values of y spread by {target.y_scale[~held][0]:.3g}, and those of earlier calls by "
                f"{self.y_scale[~held][0]:.3g}: in units of the new spread, dtype={params['dtype']!r} cannot hold the "
                "network. Rescale y, or fit a new network."
            )
        return target

    def _columns(self, y: np.ndarray) -> np.ndarray:
        return y.reshape(-1, self.n_outputs).astype(np.float64)

    def _seen(self, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
        there = self._columns(y)[weight > 0]
        return np.array([there.min(axis=0), there.max(axis=0)])

    def _standardised(self, moments: Moments, dtype: str, stand_in: Callable[[np.ndarray], np.ndarray]) -> Self:
        """Take mean and spread over; ``stand_in`` is the scale of a constant target, by the size of its values."""
        if LOSSES[self.loss].out_activation != "identity":
            return self
        mean, spread = moments.mean, moments.spread
        # The last layer carries the scale: its weights, up to some thousands of it, must be numbers of the dtype.
        size = np.abs(mean)
        # A constant target leaves rounding as its spread.
        constant = spread <= 10 * np.finfo(np.float64).eps * size
        limits = np.finfo(dtype)
        held = (spread < 1e-4 * limits.max) & (constant | (spread > 1e4 * limits.tiny))
        if not held.all():
            raise ValueError(
                f"The values of y spread by {spread[~held][0]:.3g}, which dtype={dtype!r} cannot hold. Rescale y."
            )
        smallest = 1e4 * limits.tiny / _RESOLUTION
        stands_in = np.minimum(stand_in(np.where(size > 0, np.maximum(size, smallest), 1.0)), 1e-4 * limits.max)
        scale = np.where(constant, stands_in, spread)
        return dataclasses.replace(self, y_mean=mean, y_scale=scale, moments=moments)

    @classmethod
    def of_sklearn(cls, mlp: Any) -> RegressionTarget:
        """Return the target of a fitted MLP of scikit-learn's."""
        n_outputs = mlp.coefs_[-1].shape[1]
        return cls(mlp.loss, n_outputs, np.zeros(n_outputs), np.ones(n_outputs))

    @property
    def for_export(self) -> dict[str, Any]:
        """Whether predictions are clipped."""
        return {"clipped": self.y_range is not None}

    def check(self, y: np.ndarray) -> None:
        """Raise ValueError for another number of outputs, and for values that the loss does not allow."""
        n_outputs = 1 if y.ndim == 1 else y.shape[1]
        if n_outputs != self.n_outputs:
            raise ValueError(f"y has {n_outputs} outputs, but the network was fitted to {self.n_outputs}.")
        domain = LOSSES[self.loss].domain
        if domain is not None and not domain.accepts(y):
            raise ValueError(f"Some values of y are {domain.complaint}")

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return the standardised target, f[n, n_outputs]."""
        return cast(np.ndarray, (y.reshape(-1, self.n_outputs) - self.y_mean) / self.y_scale)

    def identify(self, y: np.ndarray) -> np.ndarray:
        """Return y as it is, f[n, n_outputs]."""
        # Not what is encoded: the mean depends on the other rows, to the last bit.
        return y.reshape(len(y), -1)

    @property
    def scale(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Mean and scale of y, f[n_outputs] each."""
        return self.y_mean, self.y_scale

    def ratio_to(self, before: Target) -> np.ndarray | None:
        """Return the scale that another target had over the scale of this one, f[n_outputs]; None where they agree."""
        assert isinstance(before, RegressionTarget)
        ratio: np.ndarray = before.y_scale / self.y_scale
        return None if (ratio == 1).all() else ratio

    def link(self, z: np.ndarray) -> np.ndarray:
        """Return predictions, clipped to the range that was seen where that is asked for."""
        prediction = LOSSES[self.loss].link(z)
        if self.y_range is None:
            return prediction
        low, high = self.y_range.astype(prediction.dtype)
        return cast(np.ndarray, np.minimum(np.maximum(prediction, low), high))  # of a row in a third of np.clip's time

    def predict(self, raw: Raw) -> np.ndarray:
        """Return predicted values."""
        return self.present(_for_rows(raw, self.mean))

    def present(self, prediction: np.ndarray) -> np.ndarray:
        """Return f[n] where there is one output."""
        return prediction.ravel() if self.n_outputs == 1 else prediction


_RESOLUTION = np.finfo(np.float32).eps


REGRESSION = Kind(as_numbers, RegressionTarget.learn, RegressionTarget.of_sklearn)


# ---------------------------------------------------------------------- classification


@dataclasses.dataclass(frozen=True, eq=False)
class ClassificationTarget(Target):
    """Classes or sets of labels: `learn` says which.

    Parameters
    ----------
    classes : array of shape (n_classes,)
    """

    classes: np.ndarray

    out_of_fold: ClassVar[str] = "oof_decision_function_"
    classifies: ClassVar[bool] = True
    multilabel: ClassVar[bool]

    @classmethod
    def learn(
        cls,
        y: np.ndarray,
        weight: np.ndarray,
        params: Parameters,
        owner: str,
        *,
        incremental: bool = False,
        classes: Any = None,
    ) -> ClassificationTarget:
        """Learn the classes; y says whether they are sets of labels."""
        multilabel = is_multilabel(y, params, owner, incremental)
        seen = np.arange(y.shape[1]) if multilabel else unique_labels(y)
        if incremental and not multilabel:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            seen = as_labels(classes)
        if len(seen) < 2 and not multilabel:
            raise ValueError(f"{owner} needs at least 2 classes in y; it has only one class: {seen.tolist()[0]!r}.")
        target = _target_of_classes(seen, multilabel)
        target.check(y)
        return target

    def learn_on(
        self,
        y: np.ndarray,
        weight: np.ndarray,
        params: Parameters,
        owner: str,
        *,
        incremental: bool = False,
        classes: Any = None,
    ) -> Self:
        """Check that the classes are the same."""
        is_multilabel(y, params, owner, incremental)
        if classes is not None and not np.array_equal(self.classes, as_labels(classes)):
            raise ValueError(f"classes={shown(classes)} is not the same as on the last call, {self.classes!r}.")
        self.check(y)
        return self

    @classmethod
    def of_sklearn(cls, mlp: Any) -> ClassificationTarget:
        """Return the target of a fitted MLP of scikit-learn's."""
        # Logistic outputs, one for each class: that is a multi-label network.
        multilabel = mlp.out_activation_ == "logistic" and mlp.coefs_[-1].shape[1] > 1
        return _target_of_classes(np.asarray(mlp.classes_), multilabel)

    @property
    def attributes(self) -> dict[str, Any]:
        """What the estimator shows of it."""
        return {"classes_": self.classes, **super().attributes}

    @property
    def for_export(self) -> dict[str, Any]:
        """The classes, and whether a row may have several of them."""
        return {"classes": self.classes, "multilabel": self.multilabel}

    def check(self, y: np.ndarray) -> None:
        """Raise ValueError for classes that were not learned."""
        multilabel = naming("y", lambda: type_of_target(y)) == "multilabel-indicator"
        if multilabel != self.multilabel:
            words = {True: "a multi-label indicator", False: "one class per row"}
            raise ValueError(f"y is {words[multilabel]}, but the earlier fit had {words[self.multilabel]}.")
        if multilabel and y.shape[1] != len(self.classes):
            raise ValueError(f"y has {y.shape[1]} labels, but the earlier fit had {len(self.classes)}.")
        classes = self.classes if multilabel else naming("y", lambda: unique_labels(y))
        check_known(classes, self.classes)

    def class_weighting(self, y: np.ndarray, weight: np.ndarray, params: Parameters) -> Weighting:
        """Return the function from targets to the weights of their classes; checks ``class_weight``."""
        class_weight = params["class_weight"]
        if class_weight is None:
            return super().class_weighting(y, weight, params)
        weights = self._class_weights(y, weight, class_weight)
        if not weights.any():
            refuse_weights(class_weight)
        return lambda y: self._weights_of_rows(y, weights)

    @abstractmethod
    def _class_weights(self, y: np.ndarray, weight: np.ndarray, class_weight: Any) -> np.ndarray:
        """Return the weight of each class, or f[n_labels, 2]."""

    @abstractmethod
    def _weights_of_rows(self, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return what the weights of classes are for rows, f[n]."""

    def probabilities(self, raw: Raw) -> np.ndarray:
        """Return the mean of the members' probabilities, f[n, n_classes]."""
        return _for_rows(raw, lambda raw, weights: self.present(self.mean(raw, weights)))

    def log_probabilities(self, raw: Raw) -> np.ndarray:
        """Return logarithms of mean probabilities, from the logits: finite where a probability is not representable."""
        return _for_rows(raw, self._log_mean)

    def _log_mean(self, raw: Sequence[np.ndarray], weights: Weights) -> np.ndarray:
        each = [self._log_probabilities(z) for z in raw]
        if len(each) == 1:
            return each[0]
        shares = np.full(len(each), 1 / len(each)) if weights is None else np.array(weights)
        each = [lp + log.astype(lp.dtype) for lp, log in zip(each, np.log(shares), strict=True)]
        return cast(np.ndarray, np.logaddexp.reduce(each, axis=0))

    @abstractmethod
    def _log_probabilities(self, z: np.ndarray) -> np.ndarray:
        """Return the logarithms of one network's probabilities."""

    def predict(self, raw: Raw) -> np.ndarray:
        """Return the classes or sets of labels, by the logits of one network or the mean probability of several."""
        return _for_rows(raw, self._decided)

    def _decided(self, raw: Sequence[np.ndarray], weights: Weights) -> np.ndarray:
        if len(raw) == 1:
            return self._decide(raw[0], 0.0)
        return self._decide(self.mean(raw, weights), 0.5)

    @abstractmethod
    def _decide(self, z: np.ndarray, threshold: float) -> np.ndarray:
        """Return the classes of logits or probabilities, f[n, n_outputs]."""


@saved
class ClassTarget(ClassificationTarget):
    """One class for each row: one output for two classes, else one for each."""

    multilabel: ClassVar[bool] = False

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return the number of each row's class, f[n, 1]."""
        return self._codes(y).astype(np.float64)[:, None]

    def strata(self, y: np.ndarray) -> np.ndarray | None:
        """Return the number of each row's class, i[n]."""
        return self._codes(y)

    def _codes(self, y: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.classes, y)

    def _class_weights(self, y: np.ndarray, weight: np.ndarray, class_weight: Any) -> np.ndarray:
        if isinstance(class_weight, dict):
            return as_weights(class_weight, self.classes.tolist(), class_weight)
        if isinstance(class_weight, list):
            raise ValueError(
                f"class_weight as a list of dicts is for multi-label targets. Got {shown(class_weight)}: give one dict."
            )
        weights = np.ones(len(self.classes))
        counts = weight > 0
        present = unique_labels(y[counts])
        weights[self._codes(present)] = compute_class_weight(
            class_weight, classes=present, y=y[counts], sample_weight=weight[counts]
        )
        return weights

    def _weights_of_rows(self, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return cast(np.ndarray, weights[self._codes(y)])

    def _log_probabilities(self, z: np.ndarray) -> np.ndarray:
        if z.shape[1] == 1:
            return np.column_stack([-np.logaddexp(0, z), -np.logaddexp(0, -z)])
        return z - np.logaddexp.reduce(z, axis=1, keepdims=True)

    def _decide(self, z: np.ndarray, threshold: float) -> np.ndarray:
        codes = (z[:, 0] > threshold).astype(int) if z.shape[1] == 1 else z.argmax(axis=1)
        return cast(np.ndarray, self.classes[codes])

    def present(self, prediction: np.ndarray) -> np.ndarray:
        """Return the probability of each class, f[n, n_classes]."""
        return np.column_stack([1 - prediction, prediction]) if prediction.shape[1] == 1 else prediction


@saved
class LabelTarget(ClassificationTarget):
    """A set of labels for each row, as an indicator matrix: one output for each label."""

    multilabel: ClassVar[bool] = True

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return the indicator matrix, f[n, n_labels]."""
        return np.asarray(y, np.float64)

    def _class_weights(self, y: np.ndarray, weight: np.ndarray, class_weight: Any) -> np.ndarray:
        n_labels = len(self.classes)
        if isinstance(class_weight, str):
            return balanced_by_label(np.asarray(y), weight)
        given = class_weight if isinstance(class_weight, list) else []
        if len(given) != n_labels or not all(isinstance(w, dict) and set(w) <= {0, 1} for w in given):
            raise ValueError(
                f"For a multi-label target class_weight must be 'balanced' or a list of {n_labels} dicts with the "
                f"keys 0 and 1. Got {shown(class_weight)}."
            )
        return np.array([as_weights(weights, [0, 1], class_weight) for weights in given])

    def _weights_of_rows(self, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return weights_of_label_sets(np.asarray(y), weights)

    def _log_probabilities(self, z: np.ndarray) -> np.ndarray:
        return cast(np.ndarray, -np.logaddexp(0, -z))

    def _decide(self, z: np.ndarray, threshold: float) -> np.ndarray:
        return (z > threshold).astype(int)

    def present(self, prediction: np.ndarray) -> np.ndarray:
        """Return the probability of each label, f[n, n_labels]."""
        return prediction


CLASSIFICATION = Kind(as_classes, ClassificationTarget.learn, ClassificationTarget.of_sklearn)


def _target_of_classes(classes: np.ndarray, multilabel: bool) -> ClassificationTarget:
    if multilabel:
        return LabelTarget("binary_log_loss", len(classes), classes)
    if len(classes) == 2:
        return ClassTarget("binary_log_loss", 1, classes)
    return ClassTarget("log_loss", len(classes), classes)
