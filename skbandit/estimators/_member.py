"""One network: drawn, trained, pruned. Knows no estimator: it is given parameters, and returns records."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skbandit._tabular.features.embeddings import fold_scale
from skbandit._tabular.features.sparse_rows import dense
from skbandit._tabular.model import Architecture, Model
from skbandit._tabular.network.losses import LOSSES
from skbandit._tabular.types import Ending, Network, Rows, Trained
from skbandit.estimators._callbacks import FitReporter, PathReporter
from skbandit.estimators._fitted import Member
from skbandit.estimators._memory import remembered
from skbandit.estimators._notes import Note, Notes
from skbandit.estimators._rows import FitTask, Split, split_rows, window_of
from skbandit.estimators._state import raise_not_finite
from skbandit.estimators._trained import STORE, digest, is_on
from skbandit.pruning.results import Outcome, PruneResult

if TYPE_CHECKING:
    from skbandit._tabular.training.settings import PruneSettings, TrainSettings
    from skbandit.estimators._targets import Target

Parameters = Mapping[str, Any]


#: Rows that the bins of embedded numbers are learned from, at most: sixteen quantiles of so many are good to a percent.
_MOST_BIN_ROWS = 2**14
#: A network says more than a constant if its held-out loss is lower by this share: of squared error, an R² of it.
_MORE_THAN_A_CONSTANT = 0.02
#: A training of fewer epochs has hardly begun, and its user knows. Fewer effective rows may speak against any network.
_FEWEST_EPOCHS, _FEWEST_JUDGES = 10, 20


class Judgement(NamedTuple):
    """What held-out rows say of a network's best epoch."""

    loss: float
    """Of the network: that of smoothed labels, or 1 - R²."""
    constant: float
    """Of the constant that fits these rows best."""
    n_judges: float
    """How many they are, effectively."""


class Fitted(NamedTuple):
    """What a fit of one network comes to."""

    member: Member
    held: np.ndarray | None
    """Which rows were held out, bool[n], if some were."""
    interrupted: bool
    """Whether the user interrupted training or pruning."""
    judgement: Judgement | None = None


class Pruned(NamedTuple):
    """What a pruning of one network comes to."""

    member: Member
    path: list[Member]
    """The network after each round."""
    held: np.ndarray | None
    """Which rows were held out, bool[n]; None where the network may have learned from some of them before."""
    interrupted: bool
    """Whether the user interrupted it."""


# ---------------------------------------------------------------------- draw


def draw_network(
    architecture: Architecture, params: Parameters, encoded: Any, weight: np.ndarray, rng: np.random.RandomState
) -> Network:
    """Draw a new network; its start may depend on the rows, but not on their target."""
    from skbandit._core.scope import single_threaded_blas
    from skbandit._tabular.network.initialization import FEWEST_ROWS, MOST_ROWS, MOST_VALUES, init_params
    from skbandit._tabular.types import Network

    inputs, dtype = architecture.inputs, params["dtype"]
    there = np.flatnonzero(weight > 0)
    if inputs.looks_at_rows:
        # The same for all members, which can then share their bins in prediction.
        n_most = int(np.clip(MOST_VALUES // max(inputs.n_columns, 1), FEWEST_ROWS, _MOST_BIN_ROWS))
        some, counts = there, weight[there]
        if some.size > n_most:
            some, counts = distinct_rows(encoded.X, weight, there, dtype)
        if some.size > n_most:
            some, counts = _at_equal_steps(some, counts, n_most, 0.5)
        input_params = inputs.init(rng, dtype, dense(encoded[some]), counts)
    else:
        input_params = inputs.init(rng, dtype)
    features, masses = None, None
    if params["weight_init"] == "data_driven":
        n_most = int(np.clip(MOST_VALUES // max(inputs.n_features, 1), FEWEST_ROWS, MOST_ROWS))
        distinct, masses = distinct_rows(encoded.X, weight, there, dtype)
        if distinct.size > n_most:
            distinct, masses = _at_equal_steps(distinct, masses, n_most, rng.uniform())
        features = inputs.features(np, input_params, dense(encoded[distinct]))
    sizes, activation = architecture.layer_sizes(), params["activation"]
    with single_threaded_blas():  # the same network whatever the threads of the process
        layers: Any = init_params(sizes, activation, rng, dtype, params["weight_init"], features, masses)
    if architecture.parametric:
        layers = (*((W, b, np.ones_like(b)) for W, b in layers[:-1]), layers[-1])
    return Network(input_params, layers)


def _at_equal_steps(rows: np.ndarray, weight: np.ndarray, n_most: int, offset: float) -> tuple[np.ndarray, np.ndarray]:
    """Return ``n_most`` of some rows, at equal steps of the cumulated weight: each stands for the same."""
    filled = np.cumsum(weight)
    at = np.searchsorted(filled, (np.arange(n_most) + offset) / n_most * filled[-1], side="right")
    return rows[np.minimum(at, rows.size - 1)], np.ones(n_most)


def distinct_rows(X: Any, weight: np.ndarray, there: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Return rows without their copies, and summed weights, both in an order that depends on what the rows hold.

    So what is drawn of them is the same for a weight as for copies of a row, in whatever order.

    Parameters
    ----------
    X, weight : f[n, n_features], f[n]
    there : i[m]
        The rows to look at.
    dtype : {"float32", "float64"}
        The precision in which rows are compared.
    """
    from skbandit._tabular.features.hashing import row_ranks

    _, first, inverse = np.unique(row_ranks(X, 0, dtype)[there], return_index=True, return_inverse=True)
    return there[first], np.bincount(inverse, weight[there])


def network_of(member: Member, target: Target, dtype: str) -> Network:
    """Return a member's network as training left it: of the encoded target, its scale not folded."""
    from skbandit._tabular.types import Network

    return Network(*member.model.to_layers(target.scale, dtype))


def new_member(
    architecture: Architecture, start: Network, target: Target, dtype: str, seed: int | None, at: float
) -> Member:
    """Return the record of a network that was drawn; rows are held out in the order of ``seed``, from ``at`` on."""
    inputs, layers = fold_scale(*start)
    return Member.new(Model.of_layers(architecture, inputs, layers, target.scale, dtype), seed, at)


def resume(
    member: Member, task: FitTask, rng: np.random.RandomState
) -> tuple[Member, Network, list[np.ndarray] | None]:
    """Return a network by what is known of X and y now: it computes the same.

    Parameters
    ----------
    member : Member
    task : FitTask
    rng : numpy.random.RandomState
        Draws what is new about the network.

    Returns
    -------
    member : Member
    start : Network
        To go on from.
    state : list of arrays or None
        Of the optimizer.
    """
    params, dtype = task.params, task.params["dtype"]
    state = member.training.state_for(params)
    if task.resumed is None:
        return member, network_of(member, task.target, dtype), state
    columns, target = task.resumed
    before = network_of(member, target, dtype)
    if columns is not None:
        # An int as random_state is the same in each call: the rows seen so far make the draws differ.
        seed = (int(rng.randint(np.iinfo(np.int32).max)) + member.training.n_rows) % 2**31
        columns = columns.for_embedding(member.architecture.inputs.embedding)
        member = dataclasses.replace(member, model=columns.model(member.model, np.random.RandomState(seed)))
    start = network_of(member, task.target, dtype)
    if state is not None:
        from skbandit._tabular.training.resumption import resumed_state

        ratio = task.target.ratio_to(target)
        state = resumed_state(state, params["solver"], before, start, columns, ratio)
    return member, start, state


# ---------------------------------------------------------------------- train and prune


def fit_member(
    before: Member | None,
    architecture: Architecture,
    task: FitTask,
    rng: np.random.RandomState,
    reporter: FitReporter,
    notes: Notes,
    *,
    order: tuple[int | None, float] = (None, 0.0),
) -> Fitted:
    """Train and prune one network.

    Parameters
    ----------
    before : Member or None
        The network to go on with; None for a new one.
    architecture : Architecture
    task : FitTask
    rng : numpy.random.RandomState
    reporter : FitReporter
    notes : Notes
        Where to put what the user is to be told.
    order : tuple (seed or None, start)
        Of a new network: which rows it holds out. Without a seed one is drawn.
    """
    from skbandit.estimators._settings import notes_on_batches, prune_settings, train_settings

    params, target, dtype = task.params, task.target, task.params["dtype"]
    if before is None:
        start = draw_network(architecture, params, task.train.features, task.train.rows.weight, rng)
        member, state = new_member(architecture, start, target, dtype, *order), None
    else:
        member, start, state = resume(before, task, rng)
    seeds = rng.randint(np.iinfo(np.int32).max, size=3)
    seed = int(seeds[0]) if member.split_seed is None else member.split_seed
    member = dataclasses.replace(member, split_seed=seed)
    split = split_rows(task, seed, member.split_start, notes)
    rows, held_out = split.rows, split.held_out
    n_rows = rows.X.shape[0]
    notes.add(*notes_on_batches(params, n_rows))
    settings = _for_split(train_settings(params, architecture, member.model.hidden_layer_sizes, n_rows), split)
    reporter.attributes = reveal_layers(member, target, dtype)
    trained, data = _train(start, state, rows, held_out, settings, int(seeds[1]), params, reporter, notes)
    notes.add(*_notes_on_training(trained, settings.max_iter))
    if reporter.interrupted and trained.status == Ending.STOPPED:
        trained = trained._replace(status=Ending.INTERRUPTED)  # training itself knows only that it was told to stop
    member = member.trained(trained, target, params, n_rows, goes_on=bool(params["warm_start"]))
    reporter.attributes = reveal_layers(member, target, dtype)
    # The user who interrupts wants to go on: what was learned is kept, and nothing is pruned.
    ended = trained.status == Ending.INTERRUPTED or reporter.interrupted
    n_trained = sum(architecture.hidden_layer_sizes)
    pruning = prune_settings(params, task.criterion, n_trained, member.pruning.n_left, none=ended)
    network = trained.network.folded()
    result = _prune(network, rows, held_out, settings, pruning, int(seeds[2]), reporter, notes, data)
    judgement = None if ended else _judgement(trained, split, target, params)
    interrupted = trained.status == Ending.INTERRUPTED or result.outcome == Outcome.INTERRUPTED
    window = None if _repaired_on_held_out(result, params) else window_of(task, split.held)
    if before is not None and before.window != window:  # it was trained on other rows before, these among them perhaps
        window = None
    member = dataclasses.replace(member.pruned(result, target, params), window=window)
    return Fitted(member, split.held, interrupted, judgement)


def _repaired_on_held_out(result: PruneResult, params: Parameters) -> bool:
    """Say whether pruning has measured and repaired on rows that were held out."""
    return bool(result.history) and params["calibration"] != "train"


def prune_member(
    member: Member, task: FitTask, rng: np.random.RandomState, reporter: PathReporter, notes: Notes
) -> Pruned:
    """Prune one fitted network further.

    Parameters
    ----------
    member : Member
    task : FitTask
    rng : numpy.random.RandomState
    reporter : PathReporter
    notes : Notes
        Where to put what the user is to be told.
    """
    from skbandit.estimators._settings import notes_on_batches, prune_settings, train_settings

    params, target, architecture = task.params, task.target, member.architecture
    seeds = rng.randint(np.iinfo(np.int32).max, size=3)
    # By the seed of the fit: what was held out there is held out here.
    seed = int(seeds[0]) if member.split_seed is None else member.split_seed
    member = dataclasses.replace(member, split_seed=seed)
    split = split_rows(task, seed, member.split_start, notes)
    n_rows = split.rows.X.shape[0]
    notes.add(*notes_on_batches(params, n_rows))
    network = network_of(member, target, params["dtype"]).folded()
    training = _for_split(train_settings(params, architecture, member.model.hidden_layer_sizes, n_rows), split)
    n_trained = sum(architecture.hidden_layer_sizes)
    pruning = prune_settings(params, task.criterion, n_trained, member.pruning.n_left)
    result = _prune(network, split.rows, split.held_out, training, pruning, int(seeds[2]), reporter, notes)
    if _repaired_on_held_out(result, params):
        member = dataclasses.replace(member, window=None)
    path = [member.pruned(of_round, target, params) for of_round in reporter.results]
    known = member.window is not None and window_of(task, split.held) == member.window
    held = split.held if known else None
    return Pruned(member.pruned(result, target, params), path, held, result.outcome == Outcome.INTERRUPTED)


def train_epoch(
    before: Member | None,
    architecture: Architecture,
    task: FitTask,
    rng: np.random.RandomState,
    reporter: FitReporter,
    notes: Notes,
    *,
    anew: bool = False,
    order: tuple[int | None, float] = (None, 0.0),
) -> Member:
    """Train for one epoch on all rows, as `partial_fit` does; the optimizer's state goes on from call to call.

    Parameters
    ----------
    before : Member or None
        The network to go on with; None for a new one.
    architecture : Architecture
    task : FitTask
    rng : numpy.random.RandomState
    reporter : FitReporter
    notes : Notes
        Where to put what the user is to be told.
    anew : bool
        Whether to draw a new network and go on with nothing but the record of training.
    order : tuple (seed or None, start)
        Of a new network: which rows later fits hold out.
    """
    from skbandit._tabular.training import fit as _fit
    from skbandit.estimators._settings import incremental_settings, notes_on_batches, train_settings

    params, target, rows = task.params, task.target, task.train.rows
    if before is None or anew:
        start = draw_network(architecture, params, task.train.features, rows.weight, rng)
        member, state = new_member(architecture, start, target, params["dtype"], *order), None
        if before is not None:
            record = dataclasses.replace(before.training, optimizer=None, n_rows=0)  # those come again
            member = dataclasses.replace(member, training=record)
    else:
        member, start, state = resume(before, task, rng)
    weight = rows.weight * target.class_weighting(rows.y, rows.weight, params)(rows.y)
    X = task.train.features.laid_out(params["dtype"])
    data = Rows(X, target.encode(rows.y), weight, task.train.row_id)
    n_rows = rows.X.shape[0]
    notes.add(*notes_on_batches(params, n_rows))
    settings = incremental_settings(train_settings(params, architecture, member.model.hidden_layer_sizes, n_rows))
    # An int as random_state is the same in each call: the rows seen so far make the shuffles differ.
    seed = (int(rng.randint(np.iinfo(np.int32).max)) + member.training.n_rows) % 2**31
    reporter.attributes = reveal_layers(member, target, params["dtype"])
    trained = _fit.train(start, state, data, None, settings, seed, member.training.n_steps, reporter=reporter)
    if trained.status == Ending.NOT_FINITE:
        raise_not_finite(params["learning_rate_init"])
    notes.add(*_notes_on_training(trained))
    return dataclasses.replace(member.trained(trained, target, params, n_rows, goes_on=True), window=None)


def reveal_layers(member: Member, target: Target, dtype: str) -> Any:
    """Return the function from layers in mid-fit to what the estimator would show if the fit ended there."""

    def attributes(layers: Any, input_params: dict[str, Any] | None = None) -> dict[str, Any]:
        return revealed(member.with_layers(layers, target, dtype, input_params))

    return attributes


def revealed(member: Member) -> dict[str, Any]:
    """Return the attributes of an estimator that has this one network."""
    return {"n_members_": 1, "_member": member, **member.attributes}


def _for_split(settings: TrainSettings, split: Split) -> TrainSettings:
    """Return how to train where no rows judge, or where those that judge are those that train."""
    if split.held_out is None:
        return dataclasses.replace(settings, early_stopping=False)
    return dataclasses.replace(settings, hyper=settings.hyper._replace(keep_last=float(split.all_cut)))


def _train(
    start: Network,
    state: list[np.ndarray] | None,
    rows: Rows,
    held_out: Rows | None,
    settings: TrainSettings,
    seed: int,
    params: Parameters,
    reporter: FitReporter,
    notes: Notes,
) -> tuple[Trained, Any]:
    """Train, or take the dense network from ``memory`` or from this process; raises ValueError if training diverges.

    Returns
    -------
    trained : Trained
    data : Data or None
        The training rows on the device, where they were put there.
    """
    from skbandit._tabular.training import fit as _fit

    reporter.begin("train", settings.max_iter)
    task = (start, state, rows, held_out, settings, seed, 0)  # a schedule begins anew with each fit
    data = None
    if params["memory"] is not None:
        if not isinstance(settings.solver, str) or callable(settings.learning_rate):
            raise ValueError(
                "'memory' keeps the dense network under the values of the parameters, which needs 'solver' and "
                f"'learning_rate' given by name. Got solver={params['solver']!r}, "
                f"learning_rate={params['learning_rate']!r}."
            )
        trained = remembered(params["memory"], task, lambda: _fit.train(*task, reporter=reporter), notes)
    else:
        # Who watches wants to see the epochs, and a warm start goes on from the optimizer's state, which is not kept.
        alone = state is None and not (reporter.callbacks or reporter.verbose or params["warm_start"])
        key = digest(start, rows, held_out, settings, seed) if alone and is_on() else None
        found = None if key is None else STORE.find(key)
        if found is None:
            data = rows.pad(params["dtype"])  # on the device once, for training, damages and fine-tuning
            found = _fit.train(*task, reporter=reporter, data=data)
            if key is not None:
                STORE.keep(key, found)
        trained = found
    reporter.end("train")
    if trained.status == Ending.NOT_FINITE:
        raise_not_finite(params["learning_rate_init"])
    return trained, data


def _notes_on_training(trained: Trained, max_iter: int | None = None) -> list[Note]:
    """Return what to tell of a training that did not end by itself, within ``max_iter`` epochs."""
    if trained.status == Ending.INTERRUPTED:
        return [Note("Training interrupted by user.")]
    if trained.status == Ending.MAX_ITER and max_iter is not None:
        text = (
            f"Stochastic Optimizer: Maximum iterations ({max_iter}) reached and the optimization hasn't converged yet."
        )
        return [Note(text, ConvergenceWarning)]
    if trained.status == Ending.LINE_SEARCH_FAILED:
        return [Note("lbfgs ended with a line search that failed.", ConvergenceWarning)]
    return []


def _judgement(trained: Trained, split: Split, target: Target, params: Parameters) -> Judgement | None:
    """Return what the held-out rows say of the best epoch; None where they say nothing.

    That is where rows that train judge, X is constant, training was very short, or the best epoch of a classifier was
    chosen by accuracy, whose probabilities may be worse than a constant's.
    """
    held_out, by_loss = split.held_out, params["validation_metric"] == "loss"
    if held_out is None or trained.monitored is None or split.all_cut or split.constant:
        return None
    if len(trained.loss_curve) < _FEWEST_EPOCHS or (target.classifies and not by_loss):
        return None
    n_judges = float(held_out.weight.sum() ** 2 / np.square(held_out.weight).sum())
    if not by_loss:  # R²
        return Judgement(1 + trained.monitored, 1.0, n_judges)
    smoothing = params["label_smoothing"] if target.classifies else 0.0
    constant = LOSSES[target.loss].of_constant(held_out.y, held_out.weight, target.n_outputs, smoothing)
    return Judgement(trained.monitored, constant, n_judges)


def notes_on_judgements(judgements: Sequence[Judgement | None]) -> list[Note]:
    """Return what to tell where networks predict held-out rows no better than a constant, in the mean over members."""
    known = [judgement for judgement in judgements if judgement is not None]
    if not known or sum(judgement.n_judges for judgement in known) < (1 - 1e-9) * _FEWEST_JUDGES:
        return []
    loss, constant, _ = np.mean(known, axis=0)
    if loss < (1 - _MORE_THAN_A_CONSTANT) * constant or constant < 1e-9:
        return []
    text = (
        "No epoch predicts the held-out rows better than a constant would. Either training was too short, or X does "
        "not determine y, or each row has a value of its own, of which other rows tell nothing (one row for each "
        "combination of categories, for example). In the last case, if the rows to predict are among the training "
        "rows, set early_stopping=False."
    )
    return [Note(text)]


def _prune(
    network: Network,
    rows: Rows,
    held_out: Rows | None,
    training: TrainSettings,
    settings: PruneSettings,
    seed: int,
    reporter: FitReporter,
    notes: Notes,
    data: Any = None,
) -> PruneResult:
    from skbandit._tabular.pruning.task import prune

    result = prune(network, rows, held_out, training, settings, seed, reporter=reporter, data=data)
    if result.outcome == Outcome.INTERRUPTED:
        notes.add(Note(f"Pruning interrupted by user after {len(result.history)} rounds."))
    elif reporter.interrupted and result.outcome == Outcome.STOPPED:
        result = result._replace(outcome=Outcome.INTERRUPTED, status="interrupted by the user")
    notes.add(*map(Note, result.warnings))
    return result
