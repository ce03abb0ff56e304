"""The steps of a fit of one network: encode, train, prune."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_memory

from skbandit._tabular.features.embeddings import Inputs, fold_scale, parameter_arrays
from skbandit._tabular.features.encoder import FeatureEncoder
from skbandit._tabular.network.inference import raw_output
from skbandit._tabular.network.losses import LOSSES
from skbandit._tabular.types import Ending, Network
from skbandit.estimators._callbacks import FitReporter, PathReporter
from skbandit.estimators._fitted import FittedNetwork, layer_sizes
from skbandit.estimators._parameters import as_sizes
from skbandit.estimators._rows import FitTask, split_rows
from skbandit.estimators._state import check_finite, raise_not_finite
from skbandit.pruning.results import Outcome, PruneResult

if TYPE_CHECKING:
    from skbandit._tabular.training.settings import PruneSettings, TrainSettings
    from skbandit._tabular.types import Rows, Trained

#: Fitted attributes that are learned from X and y before there is a network, ...
_LEARNED = ("n_features_in_", "feature_names_in_", "classes_", "n_outputs_")
#: ... and private ones that belong to a network, which an ensemble does not have.
_OF_ONE_FIT = ("_guard_loss", "_input_params", "_n_steps", "_opt_leaves", "_opt_solver", "_trained_sizes")


class FitSteps(FittedNetwork):
    """What a fit consists of, and the parts of it that the subclasses say."""

    @abstractmethod
    def _encode_target(self, y: np.ndarray) -> np.ndarray:
        """Return the target as the loss wants it, f[n, n_targets]."""

    @abstractmethod
    def _learn_target(
        self, y: np.ndarray, weight: np.ndarray, *, reset: bool, incremental: bool = False, classes: Any = None
    ) -> None:
        """Learn from the target what encoding needs (classes; mean and scale), anew or on top of an earlier fit."""

    @abstractmethod
    def _check_target(self, y: np.ndarray) -> None:
        """Raise ValueError if the target does not fit what was learned."""

    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        """Return what the held-out split keeps the shares of."""
        return None

    def _class_weighting(self, y: np.ndarray, weight: np.ndarray) -> Callable[[np.ndarray], np.ndarray | float]:
        """Return the function from targets to the weights that their classes have in the training data."""
        return lambda y: 1.0

    def _as_prediction(self, z: np.ndarray) -> np.ndarray:
        """Return what a network predicts, f[n, n_outputs], from its output layer's pre-activation."""
        return LOSSES[self._loss].link(z)

    @abstractmethod
    def _set_out_of_fold(self, prediction: np.ndarray | None) -> None:
        """Keep the predictions f[n, n_outputs] for the rows that members held out (NaN for others), or none."""

    # ------------------------------------------------------------------ encode

    def _network_output(self, X: Any, features: Callable[[Any], np.ndarray]) -> np.ndarray:
        plain = self._encoder is None and self._inputs.is_identity
        return raw_output(
            X,
            self.coefs_,
            self.intercepts_,
            self._activation,
            self.activation_slopes_,
            None if plain else features,
        )

    def _encode(self, X: Any) -> np.ndarray:
        """Return what the network's inputs read, dense."""
        if self._encoder is None:
            return X
        return self._encoder.transform(X.toarray() if sparse.issparse(X) else X)

    def _embed(self, X: Any) -> np.ndarray:
        """Return what the first layer reads of encoded rows."""
        return self._inputs.features(np, self._input_params, X.toarray() if sparse.issparse(X) else X)

    def _read(self, X: Any) -> np.ndarray:
        return self._embed(self._encode(X))

    # ------------------------------------------------------------------ train and prune

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        from skbandit._core.scope import jax_scope

        with jax_scope(self.dtype, self.device):
            yield

    def _learn_features(self, X: np.ndarray, weight: np.ndarray) -> None:
        """Learn how columns become what a network reads, and forget what an earlier fit left."""
        for name in list(vars(self)):
            if name in _OF_ONE_FIT or (name.endswith("_") and name not in _LEARNED):
                delattr(self, name)
        self.n_members_ = int(self.n_members)
        self._allow_nan = self.preprocessing is not None
        categories = () if self._reader is None else self._reader.categories
        self._encoder, scaled = None, bool(self.input_scaling)
        self._inputs = Inputs(n_dense=X.shape[1], scaled=scaled)
        if self.preprocessing is not None or categories or self.numeric_embedding is not None:
            self._encoder = encoder = FeatureEncoder.fit(
                X,
                weight,
                categories,
                scale=self.preprocessing is not None,
                embed=self.numeric_embedding is not None,
            )
            # Tables are rounded up, so that folds with a category more or less share their programs.
            rows = tuple(1 << (n - 1).bit_length() for n in encoder.cardinalities)
            self._inputs = Inputs(encoder.n_dense, encoder.n_embeddable, self.numeric_embedding, rows, scaled)
        self._describe_network()
        self._split_seed, self._split_start = None, 0.0

    def _new_network(self, encoded: np.ndarray, weight: np.ndarray, rng: np.random.RandomState) -> Network:
        """Draw a new network; its start may depend on the rows, but not on their target."""
        from skbandit._core.scope import single_threaded_blas
        from skbandit._tabular.network.initialization import MOST_ROWS, init_params

        hidden = as_sizes(self.hidden_layer_sizes)
        self._trained_sizes = hidden
        self._opt_leaves = None
        self._n_steps = self.t_ = 0
        self.loss_curve_, self.validation_scores_, self.best_loss_ = [], None, None
        self.kept_units_ = [np.arange(size) for size in hidden]
        sizes = (self._inputs.n_features, *hidden, self.n_outputs_)
        there = np.flatnonzero(weight > 0)
        if self._inputs.looks_at_rows:
            inputs = self._inputs.init(rng, self.dtype, encoded[there], weight[there])
        else:
            inputs = self._inputs.init(rng, self.dtype)
        features = None
        if self.weight_init == "data_driven":
            if there.size > MOST_ROWS or np.ptp(weight[there]) > 0:
                # Drawn in proportion to their weights, they count the same.
                there = there[rng.choice(there.size, MOST_ROWS, p=weight[there] / weight[there].sum())]
            features = self._inputs.features(np, inputs, encoded[there])
        with single_threaded_blas():  # the same network whatever the threads of the process
            layers: Any = init_params(sizes, self.activation, rng, self.dtype, self.weight_init, features)
        if self._parametric:
            layers = (*((W, b, np.ones_like(b)) for W, b in layers[:-1]), layers[-1])
        return Network(inputs, layers)

    def _train(
        self, start: Any, rows: Rows, held_out: Rows | None, settings: TrainSettings, seed: int, reporter: FitReporter
    ) -> tuple[Trained, Any]:
        """Train, or take the dense network from ``memory``."""
        from skbandit._tabular.training import fit as _fit

        reporter.begin("train", settings.max_iter)
        task = (start, self._optimizer_state(), rows, held_out, settings, seed, self._n_steps)
        if self.memory is None:
            # On the device once, for training, damages and fine-tuning.
            data = rows.pad(self.dtype)
            trained = _fit.train(*task, reporter=reporter, data=data)
        else:
            if not isinstance(settings.solver, str) or callable(settings.learning_rate):
                raise ValueError(
                    "'memory' keeps the dense network under the values of the parameters, which needs 'solver' and "
                    f"'learning_rate' given by name. Got solver={self.solver!r}, learning_rate={self.learning_rate!r}."
                )
            data = None
            cached = check_memory(self.memory).cache(_fit.train, ignore=["reporter", "data"])
            kept = cached.call_and_shelve(*task, reporter=reporter, data=None)
            trained = kept.get()
            if trained.status in ("interrupted", "stopped"):
                kept.clear()  # another fit shall train to the end
        reporter.end("train")
        self._check_trained(trained, settings.max_iter)
        return trained, data

    def _check_trained(self, trained: Trained, max_iter: int | None = None) -> None:
        """Raise if training diverged; warn if it did not end by itself within ``max_iter`` epochs."""
        if trained.status == "not finite":
            raise_not_finite(self)
        check_finite(self, (*trained.network.layers, parameter_arrays(trained.network.inputs)))
        # Levels: this method, _train, _fit_network, fit, its two decorators, the caller.
        if trained.status == "interrupted":
            warnings.warn("Training interrupted by user.", UserWarning, stacklevel=7)
        elif trained.status == "max_iter" and max_iter is not None:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
                stacklevel=7,
            )
        elif trained.status == "line search failed":
            warnings.warn("lbfgs ended with a line search that failed.", ConvergenceWarning, stacklevel=7)

    def _prune(
        self,
        network: Network,
        rows: Rows,
        held_out: Rows | None,
        training: TrainSettings,
        settings: PruneSettings,
        seed: int,
        reporter: Any,
        data: Any = None,
    ) -> PruneResult:
        from skbandit._tabular.pruning.task import prune

        result = prune(network, rows, held_out, training, settings, seed, reporter=reporter, data=data)
        if result.outcome == Outcome.INTERRUPTED:
            warnings.warn(f"Pruning interrupted by user after {len(result.history)} rounds.", UserWarning, stacklevel=6)
        elif reporter.interrupted and result.outcome == Outcome.STOPPED:
            result = result._replace(outcome=Outcome.INTERRUPTED, status="interrupted by the user")
        for message in result.warnings:
            warnings.warn(message, UserWarning, stacklevel=6)
        return result

    def _fit_network(self, task: FitTask, rng: np.random.RandomState, reporter: FitReporter) -> np.ndarray | None:
        """Train and prune one network; returns which rows were held out, bool[n], if some were."""
        from skbandit.estimators._settings import prune_settings, train_settings

        warm = hasattr(self, "coefs_")
        start = self._network() if warm else self._new_network(task.encoded, task.weight, rng)
        seeds = rng.randint(np.iinfo(np.int32).max, size=3)
        if self._split_seed is None:
            self._split_seed = int(seeds[0])
        self._n_steps = 0  # a schedule begins anew with each fit
        rows, held_out, held = split_rows(self, task)
        settings = train_settings(self, layer_sizes(start.layers), rows.X.shape[0])
        trained, data = self._train(start, rows, held_out, settings, int(seeds[1]), reporter)
        if reporter.interrupted and trained.status == "stopped":
            trained = trained._replace(status=Ending.INTERRUPTED)  # training itself knows only that it was told to stop
        self._record_training(trained, rows.X.shape[0])
        pruning = prune_settings(self, task.criterion)
        if trained.status == "interrupted" or reporter.interrupted:
            # The user wants to go on: what was learned is kept, and nothing is pruned.
            pruning = dataclasses.replace(pruning, pruning_ratio=0.0)
        network = Network(*fold_scale(*trained.network))
        result = self._prune(network, rows, held_out, settings, pruning, int(seeds[2]), reporter, data)
        self._record_pruning(result)
        return held

    def _prune_network(
        self, task: FitTask, rng: np.random.RandomState, stop: Callable[[], bool] = lambda: False
    ) -> list[Self]:
        """Prune one fitted network, until ``stop()``; returns a copy of the estimator after each round."""
        from skbandit.estimators._settings import prune_settings, train_settings

        seeds = rng.randint(np.iinfo(np.int32).max, size=3)
        # By the seed of the fit: what was held out there is held out here.
        self._split_seed = int(seeds[0]) if self._split_seed is None else self._split_seed
        rows, held_out, _ = split_rows(self, task)
        network = Network(*fold_scale(*self._network()))
        training = train_settings(self, layer_sizes(network.layers), rows.X.shape[0])
        path = PathReporter(self, stop)
        pruning = prune_settings(self, task.criterion)
        result = self._prune(network, rows, held_out, training, pruning, int(seeds[2]), path)
        self._record_pruning(result)
        return path.snapshots
