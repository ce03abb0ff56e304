"""Ensembles: several networks for one target, trained side by side, each pruned by itself; predictions are averaged.

Where rows are held out, members hold out windows of ``validation_fraction`` of the rows, which begin at equal distances
in one order of all rows; members that embed numbers in different ways share a window (`_weighting`). So each held-out
row has a prediction of a member that was not trained on it (but chose its best epoch on it, among others).

Members run in threads, all in the same compiled programs: at these sizes one program does not fill two cores, and on
two of them four members take about the time of two, where one program that maps over them takes that of four to five
(docs/decisions/0006).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import numpy as np
from joblib import cpu_count

from skbandit._core.scope import for_threads
from skbandit._tabular.model import Architecture
from skbandit._tabular.types import Ending
from skbandit.estimators._callbacks import FitReporter, PathReporter, announce_member
from skbandit.estimators._fitted import Member
from skbandit.estimators._kinds import as_embeddings
from skbandit.estimators._member import Fitted, Pruned, fit_member, prune_member
from skbandit.estimators._member import train_epoch as train_member_epoch
from skbandit.estimators._notes import Note, Notes
from skbandit.estimators._rows import FitTask
from skbandit.estimators._weighting import OfMember, attributes_of_held_out, weights_of_members, windows

Result = TypeVar("Result", Fitted, Pruned)
#: Opens the scope in which a thread of its own computes.
Scope = Callable[[], AbstractContextManager[Any]]


def check_shared(members: Sequence[Member]) -> None:
    """Raise ValueError if members read X in ways of their own: no rows can be encoded for all of them."""
    if any(member.architecture.encoder is not members[0].architecture.encoder for member in members):
        raise ValueError(
            "Some members of this ensemble (items of estimators_) were trained further, and now read X by scales or "
            "categories of their own. The ensemble can predict, but it can be neither pruned nor trained further: fit "
            "it again, with warm_start=False."
        )


def of_members(architecture: Architecture, task: FitTask) -> list[Architecture]:
    """Return the architecture of each member, from that of the first: they may embed numbers in ways of their own."""
    embeddings = as_embeddings(task.params["numeric_embedding"], int(task.params["n_members"]))
    return [architecture.with_embedding(embedding) for embedding in embeddings]


def _windows(architectures: Sequence[Architecture], task: FitTask) -> np.ndarray:
    """Return where each member begins to hold out."""
    embeddable = any(architecture.inputs.n_embedded > 0 for architecture in architectures)
    return windows(task.params, len(architectures), embeddable=embeddable)


def fit(
    before: Sequence[Member] | None,
    architecture: Architecture,
    task: FitTask,
    seeds: Sequence[Any],
    split_seed: int,
    reporter: FitReporter,
    notes: Notes,
    scope: Scope,
) -> list[Fitted]:
    """Train and prune the members.

    Parameters
    ----------
    before : sequence of Member, optional
        Those to go on with.
    architecture, task, reporter, notes
        As in `fit_member`.
    seeds : sequence of random states
        One for each member.
    split_seed : int
        Of the order of the rows, of which each new member holds out a window.
    scope : callable → context manager
        Opened in each thread.
    """
    check_shared(before or [])
    n_members, architectures = len(seeds), of_members(architecture, task)
    starts = _windows(architectures, task)
    stop = threading.Event()

    def run(k: int, notes: Notes) -> Fitted:
        of_member = reporter.of_member(stop)
        start, rng = None if before is None else before[k], np.random.RandomState(seeds[k])
        order = (split_seed, float(starts[k]))  # windows in one order of the rows
        fitted = fit_member(start, architectures[k], task, rng, of_member, notes, order=order)
        of_member.end_member()
        return fitted

    watched = reporter.verbose or reporter.every_epoch
    n_threads = _n_threads(n_members, task, watched)
    return _for_each(n_members, run, stop, notes, scope, n_threads=n_threads, verbose=reporter.verbose)


def prune(
    members: Sequence[Member], task: FitTask, seeds: Sequence[int], verbose: bool, notes: Notes, scope: Scope
) -> list[Pruned]:
    """Prune the members; the parameters are those of `fit`."""
    check_shared(members)
    stop = threading.Event()

    def run(k: int, notes: Notes) -> Pruned:
        rng = np.random.RandomState(seeds[k])
        return prune_member(members[k], task, rng, PathReporter(verbose, stop), notes)

    n_members = len(members)
    n_threads = _n_threads(n_members, task, verbose)
    return _for_each(n_members, run, stop, notes, scope, n_threads=n_threads, verbose=verbose)


def train_epoch(
    before: Sequence[Member] | None,
    architecture: Architecture,
    task: FitTask,
    seeds: Sequence[Any],
    verbose: bool,
    notes: Notes,
    scope: Scope,
    *,
    anew: bool,
    split_seed: int,
) -> list[Member]:
    """Train the members for one epoch, all of them on the same rows; the parameters are those of `fit`.

    ``anew`` is that of `skbandit.estimators._member.train_epoch`.
    """
    check_shared(before or [])
    n_members, stop, architectures = len(seeds), threading.Event(), of_members(architecture, task)
    starts = _windows(architectures, task)

    def run(k: int, notes: Notes) -> Fitted:
        member, rng = None if before is None else before[k], np.random.RandomState(seeds[k])
        reporter = FitReporter(verbose=verbose, stop=stop)
        order = split_seed, float(starts[k])
        trained = train_member_epoch(member, architectures[k], task, rng, reporter, notes, anew=anew, order=order)
        return Fitted(trained, None, trained.training.status == str(Ending.INTERRUPTED))

    n_threads = _n_threads(n_members, task, verbose)
    trained = _for_each(n_members, run, stop, notes, scope, n_threads=n_threads, verbose=verbose)
    return [one.member for one in trained]


def paths(results: Sequence[Pruned], members: Sequence[Member]) -> list[list[Member]]:
    """Return the members after each round; one that stopped earlier stays as it is.

    Parameters
    ----------
    results : sequence of Pruned
    members : sequence of Member
        As they were before.
    """
    n_rounds = max(len(result.path) for result in results)
    return [
        [
            result.path[min(r, len(result.path) - 1)] if result.path else member
            for result, member in zip(results, members, strict=True)
        ]
        for r in range(n_rounds)
    ]


def of_held_out(results: Sequence[Fitted], task: FitTask, before: np.ndarray | None) -> dict[str, Any]:
    """Return what an estimator shows of what held-out rows say of the members, which had the weights ``before``."""
    members = [OfMember(one.member.model, one.held, one.member.window is not None) for one in results]
    return attributes_of_held_out(members, task, before)


def weights(members: Sequence[Member], results: Sequence[Pruned], task: FitTask) -> np.ndarray | None:
    """Return the weights of members at some size of a pruning; None where those of before stay."""
    pairs = zip(members, results, strict=True)
    return weights_of_members([OfMember(member.model, result.held) for member, result in pairs], task)


def _n_threads(n_members: int, task: FitTask, watched: bool) -> int:
    """Return how many members run side by side: one where somebody watches, or several devices compute.

    As many as there are cores, and no more than OMP_NUM_THREADS: joblib's workers share the cores by it.
    """
    if watched or str(task.params["device"]).endswith(":*"):
        return 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    at_most = int(limit) if limit.isdecimal() and int(limit) > 0 else n_members
    return max(1, min(n_members, int(cpu_count()), at_most))


def _for_each(
    n_members: int,
    run: Callable[[int, Notes], Result],
    stop: threading.Event,
    notes: Notes,
    scope: Scope,
    n_threads: int,
    verbose: bool,
) -> list[Result]:
    """Call ``run`` for every member, in threads where there is more than one; their notes come in their order."""
    of_members = [Notes() for _ in range(n_members)]

    def one(k: int) -> Result:
        if verbose:
            announce_member(k, n_members)
        result = run(k, of_members[k])
        if result.interrupted:
            stop.set()  # one member at a time: those that follow end soon, too
        return result

    try:
        if n_threads == 1:
            return [one(k) for k in range(n_members)]
        scope = for_threads(scope)  # JAX's scopes are those of one thread

        def in_thread(k: int) -> Result:
            with scope():
                return one(k)

        with ThreadPoolExecutor(n_threads, thread_name_prefix="skbandit-member") as pool:
            try:
                futures = [pool.submit(in_thread, k) for k in range(n_members)]
                while True:
                    try:
                        return [future.result() for future in futures]
                    except KeyboardInterrupt:
                        if stop.is_set():  # the second time
                            raise
                        # What was learned is kept: members end at the next chunk of epochs, or the next round.
                        stop.set()
                        notes.add(Note("Interrupted by user: the members end early."))
            except BaseException:
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    finally:
        notes.merge(of_members)
