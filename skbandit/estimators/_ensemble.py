"""Ensembles: several networks for one target, trained side by side, each pruned by itself; predictions are averaged.

Where rows are held out, each member holds out others: windows of ``validation_fraction`` of the rows that begin at
equal distances, in one order of all rows. So each held-out row has a prediction of a member that was not trained on it
(but chose its best epoch on it, among others).

Members run in threads, all in the same compiled programs: at these sizes one program does not fill two cores, and on
two of them four members take about the time of two, where one program that maps over them takes that of four to five
(docs/decisions/0006).
"""

from __future__ import annotations

import copy
import os
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import cpu_count

from skbandit.estimators._callbacks import FitReporter

if TYPE_CHECKING:
    from skbandit.estimators._rows import FitTask


class _MemberReporter(FitReporter):
    """Passes on what happens to a member, and ends its training where the user has interrupted the fit."""

    def __init__(self, estimator: Any, context: Any, task: FitTask, member: Any, stop: threading.Event) -> None:
        def attributes(*args: Any) -> dict[str, Any]:
            inputs = {"_input_params": member._input_params} if hasattr(member, "_input_params") else {}
            return {**inputs, **member._network_attributes(*args), "n_members_": 1}

        super().__init__(estimator, context, **task.given, attributes=attributes)
        self.stop = stop

    @property
    def interrupted(self) -> bool:
        return self.stop.is_set()

    def epoch(self, *args: Any) -> bool:
        return super().epoch(*args) or self.stop.is_set()

    def fine_tune_epoch(self, *args: Any) -> bool:
        return super().fine_tune_epoch(*args) or self.stop.is_set()

    def round(self, *args: Any) -> bool:
        return super().round(*args) or self.stop.is_set()


def fit(estimator: Any, task: FitTask, rng: np.random.RandomState, context: Any) -> None:
    """Train and prune the members; a warm start goes on from those that are there."""
    n_members = estimator.n_members_
    seeds = rng.randint(np.iinfo(np.int32).max, size=n_members + 1)
    if hasattr(estimator, "estimators_"):
        members = _old_members(estimator, task)
    else:
        members = [_new_member(estimator, int(seed)) for seed in seeds[1:]]
        for k, member in enumerate(members):  # windows in one order of the rows
            member._split_seed, member._split_start = int(seeds[0]), k / n_members
    stop = threading.Event()

    def run(k: int) -> np.ndarray | None:
        member_context = context
        if getattr(estimator, "_skl_callbacks", None):
            member_context = context.subcontext(task_name="member", max_subtasks=2)
            member_context.call_on_fit_task_begin(estimator=estimator, **task.given)
        reporter = _MemberReporter(estimator, member_context, task, members[k], stop)
        held = members[k]._fit_network(task, np.random.RandomState(members[k].random_state), reporter)
        if any("interrupted" in how for how in (members[k].training_status_, members[k].pruning_status_)):
            stop.set()  # one member at a time: those that follow end soon, too
        if member_context is not context:
            member_context.call_on_fit_task_end(estimator=estimator, **task.given)
        return held

    held = _for_each(estimator, n_members, run, stop)
    estimator.estimators_ = members
    _summarise(estimator)
    _keep_out_of_fold(estimator, task.encoded, held)


def prune(estimator: Any, task: FitTask, rng: np.random.RandomState) -> list[Any]:
    """Prune copies of the members; returns a copy of the ensemble after each round."""
    n_members = estimator.n_members_
    seeds = rng.randint(np.iinfo(np.int32).max, size=n_members)
    members = _old_members(estimator, task)
    stop = threading.Event()

    def run(k: int) -> list[Any]:
        path = members[k]._prune_network(task, np.random.RandomState(seeds[k]), stop.is_set)
        if "interrupted" in members[k].pruning_status_:
            stop.set()
        return path

    paths = _for_each(estimator, n_members, run, stop)
    estimator._set_out_of_fold(None)  # those were of the network before
    snapshots = []
    for r in range(max(map(len, paths))):
        snapshot = copy.copy(estimator)
        # A member that stopped earlier stays as it is.
        snapshot.estimators_ = [
            path[min(r, len(path) - 1)] if path else member for path, member in zip(paths, members, strict=True)
        ]
        _summarise(snapshot)
        snapshots.append(snapshot)
    estimator.estimators_ = members
    _summarise(estimator)
    return snapshots


def _shared(estimator: Any) -> dict[str, Any]:
    """Return the ensemble's parameters that its members have, too."""
    params = estimator.get_params(deep=False)
    return {name: value for name, value in params.items() if name not in ("n_members", "random_state")}


def _old_members(estimator: Any, task: FitTask) -> list[Any]:
    """Return copies of the members, which have learned the target anew as the ensemble has."""
    members = [copy.copy(member).set_params(**_shared(estimator)) for member in estimator.estimators_]
    for member in members:
        # A network is kept in the target's own units, and can be expressed in any scale.
        member._learn_target(task.y, task.weight, reset=False)
    return members


def _n_threads(n_members: int) -> int:
    """As many as there are cores, and no more than OMP_NUM_THREADS: joblib's workers share the cores by it."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(n_members, cpu_count(), int(limit) if limit.isdecimal() and int(limit) > 0 else n_members))


def _new_member(estimator: Any, seed: int) -> Any:
    member = copy.copy(estimator)
    for name in [name for name in vars(member) if "callback" in name]:  # those, and the context of the fit
        del vars(member)[name]
    member.n_members, member.n_members_, member.random_state = 1, 1, seed
    member._describe_network()
    return member


def _for_each(estimator: Any, n: int, run: Callable[[int], Any], stop: threading.Event) -> list[Any]:
    """Call ``run`` for every member, in threads where nobody watches and one device computes."""
    watched = bool(estimator.verbose) or bool(getattr(estimator, "_skl_callbacks", None))
    many_devices = str(estimator.device).endswith(":*")
    n_threads = 1 if watched or many_devices else _n_threads(n)
    if n_threads == 1:
        return [run(k) for k in range(n)]

    def in_thread(k: int) -> Any:
        with estimator._computing():  # JAX's scopes are those of one thread
            return run(k)

    with ThreadPoolExecutor(n_threads, thread_name_prefix="skbandit-member") as pool:
        try:
            futures = [pool.submit(in_thread, k) for k in range(n)]
            while True:
                try:
                    return [future.result() for future in futures]
                except KeyboardInterrupt:
                    if stop.is_set():  # the second time
                        raise
                    # What was learned is kept: members end at the next chunk of epochs, or the next round.
                    stop.set()
                    warnings.warn("Interrupted by user: the members end early.", UserWarning, stacklevel=6)
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _summarise(estimator: Any) -> None:
    """Set the attributes that an ensemble has of its members."""
    members = estimator.estimators_
    for name in ("n_parameters_", "n_macs_"):
        setattr(estimator, name, tuple(int(v) for v in np.sum([getattr(m, name) for m in members], axis=0)))
    for name in ("n_pulls_", "t_"):
        setattr(estimator, name, sum(getattr(m, name) for m in members))
    estimator.n_iter_ = max(m.n_iter_ for m in members)
    estimator.loss_ = float(np.mean([m.loss_ for m in members]))
    estimator.n_layers_ = members[0].n_layers_
    for name in ("training_status_", "pruning_status_"):
        setattr(estimator, name, "; ".join(dict.fromkeys(getattr(m, name) for m in members)))


def _keep_out_of_fold(estimator: Any, encoded: np.ndarray, held: list[np.ndarray | None]) -> None:
    """Average, for each row, the predictions of the members that have held it out."""
    # With other calibration rows, damages and repairs were computed on the held-out ones.
    if any(h is None for h in held) or estimator.calibration != "train":
        estimator._set_out_of_fold(None)
        return
    summed = np.zeros((encoded.shape[0], estimator.n_outputs_))
    count = np.zeros((encoded.shape[0], 1))
    for member, rows in zip(estimator.estimators_, held, strict=True):
        summed[rows] += member._as_prediction(member._network_output(encoded[rows], member._embed))
        count[rows] += 1
    with np.errstate(invalid="ignore"):
        estimator._set_out_of_fold(summed / count)
