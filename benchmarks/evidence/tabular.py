"""The tabular suite: one network per data set and seed, pruned by every method, raw, repaired and fine-tuned.

Rows, folds and preprocessing are those of `benchmarks.tabular.protocol`; a seed takes the fold ``seed % 3``. The dense
model is one network of the preset "fast" without embeddings. A method ranks the units once for each ratio; the units
that it removes are then removed from the same dense model without repair, with repair, and with repair and fine-tuning.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone

from benchmarks.common.given import Given
from benchmarks.common.records import Record
from benchmarks.common.timing import latency
from benchmarks.evidence import design, methods, replay
from benchmarks.evidence.cells import Cell, Planned, Runner, Stopwatch, quietly
from benchmarks.evidence.subject import hash_of
from benchmarks.tabular import protocol
from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor
from skbandit.criteria import LeaveOneOut

PHASES = ("confirmatory", "rounds", "secondary")
STAGES: dict[str, dict[str, Any]] = {
    "raw": {"compensate": False, "fine_tune_iter": 0},
    "repaired": {"compensate": True, "fine_tune_iter": 0},
    "tuned": {"compensate": True},
}
#: Rows of a pull's mini-batch.
PULL_ROWS = 256
#: End of the names of methods that prune as the estimator does by default: in its number of rounds, with repair and
#: fine-tuning after each.
IN_ROUNDS = "@auto"
#: The default.
AUTO = design.IN_ROUNDS[0]
LATENCY_ROWS = (1, 256)

#: Rankings that are defined on the mini-batches of the deep suite alone.
_NOT_HERE = ("sequential_racing", "ucb1@4", "racing@4")


class Rows(NamedTuple):
    """Rows to train on, and rows to report on."""

    X: pd.DataFrame
    y: np.ndarray
    X_test: pd.DataFrame
    y_test: np.ndarray


class Work:
    """The cells of one data set and seed.

    Parameters
    ----------
    runner : Runner
    name, task : str
        Of the data set.
    seed : int
    names : sequence of str, optional
        Methods to run; all by default.
    load : callable (name) → Table
        It is read on first use.
    options : dict, optional
        Parameters of the dense model beside those of the suite.
    """

    def __init__(
        self,
        runner: Runner | Planned,
        name: str,
        task: str,
        seed: int,
        names: Sequence[str] | None = None,
        *,
        load: Callable[[str], protocol.Table] = protocol.load,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.runner, self.name, self.task, self.seed, self.names = runner, name, task, seed, names
        dagger = name in design.DAGGER.get(task, ())
        self.about = {"data": name, "architecture": "mlp", "task": task, "dagger": dagger}
        self.load, self.options = load, options or {}
        self.protocol: str | None = None

    @functools.cached_property
    def table(self) -> protocol.Table:
        """The data set."""
        return self.load(self.name)

    @functools.cached_property
    def rows(self) -> Rows:
        """The rows of the seed's fold."""
        table = self.table
        train, test = protocol.split(table, self.seed, self.seed % protocol.N_FOLDS)
        X = [table.X.iloc[part].reset_index(drop=True) for part in (train, test)]
        return Rows(X[0], table.y[train], X[1], table.y[test])

    @functools.cached_property
    def model(self) -> Any:
        """The dense model."""
        cls = BanditPrunedMLPRegressor if self.task == "regression" else BanditPrunedMLPClassifier
        given = {"n_members": 1, "numeric_embedding": None, "pruning_ratio": 0, "random_state": self.seed}
        model = cls.from_preset("fast", **(given | self.options))
        return quietly(model.fit, self.rows.X, self.rows.y)

    def require_same_network(self, phase: str) -> None:
        """Raise ValueError if records of a phase are of another dense network than the one that is fitted here."""
        self._begin(phase)
        known = self.runner.store.get(self._cell("dense"))
        here = hash_of(list(self.model.coefs_))
        if known is not None and known.get("network") not in (None, here):
            raise ValueError(
                f"The records of {self.name}, seed {self.seed}, are of the dense network {known['network']}, and a fit "
                f"on this machine gives {here}: methods would be compared on different networks. Give another --out."
            )

    def is_done(self, phase: str) -> bool:
        """Whether there is nothing left of a phase: the table is not read."""
        try:
            Work(Planned(self.runner.store), self.name, self.task, self.seed, self.names).run(phase)
        except LookupError:
            return False
        return True

    # ------------------------------------------------------------------ the order of work

    def run(self, phase: str) -> None:
        """Do the cells of a phase that are not done."""
        self._begin(phase)
        if self._dense() is None:
            return
        phases = {"confirmatory": self._confirmatory, "rounds": self._rounds, "secondary": self._secondary}
        phases[phase]()

    def _begin(self, phase: str) -> None:
        # Dense networks of its own: those of other cells may be of another processor, which gives others.
        self.protocol = design.ROUNDS if phase == "rounds" else None

    def _confirmatory(self) -> None:
        names = self._chosen((*design.CONFIRMATORY, *design.REFERENCES))
        self._control("unpruned", None, "raw")
        for ratio in design.CONFIRMATORY_RATIOS:
            for stage in STAGES:
                self._outcomes(names, ratio, stage)
            self._control("worst", ratio, "raw")
            for name in ("trained_on", "scratch"):
                self._control(name, ratio, "tuned")
            self._outcome(AUTO, ratio, "tuned")

    def _rounds(self) -> None:
        for ratio in design.CONFIRMATORY_RATIOS:
            self._outcomes(design.IN_ROUNDS, ratio, "tuned")

    def _secondary(self) -> None:
        others = self._chosen([name for name in methods.SECONDARY if name not in _NOT_HERE])
        for ratio in design.CONFIRMATORY_RATIOS:
            for stage in STAGES:
                self._outcomes(others, ratio, stage)
        for ratio in design.OTHER_RATIOS:
            for name in ("trained_on", "scratch"):
                self._control(name, ratio, "tuned")
            for stage in STAGES:
                self._outcomes(self._chosen((*design.CONFIRMATORY, *design.REFERENCES)), ratio, stage)

    def some(self, names: Sequence[str], ratio: float) -> None:
        """Do the cells of some methods at one ratio, with the dense network and a network from scratch."""
        if self._dense() is None:
            return
        self._control("unpruned", None, "raw")
        self._control("scratch", ratio, "tuned")
        for stage in STAGES:
            self._outcomes(names, ratio, stage)

    def _chosen(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if self.names is None or name in self.names]

    # ------------------------------------------------------------------ cells

    def _cell(self, kind: str, **fields: Any) -> Cell:
        # Fits of a data set and seed are the same ones: they are told apart by name, and not by their hash.
        return Cell(kind, "tabular", self.name, self.seed, protocol=self.protocol, **fields)

    def _do(self, cell: Cell, measure: Callable[[], Record]) -> Record | None:
        return self.runner.do(cell, measure, **self.about)

    def _dense(self) -> Record | None:
        def measure() -> Record:
            watch = Stopwatch()
            model = self.model
            seconds = watch.seconds
            return {
                "network": hash_of(list(model.coefs_)),
                "scores": {"report": self._scores(model)},
                "epochs": int(model.n_iter_),
                "seconds": seconds,
                "n_units": sum(model.hidden_layer_sizes_),
                "rows": {"fit": len(self.rows.X), "report": len(self.rows.X_test)},
            }

        return self._do(self._cell("dense"), measure)

    def _outcomes(self, names: Sequence[str], ratio: float, stage: str) -> None:
        for name in names:
            self._outcome(name, ratio, stage)

    def _outcome(self, name: str, ratio: float, stage: str) -> None:
        cell = self._cell("outcome", method=name, ratio=ratio, stage=stage, scope="layer")
        if self.runner.store.is_done(cell):
            return
        if name.endswith(IN_ROUNDS):
            self._in_rounds(name.removesuffix(IN_ROUNDS), cell)
            return
        if name == "random" and stage == "raw":
            self._do(cell, lambda: self._random_draws(ratio))
            return
        ranking = self._ranking(name, ratio)
        if ranking is not None:
            how = {"policy": self._given(ranking["removed"]), "n_rounds": 1}
            about = {"params": ranking["params"]}
            self._do(cell, lambda: about | self._measured(how, ratio, STAGES[stage], stage))

    def _in_rounds(self, name: str, cell: Cell) -> None:
        if self.names is not None and name not in self.names:
            return
        how, ratio = {"policy": methods.get(name).policy}, cell.ratio or 0.0
        self._do(cell, lambda: self._measured(how, ratio, STAGES["tuned"], "tuned"))

    def _ranking(self, name: str, ratio: float) -> Record | None:
        cell = self._cell("ranking", method=name, ratio=ratio)

        def measure() -> Record:
            method, watch = methods.get(name), Stopwatch()
            if name == "random":
                removed, pulls = self._random(ratio, 0), 0
            else:
                pruned = self._prune(self.model, ratio, **_ranked_by(method), **STAGES["raw"])
                removed, pulls = self._removed(pruned), int(pruned.n_pulls_)
            n_units, n_rows = sum(self.model.hidden_layer_sizes_), self._n_calibration()
            forward, backward = (passes * n_rows for passes in method.passes)
            if name == "obd":
                forward = backward = n_units * n_rows
            return {
                "params": method.params | {"budget": design.TABULAR_BUDGET} if method.spends else method.params,
                "n_batches": -(-n_rows // PULL_ROWS),
                "removed": removed,
                "n_units": n_units,
                "pulls": pulls,
                "forward_rows": forward + round(pulls * n_rows / -(-n_rows // PULL_ROWS)),
                "backward_rows": backward,
                "seconds": watch.seconds,
            }

        return self._do(cell, measure)

    def _n_calibration(self) -> int:
        """Return the rows that damages are measured on: those that are not held out."""
        return len(self.rows.X) - round(self.model.validation_fraction * len(self.rows.X))

    def _removed(self, pruned: Any) -> list[int]:
        """Return the units that are gone, in the numbering of the dense model."""
        first, gone = 0, []
        for size, kept in zip(self.model.hidden_layer_sizes_, pruned.kept_units_, strict=True):
            gone += sorted(set(range(first, first + size)) - {first + int(unit) for unit in kept})
            first += size
        return gone

    def _random(self, ratio: float, draw: int) -> list[int]:
        sizes = self.model.hidden_layer_sizes_
        order = np.random.default_rng([self.seed, draw]).permutation(sum(sizes))
        return np.flatnonzero(replay.chosen(order, sizes, ratio)).tolist()

    def _given(self, removed: Sequence[int]) -> Given:
        value = np.zeros(sum(self.model.hidden_layer_sizes_))
        value[np.asarray(removed, int)] = 1
        return Given(value)

    def _prune(self, model: Any, ratio: float, **params: Any) -> Any:
        return quietly(model.prune, self.rows.X, self.rows.y, pruning_ratio=ratio, **({"scope": "layer"} | params))

    def _measured(self, how: dict[str, Any], ratio: float, stage: dict[str, Any], name: str) -> Record:
        watch = Stopwatch()
        pruned = self._prune(self.model, ratio, **how, **stage)
        seconds = watch.seconds
        last = pruned.pruning_history_[-1]
        found = {"seconds": seconds, "scores": {"report": self._scores(pruned)}, "guard_loss": last["loss_after"]}
        if name == "tuned":
            found |= {"epochs": self._epochs(ratio), "fine_tuned": bool(last["fine_tuned"])}
        return found | self._size(pruned, with_latency=name == "raw")

    def _random_draws(self, ratio: float) -> Record:
        """The mean of some random choices, and each of them."""
        watch, draws = Stopwatch(), []
        for draw in range(design.DRAWS):
            how = {"policy": self._given(self._random(ratio, draw)), "n_rounds": 1}
            pruned = self._prune(self.model, ratio, **how, **STAGES["raw"])
            draws.append(self._scores(pruned))
        mean = {key: float(np.mean([scores[key] for scores in draws])) for key in draws[0]}
        found = {"seconds": watch.seconds / design.DRAWS, "scores": {"report": mean}, "draws": draws}
        return found | self._size(pruned, with_latency=True)

    # ------------------------------------------------------------------ controls

    def _control(self, name: str, ratio: float | None, stage: str) -> None:
        cell = self._cell("control", method=name, ratio=ratio, stage=stage, scope="layer" if ratio else None)
        self._do(cell, lambda: self._controlled(name, ratio or 0.0))

    def _controlled(self, name: str, ratio: float) -> Record:
        watch = Stopwatch()
        found: Record = {}
        if name == "unpruned":
            model = self.model
        elif name == "worst":
            # What stays where the other units leave as the safest.
            safe = self._prune(self.model, 1 - ratio, policy=LeaveOneOut(), n_rounds=1, **STAGES["raw"])
            others = np.setdiff1d(np.arange(sum(self.model.hidden_layer_sizes_)), self._removed(safe))
            how = {"policy": self._given(others), "n_rounds": 1}
            model = self._prune(self.model, ratio, **how, **STAGES["raw"])
        elif name == "trained_on":
            more = self._trained_on(self._epochs(ratio))
            found["seconds"] = watch.seconds
            # As in pruning, the network that went in stays if its loss on the held-out rows is not higher.
            better = self._guard_loss(more) < self._guard_loss(self.model)
            found |= {"epochs": self._epochs(ratio), "fine_tuned": better, "scores_of_last": self._scores(more)}
            model = more if better else self.model
        else:
            found["epochs"] = int(self.model.n_iter_) + self._epochs(ratio)
            sizes = np.asarray(self.model.hidden_layer_sizes_)
            n_remove = int(ratio * sizes.sum() + 1e-9)
            widths = tuple(int(n) for n in sizes - replay.quotas(sizes, n_remove))
            model = clone(self.model).set_params(hidden_layer_sizes=widths, max_iter=found["epochs"])
            model = quietly(model.fit, self.rows.X, self.rows.y)
        found = {"seconds": watch.seconds, "scores": {"report": self._scores(model)}} | found
        return found | self._size(model, with_latency=name == "unpruned")

    def _trained_on(self, epochs: int) -> Any:
        """Train the dense model on, as pruned ones are fine-tuned: a tenth of the rate, no dropout, no decay."""
        more = copy.deepcopy(self.model).set_params(
            warm_start=True,
            max_iter=epochs,
            learning_rate="cosine",
            learning_rate_init=self.model.learning_rate_init / 10,
            dropout=0.0,
            alpha=0.0,
        )
        return quietly(more.fit, self.rows.X, self.rows.y)

    def _guard_loss(self, model: Any) -> float:
        """Return a network's loss on the rows that pruning judges fine-tuning by."""
        ratio = 1.5 / sum(model.hidden_layer_sizes_)  # one unit: what it does is of no interest
        pruned = self._prune(model, ratio, policy=self._given([0]), n_rounds=1, **STAGES["raw"])
        return float(pruned.pruning_history_[0]["loss_before"])

    def _epochs(self, ratio: float) -> int:
        """Return the epochs of fine-tuning under ``fine_tune_iter="auto"`` after one round."""
        return max(2, round(20 * ratio))

    # ------------------------------------------------------------------ scores

    def _scores(self, model: Any) -> dict[str, float]:
        table = self.table
        found = protocol.scores(model, table.task, self.rows.X_test, self.rows.y_test, table.n_classes)
        names = ("r2", "rmse") if table.task == "regression" else ("accuracy", "log_loss")
        return {name: found[name] for name in names}

    def _size(self, model: Any, *, with_latency: bool) -> Record:
        found: Record = {
            "parameters": int(model.n_parameters_[1]),
            "macs": int(sum(W.size for W in model.coefs_)),
            "sizes": list(model.hidden_layer_sizes_),
        }
        if with_latency:
            rows = {n: self.rows.X_test.iloc[np.resize(np.arange(len(self.rows.X_test)), n)] for n in LATENCY_ROWS}
            found["latency_ms"] = {str(n): 1e3 * latency(model.predict, X) for n, X in rows.items()}
        return found


def _ranked_by(method: methods.Method) -> dict[str, Any]:
    """Return the parameters of ``prune`` for a ranking.

    Scoring again is in as many rounds as in the deep suite, each of the same share of what is left, and on all rows: a
    call of ``prune`` keeps the shapes of arrays, and nothing is compiled anew.
    """
    if method.tenths:
        return {"policy": method.policy, "n_rounds": method.rounds, "budget": 4.0 * method.rounds}
    return {"policy": method.policy, "n_rounds": 1, "budget": design.TABULAR_BUDGET}
