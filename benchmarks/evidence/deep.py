"""The deep suite: the cells of a pair and seed, in phases, and how each is measured."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common.records import Record
from benchmarks.deep.pairs.pair import Pair
from benchmarks.deep.pairs.train import accuracy_for_gate
from benchmarks.deep.pairs.train import dense as train_dense
from benchmarks.evidence import controls, design, methods, replay
from benchmarks.evidence.cells import Cell, Planned, Runner, Stopwatch
from benchmarks.evidence.subject import SHORT, Subject

#: Phases of the work: what answers the hypotheses comes first, for all pairs and seeds.
PHASES = ("confirmatory", "later", "default", "as_prune", "price", "replays", "longer", "secondary")
#: Policies of the curves of score and regret against pulls, and their repetitions.
CURVES = (*design.PAPER, "uniform", "racing", "lucb", "top_two_thompson", "racing_rms", "uniform_rms")
SCORED = ("ucb1", "thompson", "uniform", "racing", "racing_rms", "uniform_rms", "ucb1_curvature", "uniform_curvature")
REPETITIONS = 3
#: Bandits whose pulls are also made on the network itself: their seconds are those of a clock.
LIVE = ("ucb1", "taylor_racing", "taylor_racing_rms", "uniform_rms")
#: Outcomes that are means of several repetitions: those of H4.
REPEATED = {(name, 0.75, "raw", "layer") for name in (*design.PAPER, "uniform")}


class Kept(NamedTuple):
    """What replays need of a network: it is kept beside its records, and no network has to be trained again."""

    matrix: replay.Matrix
    sizes: tuple[int, ...]
    n_rows: int
    """Rows to choose by."""
    has_slopes: bool
    """Whether first-order parts were recorded, as they are by now; zeros stand for them where they were not."""


class Work:
    """The cells of one pair and seed.

    Parameters
    ----------
    runner : Runner
    pair : Pair
    seed : int
    folder : Path or None
        Where matrices of damages are kept; None keeps them in memory only.
    names : sequence of str, optional
        Methods to run; all by default.
    """

    def __init__(
        self, runner: Runner | Planned, pair: Pair, seed: int, folder: Path | None, names: Sequence[str] | None = None
    ) -> None:
        self.runner, self.pair, self.seed, self.folder = runner, pair, seed, folder
        self.names = names
        self.about = {"data": pair.data, "architecture": pair.name.partition("-")[0], "number": pair.number}
        self._subject: Subject | None = None
        self.known_hash: str | None = None
        self.seconds_of_pull = 0.0

    # ------------------------------------------------------------------ the order of work

    def run(self, phase: str) -> None:
        """Do the cells of a phase that are not done; of those before it, what they need."""
        if phase == "replays":
            self._replays()
            return
        if self.known_hash is None and self._dense() is None:
            return
        if self._is_hopeless() or (self.known_hash is None and self._matrix() is None):
            return
        if not self.pair.ranked:
            self._rankings(self._chosen((*design.CONFIRMATORY, *design.REFERENCES)), design.CONFIRMATORY_RATIOS)
            self._curves(CURVES)
            return
        phases = {"confirmatory": self._confirmatory, "later": self._later, "default": self._default}
        phases |= {"as_prune": self._as_prune, "price": self._price, "longer": self._longer}
        phases |= {"secondary": self._secondary}
        phases[phase]()

    def _is_hopeless(self) -> bool:
        """Whether the mean accuracy over all seeds will miss the gate, whatever the others reach."""
        dense = self.runner.store.get(self._cell("dense")) or {}
        reached = dense.get("gate_accuracy", dense.get("scores", {}).get("report", {}).get("accuracy", 1.0))
        n_seeds = design.SEEDS["deep"]
        return bool((reached + n_seeds - 1) / n_seeds < self.pair.gate)

    def _confirmatory(self) -> None:
        names = self._chosen((*design.CONFIRMATORY, *design.REFERENCES))
        ratios = (*design.CONFIRMATORY_RATIOS, 0.75)
        self._control("unpruned", None, "raw")
        self._rankings(names, ratios)
        for ratio in ratios:
            self._outcomes(names, ratio, "raw")
        self._curves(CURVES)
        self._control("trained_on", None, "tuned")
        for ratio in design.CONFIRMATORY_RATIOS:
            self._control("worst", ratio, "raw")
            self._control("scratch", ratio, "tuned")
            self._outcomes(names, ratio, "tuned")
        self._control("trained_on", None, "tuned_long")
        self._control("scratch", 0.9, "tuned_long")
        self._outcomes(self._chosen(design.LONGER), 0.9, "tuned_long")

    def _later(self) -> None:
        names = self._chosen(design.LATER)
        ratios = (*design.CONFIRMATORY_RATIOS, 0.75)
        self._rankings(names, ratios)
        for ratio in ratios:
            self._outcomes(names, ratio, "raw")
        for ratio in design.CONFIRMATORY_RATIOS:
            self._outcomes(names, ratio, "tuned")
        self._scored_curves([name for name in names if name in SCORED])

    def _default(self) -> None:
        names = self._chosen(design.DEFAULTS)
        self._rankings(names, design.CONFIRMATORY_RATIOS)
        for ratio, stage in design.DEFAULT_CELLS:
            self._outcomes(names, ratio, stage)

    def _as_prune(self) -> None:
        names = self._chosen(design.AS_PRUNE)
        self._rankings(names, design.CONFIRMATORY_RATIOS)
        for ratio, stage in design.DEFAULT_CELLS:
            self._outcomes(names, ratio, stage, "global")

    def _price(self) -> None:
        names = self._chosen(design.PRICE)
        self._rankings(names, design.CONFIRMATORY_RATIOS)
        for stage in ("raw", "tuned"):
            for ratio in design.CONFIRMATORY_RATIOS:
                self._outcomes(names, ratio, stage)
        self._curves([name for name in design.PRICE if methods.get(name).spends])
        of_policies = [name for name in (*SCORED, "taylor_racing", "taylor_racing_rms") if name not in design.LATER]
        self._scored_curves(self._chosen(of_policies))

    def _replays(self) -> None:
        """Replay policies on the damages that are kept, where there are any."""
        if self.known_hash is None:
            self.known_hash = (self.runner.store.get(self._cell("dense")) or {}).get("network")
        if self.known_hash is not None and self.pair.ranked:
            of_slopes = [name for name in design.PRICE if methods.get(name).spends] if self.kept.has_slopes else []
            self._curves((*CURVES, *of_slopes))

    def _longer(self) -> None:
        names = self._chosen((*design.CONFIRMATORY, *design.REFERENCES))
        self._control("scratch", 0.5, "tuned_long")
        self._outcomes(self._chosen(design.LONGER), 0.5, "tuned_long")
        self._rankings(names, (0.25,))
        self._outcomes(names, 0.25, "raw")

    def _secondary(self) -> None:
        names = self._chosen(methods.SECONDARY)
        everyone = self._chosen((*design.CONFIRMATORY, *design.REFERENCES)) + names
        self._rankings(names, design.RATIOS)
        for ratio in design.RATIOS:
            self._outcomes(names, ratio, "raw")
        for ratio in design.CONFIRMATORY_RATIOS:
            self._outcomes(names, ratio, "tuned")
        for ratio in design.OTHER_RATIOS:
            self._control("scratch", ratio, "tuned")
            self._outcomes(everyone, ratio, "tuned")
        one_order = [name for name in everyone if methods.get(name).rounds == 1 and not methods.get(name).tenths]
        for ratio in design.CONFIRMATORY_RATIOS:
            self._outcomes(one_order, ratio, "raw", "global")

    def some(self, names: Sequence[str], ratio: float, stages: Sequence[str]) -> None:
        """Do the cells of some methods at one ratio, with the dense network and a network from scratch."""
        if self._dense() is None or self._matrix() is None:
            return
        self._control("unpruned", None, "raw")
        for stage in stages:
            if stage == "tuned":
                self._control("scratch", ratio, stage)
            self._outcomes(names, ratio, stage)

    def _chosen(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if self.names is None or name in self.names]

    # ------------------------------------------------------------------ cells

    def _cell(self, kind: str, **fields: Any) -> Cell:
        network = None if kind == "dense" else (self.known_hash or self.subject.hash)
        return Cell(kind, "deep", self.pair.name, self.seed, network=network, **fields)

    def _do(self, cell: Cell, measure: Callable[[], Record]) -> Record | None:
        return self.runner.do(cell, measure, **self.about)

    @property
    def subject(self) -> Subject:
        """The dense network; trained, or read, on first use."""
        if self._subject is None:
            self._subject = Subject(self.pair, self.seed, train_dense(self.pair, self.seed))
        return self._subject

    def _dense(self) -> Record | None:
        """Do the cell of the dense network; again, where the network that is read is another one than the record's."""
        cell, store = self._cell("dense"), self.runner.store
        known = store.get(cell)
        if self._subject is None and store.is_done(cell):
            if known is None or "error" in known:
                return None
            self.runner.begin(cell)  # it may have to be trained again
            if self.subject.hash != known["network"]:
                store.forget(cell)
        return self._do(cell, self._measure_dense)

    def is_done(self, phase: str) -> bool:
        """Whether there is nothing left of a phase, as far as records tell: the network is not read."""
        known = self.runner.store.get(self._cell("dense"))
        if known is None or "network" not in known:
            return False
        planned = Work(Planned(self.runner.store), self.pair, self.seed, self.folder, self.names)
        planned.known_hash = known["network"]
        try:
            planned.run(phase)
        except LookupError:
            return False
        return True

    def _measure_dense(self) -> Record:
        dense = train_dense(self.pair, self.seed)
        self._subject = subject = Subject(self.pair, self.seed, dense)
        found = dict(dense.scores)
        scores = found if "report" in found else subject.scores(subject.params)
        parts = {name: len(getattr(subject.parts, name).y) for name in ("fit", "select", "guard", "report")}
        official = {} if self.pair.official is None else {"gate_accuracy": accuracy_for_gate(self.pair, self.seed)}
        return official | {
            "network": subject.hash,
            "scores": scores,
            "epochs": subject.epochs,
            "seconds": float(dense.seconds),
            "forward_rows": 3 * subject.epochs * parts["fit"],
            "rows": parts,
            "groups": {group.name: int(group.size) for group in subject.groups.groups},
            "n_units": subject.n_units,
            "gate": self.pair.gate,
            "ranked": self.pair.ranked,
            "reference": self.pair.reference,
        }

    @functools.cached_property
    def kept(self) -> Kept:
        """The damages, of the network or, where there is none yet, of the file and the records."""
        if self._subject is not None and self._subject.matrix is not None:
            subject = self._subject
            return Kept(self._subject.matrix, subject.sizes, len(subject.parts.select.y), has_slopes=True)
        path, dense = self._file(str(self.known_hash)), self.runner.store.get(self._cell("dense")) or {}
        if path is None or not path.exists():
            raise ValueError(f"There are no damages of the network {self.known_hash} to replay: no file {path}.")
        with np.load(path) as file:
            arrays, has_slopes = dict(file), "slopes" in file
        matrix = replay.Matrix(**({"slopes": np.zeros_like(arrays["damages"])} | arrays))
        sizes = tuple(dense["groups"].values())
        if sum(sizes) != matrix.damages.shape[1]:
            raise ValueError(f"{path} has {matrix.damages.shape[1]} units, the record of its network {sum(sizes)}.")
        return Kept(matrix, sizes, dense["rows"]["select"], has_slopes)

    def _file(self, network: str) -> Path | None:
        """Return where the matrix of a network is kept."""
        return None if self.folder is None else self.folder / f"{self.pair.name}-{self.seed}-{network}.npz"

    def _matrix(self) -> Record | None:
        """Do the cell of the matrix; the subject then has it."""
        cell, subject = self._cell("matrix"), self.subject
        path = self._file(subject.hash)
        kept = None if path is None else read_matrix(path)
        if kept is not None:
            subject.matrix = kept
        elif subject.matrix is None:
            self.runner.store.forget(cell)

        def measure() -> Record:
            watch = Stopwatch()
            matrix = subject.record()
            seconds = watch.seconds
            subject.matrix = matrix
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                half = path.with_name(f"{path.stem}-{os.getpid()}.part.npz")  # a run may be ended at any time
                np.savez(half, **matrix._asdict())
                half.replace(path)
            return {
                "file": None if path is None else f"{path.parent.name}/{path.name}",
                "n_units": subject.n_units,
                "n_batches": len(matrix.losses),
                "reliability": matrix.reliability(),
                "negative": float((matrix.exact < 0).mean()),
                "pulls": int(matrix.damages.size),
                "forward_rows": int(matrix.damages.size * design.BATCH),
                "seconds": seconds,
            }

        record = self._do(cell, measure)
        self.seconds_of_pull = 0.0 if record is None else record["seconds"] / record["pulls"]
        return record

    def _rankings(self, names: Sequence[str], ratios: Sequence[float]) -> None:
        for name in names:
            method = methods.get(name)
            for ratio in ratios if method.looks_at_ratio else ratios[:1]:
                self._ranking(name, ratio)

    def _ranking(self, name: str, ratio: float) -> Record | None:
        method = methods.get(name)
        cell = self._cell("ranking", method=name, ratio=ratio if method.looks_at_ratio else None)

        def measure() -> Record:
            subject = self.subject  # here: a network is not read for cells that are done
            ranking = subject.rank(method, ratio)
            found: Record = {
                "params": method.params,
                "order": ranking.order,
                "n_units": subject.n_units,
                "pulls": ranking.pulls,
                "forward_rows": ranking.forward_rows,
                "backward_rows": ranking.backward_rows,
                # Pulls that are looked up count what they took when they were recorded.
                "seconds": ranking.seconds + (ranking.pulls * self.seconds_of_pull if ranking.also["replayed"] else 0),
                **ranking.also,
            }
            if name in LIVE:  # the pulls themselves are made as well
                live = subject.rank(method, ratio, live=True)
                found["seconds_live"] = live.seconds
                found["same_live"] = bool(live.pulls == ranking.pulls and (live.order == ranking.order).all())
            of = (ratio,) if method.looks_at_ratio else design.RATIOS
            assert subject.matrix is not None
            exact = subject.matrix.exact
            if method.scope == "layer":  # the best choice is one of the same share of each group
                found["regret"] = {str(r): replay.regret(ranking.order, exact, subject.sizes, r) for r in of}
            return found

        return self._do(cell, measure)

    def _outcomes(self, names: Sequence[str], ratio: float, stage: str, scope: str = "layer") -> None:
        for name in names:
            self._outcome(name, ratio, stage, scope)

    def _outcome(self, name: str, ratio: float, stage: str, scope: str) -> None:
        cell = self._cell("outcome", method=name, ratio=ratio, stage=stage, scope=scope)
        if self.runner.store.is_done(cell):
            return
        ranking = self._ranking(name, ratio)
        if ranking is None:  # its record says why
            return
        order = np.asarray(ranking["order"])
        if name == "random" and stage == "raw":
            self._do(cell, lambda: controls.random_draws(self.subject, ratio, scope))
        elif (name, ratio, stage, scope) in REPEATED:
            self._do(cell, lambda: self._mean_of_repetitions(methods.get(name), ratio, scope))
        else:
            about = {"params": methods.get(name).params}
            self._do(cell, lambda: about | self._measured(order, ratio, stage, scope))

    def _mean_of_repetitions(self, method: methods.Method, ratio: float, scope: str) -> Record:
        orders = [self._repeated(method, ratio, draw)[0] for draw in range(design.DRAWS)]
        return {"params": method.params} | controls.mean_of(self.subject, orders, ratio, scope)

    def _repeated(self, method: methods.Method, ratio: float, draw: int) -> tuple[np.ndarray, int]:
        """Return the order of the units, and the pulls, of one repetition of a bandit; draw 0 is its ranking."""
        matrix, random_state = shuffled(self.kept.matrix, draw), self.seed + 1000 * draw
        scores = replay.rank(matrix, self.kept.sizes, method, ratio=ratio, random_state=random_state)
        return replay.order_of(np.asarray(scores.value)), int(scores.n_pulls)

    def _measured(self, order: Any, ratio: float, stage: str, scope: str) -> Record:
        subject = self.subject
        watch = Stopwatch()
        removed = subject.remove(order, ratio, scope)
        found: Record = {}
        params = removed.params
        if stage != "raw":
            epochs = SHORT if stage == "tuned" else subject.long
            params, found["epochs"] = subject.tune(params, epochs), epochs
        found["seconds"] = watch.seconds
        found["scores"] = subject.scores(params)
        return found | subject.size(removed, with_latency=stage == "raw" and scope == "layer")

    def _control(self, name: str, ratio: float | None, stage: str) -> None:
        cell = self._cell("control", method=name, ratio=ratio, stage=stage, scope="layer" if ratio else None)
        self._do(cell, lambda: controls.CONTROLS[name](self.subject, ratio, stage))

    # ------------------------------------------------------------------ curves against pulls

    def _curves(self, names: Sequence[str]) -> None:
        """Regret of some policies at each budget, over some repetitions: on the recorded damages."""
        for name in self._chosen(names):
            more = design.MORE_BUDGETS if name in ("racing", "uniform") else ()
            for budget in map(float, (*design.BUDGETS, *more)):
                cell = self._cell("replay", method=name, scope="layer", budget=budget)
                self._do(cell, lambda name=name, budget=budget: self._regrets(name, budget))

    def _regrets(self, name: str, budget: float) -> Record:
        kept, method = self.kept, methods.get(name)._replace(budget=budget)
        draws: dict[str, list[float]] = {}
        most = 0
        for ratio in design.CONFIRMATORY_RATIOS:
            for repetition in range(REPETITIONS):
                order, pulls = self._repeated(method, ratio, repetition)
                regret = replay.regret(order, kept.matrix.exact, kept.sizes, ratio)
                draws.setdefault(str(ratio), []).append(regret)
                most = max(most, pulls)
        return {
            "params": method.params,
            "pulls": most,
            "n_units": sum(kept.sizes),
            "forward_rows": most * design.BATCH + method.passes[0] * kept.n_rows,
            "backward_rows": method.passes[1] * kept.n_rows,
            "regret": {ratio: float(np.mean(found)) for ratio, found in draws.items()},
            "regret_draws": draws,
        }

    def _scored_curves(self, names: Sequence[str]) -> None:
        """Score after removal at each budget."""
        for name in names:
            for ratio in design.CONFIRMATORY_RATIOS:
                for budget in map(float, design.BUDGETS):
                    if budget != design.BUDGET:  # which is an outcome already
                        cell = self._cell(
                            "outcome", method=name, ratio=ratio, scope="layer", stage="raw", budget=budget
                        )
                        self._do(cell, lambda name=name, ratio=ratio, budget=budget: self._scored(name, ratio, budget))

    def _scored(self, name: str, ratio: float, budget: float) -> Record:
        method = methods.get(name)._replace(budget=budget)
        order = self.subject.rank(method, ratio).order
        return {"params": method.params} | self._measured(order, ratio, "raw", "layer")


def read_matrix(path: Path) -> replay.Matrix | None:
    """Return a matrix that was kept; None if there is none, or if an earlier version kept less of it."""
    if not path.exists():
        return None
    with np.load(path) as file:
        whole = set(replay.ARRAYS) <= set(file)
        return replay.Matrix(*(file[name] for name in replay.ARRAYS)) if whole else None


def shuffled(matrix: replay.Matrix, repetition: int) -> replay.Matrix:
    """Return the matrix with its mini-batches in another order; as it is for repetition 0."""
    order = np.arange(len(matrix.losses))
    if repetition:
        order = np.random.default_rng(repetition).permutation(order)
    return replay.Matrix(*(array[order] for array in matrix))
