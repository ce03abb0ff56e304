"""The cells of a run: what tells them apart, the file of their records, and which share of them a process does.

A cell is one measurement, and one record. Records are appended to a file of JSON lines as soon as they are measured; a
cell whose record is there is not done again. What fails is a record with ``error``, and is done again only if asked
for. Several processes may append to the same file.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import os
import random
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import skbandit
from benchmarks.common.machine import cpu_model, n_cores, versions
from benchmarks.common.records import Record
from benchmarks.common.timing import COMPILE_CLOCK

PACKAGES = ("skbandit", "jax", "jaxlib", "numpy", "scipy", "scikit-learn", "optax")

#: What tells cells apart. ``network`` is the hash of the dense network's parameters; ``budget`` is that of points of a
#: curve against pulls, where a method has several.
KEY = (
    *("kind", "suite", "pair", "seed", "method", "ratio", "scope", "stage", "network"),
    *("budget", "epsilon", "protocol"),
)
#: What a record says that its cell is not known by: the hash of a dense network is found when it is trained.
_FOUND = {"dense": ("network",), "certified": ("ratio", "network")}

#: Seconds that are allowed for a cell of a kind that has not been seen yet.
UNKNOWN = 60.0
#: With this share of the time gone, shorter cells are not looked for.
NEARLY = 0.9


class Cell(NamedTuple):
    """A measurement: the fields of `KEY` that apply to it."""

    kind: str
    suite: str
    pair: str
    seed: int
    method: str | None = None
    ratio: float | None = None
    scope: str | None = None
    stage: str | None = None
    network: str | None = None
    budget: float | None = None
    epsilon: float | None = None
    protocol: str | None = None

    def __str__(self) -> str:
        shown = [self.kind, self.pair, f"seed {self.seed}", self.method, self.ratio, self.scope, self.stage]
        shown += [f"{part:g}" for part in (self.budget, self.epsilon) if part is not None]
        return " ".join(str(part) for part in shown if part is not None)


def key_of(record: Record) -> Cell:
    """Return the cell that a record is of."""
    found = _FOUND.get(record["kind"], ())
    return Cell(*(None if name in found else record.get(name) for name in KEY))


class Store:
    """A file of records, as it grows.

    Parameters
    ----------
    path : Path or None
        None keeps records in memory only.
    retry : bool
        Whether a cell with an error counts as not done.
    """

    def __init__(self, path: Path | None, *, retry: bool = False) -> None:
        self.path, self.retry = path, retry
        self._read = 0
        self._records: dict[Cell, Record] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read what has been appended since, by this process or by others; a line that is not whole stays unread."""
        if self.path is None or not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._read)
            content = file.read()
        whole = content.rfind(b"\n") + 1
        self._read += whole
        for line in content[:whole].splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:  # broke off
                continue
            self._records[key_of(record)] = record

    def __len__(self) -> int:
        return len(self._records)

    def get(self, cell: Cell) -> Record | None:
        """Return the record of a cell, None if there is none; of several, the last one."""
        return self._records.get(cell)

    def is_done(self, cell: Cell) -> bool:
        """Whether a cell need not be done."""
        record = self._records.get(cell)
        return record is not None and not (self.retry and "error" in record)

    def forget(self, cell: Cell) -> None:
        """Count a cell as not done: what its record says is not there any more."""
        self._records.pop(cell, None)

    def records(self) -> list[Record]:
        """Return the records, of each cell the last one."""
        return list(self._records.values())

    def append(self, record: Record) -> None:
        """Add a record: one line, written in one call, and on the disk when this returns."""
        if self.path is None:
            self._records[key_of(record)] = json.loads(json.dumps(record, default=_plain))
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(record, default=_plain).encode() + b"\n"
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            size = os.fstat(file).st_size
            if size and os.pread(file, 1, size - 1) != b"\n":
                line = b"\n" + line  # a run that broke off
            while line:
                line = line[os.write(file, line) :]
            os.fsync(file)
        finally:
            os.close(file)
        self.refresh()


def _plain(value: Any) -> Any:
    """Make Python's own of NumPy's values, for JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written.")


# ---------------------------------------------------------------------- doing them


class Clock:
    """When a part has to stop: it begins no cell that would last beyond its time, as far as earlier cells tell.

    Parameters
    ----------
    limit : float
        Seconds.
    """

    def __init__(self, limit: float) -> None:
        self.limit, self.start = limit, time.perf_counter()
        self._seconds: dict[tuple[Any, ...], list[float]] = {}

    @staticmethod
    def _sort(cell: Cell) -> tuple[Any, ...]:
        return cell.kind, cell.suite, cell.stage

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self.start

    def learn(self, record: Record) -> None:
        """Take note of what a cell took, compilation included."""
        sort = self._sort(key_of(record))
        for known in (sort, (*sort, record["pair"])):
            self._seconds.setdefault(known, []).append(float(record.get("wall", 0.0)))

    def expected(self, cell: Cell) -> float:
        """Return the longest that a cell of its kind has taken on its pair; the median on any, where there is none."""
        sort = self._sort(cell)
        on_pair, on_any = self._seconds.get((*sort, cell.pair)), self._seconds.get(sort)
        return max(on_pair) if on_pair else float(np.median(on_any)) if on_any else UNKNOWN

    @property
    def is_nearly_over(self) -> bool:
        """Whether there is no use in looking for shorter cells."""
        return self.seconds > NEARLY * self.limit

    def allows(self, cell: Cell) -> bool:
        """Whether there is time for a cell."""
        return self.seconds + self.expected(cell) <= self.limit


class TimeIsUp(Exception):  # noqa: N818 (no error: the next run goes on)
    """There is no time for the next cell."""


class Runner:
    """Does cells one by one: measures, appends, prints.

    Parameters
    ----------
    store : Store
    clock : Clock
    say : callable (str) → None
    """

    def __init__(self, store: Store, clock: Clock, say: Callable[[str], Any] = print) -> None:
        self.store, self.clock, self.say = store, clock, say
        self.n_made = 0
        self.failed: list[str] = []
        for record in store.records():
            clock.learn(record)

    def begin(self, cell: Cell) -> None:
        """Raise TimeIsUp if a cell might not be done in time.

        The first cell of a run is begun in any case: one that is longer than the limit would be done by no run.
        """
        if self.n_made and not self.clock.allows(cell):
            raise TimeIsUp(str(cell))

    def do(self, cell: Cell, measure: Callable[[], Record], **about: Any) -> Record | None:
        """Measure a cell, unless it is done; return its record, None where it has failed.

        Parameters
        ----------
        cell : Cell
        measure : callable () → dict
            Returns what the record says beside the key; ``network`` may be part of it.
        **about : dict
            Further fields, in a record of an error as well.

        Raises
        ------
        TimeIsUp
            If the cell might not be done in time.
        """
        if self.store.is_done(cell):
            record = self.store.get(cell)
            assert record is not None
            return None if "error" in record else record
        self.begin(cell)
        COMPILE_CLOCK.listen()
        began, compiled = time.perf_counter(), COMPILE_CLOCK.seconds
        try:
            found = measure()
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"[:500], "trace": traceback.format_exc()[-2000:]}
        fields = {name: value for name, value in cell._asdict().items() if value is not None}
        took = {"wall": time.perf_counter() - began, "compile": COMPILE_CLOCK.seconds - compiled}
        record = {**fields, **about, **found, **{name: round(t, 3) for name, t in took.items()}, **environment()}
        self.store.append(record)
        self.clock.learn(record)
        self.n_made += 1
        self.say(line(record))
        return None if "error" in record else self.store.get(key_of(record))


def quietly(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call a function without its warnings: of convergence, mostly, and the defaults are what is compared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **options)


class Planned:
    """In the place of a runner: raises LookupError at the first cell that is not done."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def do(self, cell: Cell, measure: Callable[[], Record], **about: Any) -> Record | None:
        """Return the record of a cell, None where it failed."""
        if not self.store.is_done(cell):
            raise LookupError(str(cell))
        record = self.store.get(cell)
        return None if record is None or "error" in record else record


class Stopwatch:
    """Seconds since it was made, without those in XLA's compiler."""

    def __init__(self) -> None:
        COMPILE_CLOCK.listen()
        self._began = time.perf_counter() - COMPILE_CLOCK.seconds

    @property
    def seconds(self) -> float:
        """How many they are so far."""
        return time.perf_counter() - COMPILE_CLOCK.seconds - self._began


def line(record: Record) -> str:
    """One line for the screen."""
    head = f"{key_of(record)!s:70s} {record['wall']:7.2f} s"
    if "error" in record:
        return f"{head}  FAILED: {record['error']}"
    if "scores" in record:
        shown = {name: round(value, 4) for name, value in record["scores"].get("report", {}).items()}
        return f"{head}  {shown}"
    return head


def environment() -> dict[str, Any]:
    """Return what every record says of where and when it was made."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    about = {"versions": _versions(), "cpu": f"{cpu_model()}, {n_cores()} cores", "load": load, "date": now}
    return about | {"code": code()}


@functools.cache
def code() -> str:
    """Return a digest of the source that makes records: of the package, the pairs, and this runner."""
    here = Path(__file__).parent
    folders = (Path(skbandit.__file__).parent, here.parent / "deep" / "pairs")
    files = [*here.glob("*.py"), *(path for folder in folders for path in folder.rglob("*.py"))]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


_VERSIONS: dict[str, str] = {}


def _versions() -> dict[str, str]:
    if not _VERSIONS:
        _VERSIONS.update(versions(PACKAGES))
    return dict(_VERSIONS)


def part_of(items: Iterable[Any], part: tuple[int, int]) -> list[Any]:
    """Deal items out to n parts, and return those of part i (from 1), in their order; always the same.

    They are shuffled before: neighbours, such as the seeds of one pair, take about as long.
    """
    i, n = part
    dealt = list(items)
    random.Random(0).shuffle(dealt)
    mine = set(dealt[i - 1 :: n])
    return [item for item in items if item in mine]


def by_seed(names: Sequence[str], n_seeds: int) -> list[tuple[str, int]]:
    """Return all pairs (name, seed): all names with seed 0 first."""
    return [(name, seed) for seed in range(n_seeds) for name in names]
