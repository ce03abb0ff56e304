"""The search for groups of units in a traced function."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from skbandit.networks.flow import Origins, origins
from skbandit.networks.groups import Group, Refusal, Slice
from skbandit.networks.links import Closure, Labels, Place, Read, Stop
from skbandit.networks.trace import Leaf, Trace

#: Which units a person may ask for with ``include=``, and why they are refused by default.
KINDS = {
    "inner": "the second of two axes that are contracted together: the module may want the same size elsewhere",
    "bilinear": "only read by products of two activations: the module may divide by the root of the size",
    "position": "its positions are counted: a module of a smaller size counts them anew",
    "random": "random numbers are drawn for it: others at the smaller size",
}
#: The origin that stands for data; parameters have numbers from 0.
DATA = -1


class Found(NamedTuple):
    """A group, with its labels on all classes."""

    group: Group
    labels: dict[int, Labels]


@dataclasses.dataclass
class _Candidate:
    labels: dict[int, Labels]
    n_units: int
    kinds: set[str]
    reads: list[Read]


class Search:
    """The search in one trace.

    Parameters
    ----------
    trace : Trace
    include : set of str
        Kinds of `KINDS` that are asked for.
    """

    def __init__(self, trace: Trace, include: set[str]) -> None:
        self.trace, self.include = trace, include
        self.classes = trace.classes
        self.origins = flow_of(trace)
        self.axes = [(leaf, axis) for leaf in trace.leaves for axis in range(len(leaf.shape))]
        self._class_of = {(leaf.variable, axis): self.classes.of[leaf.variable, axis] for leaf, axis in self.axes}
        #: Numbers of the axes of parameters, by class.
        self._owned: dict[int, list[int]] = {}
        for number, (leaf, axis) in enumerate(self.axes):
            self._owned.setdefault(self._class_of[leaf.variable, axis], []).append(number)
        self._ranks = {leaf.path: len(leaf.shape) for leaf in trace.leaves}
        self._first_use = _first_use(trace)
        paths = [leaf.path for leaf in trace.leaves]
        # Whether a path is of parameters, in `Variables` or among Flax's collections, and the keys that all begin with.
        self._shared = {True: _shared_prefix([p for p in paths if p[:1] == ("params",)]), False: _shared_prefix(paths)}
        self._names: Counter[str] = Counter()
        self._nodes = set(trace.graph.walk())
        self.found: list[Found] = []
        self.taken: dict[int, np.ndarray] = {}
        #: Why positions of a class stay.
        self._why: dict[int, list[Stop]] = {}
        #: Classes to start from again when all others are found, with the classes of the candidate.
        self._late: list[tuple[int, list[int]]] = []

    def run(self) -> list[Found]:
        """Return the groups: those that start at factors of flat axes, then those at axes of parameters."""
        for c in self.classes.factors:
            self._start(c)
        for leaf in self.trace.leaves:
            for axis in reversed(range(len(leaf.shape))):
                c = self._class_of[leaf.variable, axis]
                self._why[c] = self._start(c)
        for c, concerned in self._late:
            why = self._start(c, late=True)
            for other in concerned:
                self._why.setdefault(other, []).extend(why)
        return self.found

    # ------------------------------------------------------------------ one start

    def _start(self, c: int, late: bool = False) -> list[Stop]:
        """Search from a class; return why units were refused."""
        size = self.classes.sizes[c]
        free = ~self.taken.get(c, np.zeros(size, bool))
        if free.sum() < 2:
            return [Stop("one position only", "")] if size < 2 else []
        labels = np.full(size, -1)
        labels[free] = np.arange(free.sum())
        closure = self.classes.closure({c: labels})
        why = list(closure.stopped)
        for candidate in self._alike(closure):
            reason = self._refused(candidate, late)
            if reason is not None:
                why.append(reason)
                if reason.kind == "late":
                    self._late.append((c, list(candidate.labels)))
                continue
            self._accept(candidate)
        return why

    def _alike(self, closure: Closure) -> Iterator[_Candidate]:
        """Split units by what they own: those of two layers may have met, as in a concatenation."""
        if not closure.n_units:
            return
        # Units that reach flags are no others' kind.
        columns = [np.array([kind in flags for flags in closure.flags], int) for kind in KINDS]
        for c, given in closure.labels.items():
            if c in self._owned:
                columns.append(np.bincount(given[given >= 0], minlength=closure.n_units))
        _, kind_of = np.unique(np.stack(columns, 1), axis=0, return_inverse=True)
        kind_of = kind_of.reshape(-1)
        for first in np.sort(np.unique(kind_of, return_index=True)[1]):
            members = np.flatnonzero(kind_of == kind_of[first])
            number = np.full(closure.n_units + 1, -1)
            number[members] = np.arange(members.size)
            renamed = {c: number[given] for c, given in closure.labels.items()}
            labels = {c: given for c, given in renamed.items() if (given >= 0).any()}
            reads = [read for c in labels for read in self.classes.reads.get(c, ())]
            # What other functions of the same parameters are made of is not known here.
            reads = [read for read in reads if read.node in self._nodes] or reads
            yield _Candidate(labels, members.size, set(closure.flags[int(first)]), reads)

    def _refused(self, candidate: _Candidate, late: bool) -> Stop | None:
        """Return why a candidate is no group, None if it is one."""
        labels = candidate.labels
        if not any(c in self._owned for c in labels):
            return Stop("no parameter belongs to it", "")
        if candidate.n_units < 2:
            return Stop("one unit only", "")
        if any((self.taken[c] & (given >= 0)).any() for c, given in labels.items() if c in self.taken):
            return Stop("its positions belong to another group already", "")
        read = np.zeros(candidate.n_units, bool)
        for c, given in labels.items():
            if self.classes.reads.get(c):
                read[given[given >= 0]] = True
        if not read.all():
            return Stop("nothing reads its units", "")
        bilinear = [self._is_bilinear(r) for r in candidate.reads]
        if all(bilinear):
            candidate.kinds.add("bilinear")
        behind = self._behind(candidate)
        if behind and not late:
            return Stop("", "", "late")
        if behind and any(self.classes.of[place] in self.taken for place in behind):
            candidate.kinds.add("inner")
        odd = sorted(candidate.kinds - self.include)
        if odd:
            source = next((r.node.source for r in candidate.reads), "")
            return Stop(f'{KINDS[odd[0]]}; include=["{odd[0]}"] takes it', source, odd[0])
        if not self._is_made(candidate):
            return Stop("no parameter makes its units, one only reads them", "")
        return None

    def _is_made(self, candidate: _Candidate) -> bool:
        """Say whether what is read depends on a parameter that the units belong to, other than the one that reads."""
        read_at = self._read_leaves(candidate)
        mine = {leaf.variable for leaf, axis in self._axes_of(candidate) if (leaf.variable, axis) in read_at}
        if any(leaf.variable not in mine for leaf, _ in self._axes_of(candidate)):
            return True
        made_of = origins(self.trace.graph, {variable: [variable] for variable in mine})
        for read in candidate.reads:
            of_data = {i: DATA in self.origins.get(read.node.inputs[i], ()) for i in read.axes}
            for i in read.axes:
                reads_others = not of_data[i] and any(of_data.values())
                if not reads_others and made_of.get(read.node.inputs[i]):
                    return True
        return False

    def _axes_of(self, candidate: _Candidate) -> list[tuple[Leaf, int]]:
        """Return the axes of parameters that the candidate's units have positions of."""
        return [self.axes[n] for n in sorted(n for c in candidate.labels for n in self._owned.get(c, ()))]

    def _is_bilinear(self, read: Read) -> bool:
        if len(read.axes) < 2:
            return False
        return all(DATA in self.origins.get(read.node.inputs[i], ()) for i in read.axes)

    def _behind(self, candidate: _Candidate) -> list[Place]:
        """Return the axes in front of the candidate's in contractions over several axes, as the parameter has them."""
        places = []
        for read in candidate.reads:
            if read.node.name == "dot_general":
                of_data = [DATA in self.origins.get(v, ()) for v in read.node.inputs]
                side = 1 if of_data[0] and not of_data[1] else 0
                contracted = read.node.params["dimension_numbers"][0][side]
                places += [(read.node.inputs[side], axis) for axis in contracted if axis < read.axes[side]]
        return places

    def _accept(self, candidate: _Candidate) -> None:
        for c, given in candidate.labels.items():
            self.taken[c] = self.taken.get(c, np.zeros(given.size, bool)) | (given >= 0)
        incoming: list[Slice] = []
        outgoing: list[Slice] = []
        read_at = self._read_leaves(candidate)
        for leaf, axis in self._axes_of(candidate):
            labels = candidate.labels[self._class_of[leaf.variable, axis]]
            whole = labels.size == candidate.n_units and (labels == np.arange(labels.size)).all()
            side = outgoing if (leaf.variable, axis) in read_at else incoming
            side.append(Slice(leaf.path, axis, None if whole else labels))
        name = self._name([s.path for s in incoming] or [s.path for s in outgoing])
        self.found.append(Found(Group(name, candidate.n_units, incoming, outgoing), candidate.labels))

    def _read_leaves(self, candidate: _Candidate) -> set[Place]:
        """Return the axes of parameters that read the candidate's units."""
        places: set[Place] = set()
        for read in candidate.reads:
            if len(read.axes) < 2:
                continue
            for i in read.axes:
                made_of = self.origins.get(read.node.inputs[i], frozenset())
                if DATA in made_of:
                    continue
                c = self.classes.of[read.place]
                for number in made_of:
                    leaf = self.trace.leaves[number]
                    mine = [a for a in range(len(leaf.shape)) if self._class_of[leaf.variable, a] in candidate.labels]
                    direct = [a for a in mine if self._class_of[leaf.variable, a] == c]
                    places |= {(leaf.variable, a) for a in direct or mine}
        return places

    def _name(self, paths: Sequence[tuple[Any, ...]]) -> str:
        """Return a name: the module whose weights make the units first, in the order of computation.

        Where all weights that make them lie side by side in one module, as those of queries, keys and values do, it is
        that module.
        """
        weights = sorted([path for path in paths if self._ranks[path] > 1] or paths, key=self._first_use.__getitem__)
        parents = list(dict.fromkeys(map(self._module, weights)))
        module = first = parents[0]
        side_by_side = len(parents) > 1 and len({parent[:-1] for parent in parents}) == 1
        if side_by_side and isinstance(first[-1], str):  # numbers are those of a list
            module = first[:-1]
        n = self._prefix(first)
        name = ".".join(map(str, module[n:] or first[n:] or first))
        if self._names[name]:
            name = ".".join(map(str, first[n:] or first))
        self._names[name] += 1
        return f"{name} #{self._names[name]}" if self._names[name] > 1 else name

    def _module(self, path: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the module that a weight is of: of a list of weights, the weight itself."""
        beside = [leaf for leaf in self.trace.leaves if leaf.path[:-1] == path[:-1] and len(leaf.shape) > 1]
        return path if len(path) == 1 or (not isinstance(path[-1], str) and len(beside) > 1) else path[:-1]

    def _prefix(self, path: tuple[Any, ...]) -> int:
        """Return how many keys of a path say nothing: those that all parameters begin with."""
        of_parameters = path[:1] == ("params",)
        n = max(self._shared[of_parameters], int(of_parameters))
        while n and n < len(path) and not isinstance(path[n], str):
            n -= 1
        return n

    # ------------------------------------------------------------------ what is left

    def refusals(self) -> tuple[Refusal, ...]:
        """Return the axes of parameters that no group has a position of, and why."""
        refused = []
        for leaf, axis in self.axes:
            c = self._class_of[leaf.variable, axis]
            if c in self.taken:
                continue
            reason, source = _worst(self._why.get(c, []))
            refused.append(Refusal(leaf.path, axis, leaf.shape[axis], reason, source))
        return tuple(refused)


def _worst(why: Sequence[Stop]) -> tuple[str, str]:
    """Return the reason that says most, and its line."""
    weak = ("one unit only", "", "its positions belong to another group already", "no parameter belongs to it")
    real = [stop for stop in why if stop.reason not in weak] or [stop for stop in why if stop.reason]
    if not real:
        return "nothing reads its units", ""
    hard = [stop for stop in real if not stop.kind] or real
    first = hard[0]
    if first.kind and "include=" not in first.reason:
        return f'{first.reason}; include=["{first.kind}"] takes it', first.source
    return first.reason, first.source


def _shared_prefix(paths: Sequence[tuple[Any, ...]]) -> int:
    n = 0
    while paths and all(len(path) > n + 1 for path in paths) and len({path[n] for path in paths}) == 1:
        n += 1
    return n


def _first_use(trace: Trace) -> dict[tuple[Any, ...], int]:
    """Return the number of the first operation that takes each leaf."""
    first: dict[int, int] = {}
    for i, node in enumerate(trace.graph.nodes):
        for variable in node.inputs:
            first.setdefault(variable, i)
    return {leaf.path: first.get(leaf.variable, len(trace.graph.nodes)) for leaf in trace.leaves}


def flow_of(trace: Trace) -> Origins:
    """Return what each variable is made of: numbers of leaves, or `DATA` alone where that is among it."""
    given: dict[int, Any] = {leaf.variable: [i] for i, leaf in enumerate(trace.leaves)}
    given |= {variable: [DATA] for variable in trace.examples}
    return origins(trace.graph, given, alone=DATA)


def search(trace: Trace, include: set[str]) -> tuple[list[Found], tuple[Refusal, ...]]:
    """Return the groups of a trace, and the axes that belong to none."""
    looking = Search(trace, include)
    return looking.run(), looking.refusals()


def _dotted(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path))


def is_frozen(freeze: Sequence[Any]) -> Callable[[Leaf], bool]:
    """Return whether a leaf is at, or under, one of the paths."""
    prefixes = [tuple(p) if isinstance(p, (tuple, list)) else (p,) for p in freeze]

    def frozen(leaf: Leaf) -> bool:
        return any(leaf.path[: len(p)] == p or f"{leaf.name}.".startswith(f"{_dotted(p)}.") for p in prefixes)

    return frozen
