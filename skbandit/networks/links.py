"""Which positions of which axes leave together: links between the axes of the variables of a graph, and their closure.

A *place* is one axis of one variable. The rules (`skbandit.networks.rules`) link places:

==========  ===========================================================================================================
``same``    two axes hold the same units, position by position
``map``     some positions of one axis are some positions of another
``factor``  a flat axis is the row-major product of several
``stop``    units that reach this place stay
``read``    a contraction or reduction: here units end, and here their gates stand
``flag``    units that reach this place leave only where the user asks for it (`skbandit.networks.infer_groups`)
==========  ===========================================================================================================

Places that are the ``same`` are one *class*. A *closure* follows the links from labels on some classes, to a label on
every position that leaves with them. Labels that meet are one unit.
"""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from skbandit.networks.graph import Node

Place = tuple[int, int]
"""Number of a variable, and an axis of it."""
Labels = np.ndarray
"""i[axis size]: a unit for each position; -1 where there is none."""


class Read(NamedTuple):
    """A contraction or reduction over an axis.

    Attributes
    ----------
    node : Node
    axes : dict of int to int
        The axis that is read, of each operand that has it.
    place : Place
        Whose labels are those of the units.
    repeats : int
        How often these labels stand in the operand's axis one after the other: groups of a convolution.
    """

    node: Node
    axes: Mapping[int, int]
    place: Place
    repeats: int = 1


class Stop(NamedTuple):
    """Why units stay."""

    reason: str
    source: str
    kind: str = ""
    """"" or the kind of a flag."""


class _Map(NamedTuple):
    ends: tuple[int, int]
    positions: tuple[np.ndarray, np.ndarray]


class _Factor(NamedTuple):
    flat: int
    siblings: tuple[int, ...]
    sizes: tuple[int, ...]
    source: str


class Links:
    """The links of one or several graphs.

    Attributes
    ----------
    factors : list of (Place, list of Place, str)
        Flat axis, factors, and the line of the user's code.
    reads : list of Read
    """

    def __init__(self) -> None:
        self._numbers: dict[Place, int] = {}
        self._sizes: list[int] = []
        self._parent: list[int] = []
        self._next_virtual = -1
        self.maps: list[tuple[Place, np.ndarray, Place, np.ndarray]] = []
        self.factors: list[tuple[Place, list[Place], str]] = []
        self.stops: list[tuple[Place, np.ndarray | None, Stop]] = []
        self.reads: list[Read] = []
        #: Line of the user's code that a rule is at work on.
        self.source = ""

    # ------------------------------------------------------------------ what rules call

    def place(self, variable: int, axis: int, size: int) -> Place:
        """Declare an axis, once or more often."""
        place = (variable, axis)
        if place not in self._numbers:
            self._numbers[place] = len(self._sizes)
            self._parent.append(len(self._sizes))
            self._sizes.append(size)
        return place

    def virtual(self, size: int) -> Place:
        """Return an axis of no variable, to link others through."""
        self._next_virtual -= 1
        return self.place(self._next_virtual, 0, size)

    def size(self, place: Place) -> int:
        """Return the number of positions of an axis."""
        return self._sizes[self._numbers[place]]

    def same(self, a: Place, b: Place) -> None:
        """Link two axes of equal size, position by position."""
        if self.size(a) != self.size(b):
            raise ValueError(f"Axes of {self.size(a)} and {self.size(b)} positions cannot be the same.")
        x, y = self._root(self._numbers[a]), self._root(self._numbers[b])
        self._parent[max(x, y)] = min(x, y)

    def map(self, a: Place, of_a: np.ndarray, b: Place, of_b: np.ndarray) -> None:
        """Link positions ``of_a`` of one axis with positions ``of_b`` of another, one by one."""
        if len(of_a):
            self.maps.append((a, np.asarray(of_a), b, np.asarray(of_b)))

    def factor(self, flat: Place, factors: Sequence[Place]) -> None:
        """Link a flat axis with the axes whose row-major product it is."""
        factors = [place for place in factors if self.size(place) != 1]
        if math.prod(map(self.size, factors)) != self.size(flat):
            raise ValueError("The sizes of the factors do not make the size of the flat axis.")
        if len(factors) == 1:
            self.same(flat, factors[0])
        elif factors:
            self.factors.append((flat, factors, self.source))

    def stop(self, place: Place, reason: str, positions: np.ndarray | None = None) -> None:
        """Let the units at all positions, or at some, stay."""
        self.stops.append((place, positions, Stop(reason, self.source)))

    def flag(self, place: Place, kind: str, reason: str) -> None:
        """Let the units at all positions stay, unless the user includes this kind."""
        self.stops.append((place, None, Stop(reason, self.source, kind)))

    def read(self, node: Node, axes: Mapping[int, int], place: Place, repeats: int = 1) -> None:
        """Say that units end at this place of a node."""
        self.reads.append(Read(node, axes, place, repeats))

    def _root(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number

    def closed(self) -> Classes:
        """Return the classes, once all rules have been applied."""
        return Classes(self)

    def class_numbers(self) -> dict[Place, int]:
        """Return the number of the class of every place."""
        return {place: self._root(number) for place, number in self._numbers.items()}


@dataclasses.dataclass
class Closure:
    """What leaves together.

    Attributes
    ----------
    labels : dict of int to Labels
        For each class that has any, which unit each position leaves with.
    n_units : int
        Units that are left; numbered from 0.
    stopped : list of Stop
        Why others stayed.
    flags : list of set of str
        For each unit, the kinds of flags that it reaches.
    """

    labels: dict[int, Labels]
    n_units: int
    stopped: list[Stop]
    flags: list[set[str]]


class Classes:
    """Classes of places, and the links between them.

    Attributes
    ----------
    of : dict of Place to int
        The class of each place.
    sizes : dict of int to int
        Positions of each class.
    reads : dict of int to list of Read
    factors : list of int
        Classes of the factors of all flat axes, in order of the graph, leftmost first.
    """

    def __init__(self, links: Links) -> None:
        self.of = links.class_numbers()
        self.sizes = {c: links.size(place) for place, c in self.of.items()}
        self._maps: dict[int, list[_Map]] = {}
        self._factors: dict[int, list[_Factor]] = {}
        self._stops: dict[int, list[tuple[np.ndarray | None, Stop]]] = {}
        self.reads: dict[int, list[Read]] = {}
        for a, of_a, b, of_b in links.maps:
            link = _Map((self.of[a], self.of[b]), (of_a, of_b))
            for end in set(link.ends):
                self._maps.setdefault(end, []).append(link)
        self.factors = list(dict.fromkeys(self.of[place] for _, places, _ in links.factors for place in places))
        for flat, places, source in links.factors:
            siblings = tuple(self.of[place] for place in places)
            factor = _Factor(self.of[flat], siblings, tuple(self.sizes[c] for c in siblings), source)
            for end in {factor.flat, *siblings}:
                self._factors.setdefault(end, []).append(factor)
        for place, positions, stop in links.stops:
            self._stops.setdefault(self.of[place], []).append((positions, stop))
        for read in links.reads:
            self.reads.setdefault(self.of[read.place], []).append(read)

    def closure(self, start: Mapping[int, Labels], *, stops: bool = True) -> Closure:
        """Follow the links from labels on some classes.

        Parameters
        ----------
        start : dict of int to Labels
            Labels of classes, numbers from 0.
        stops : bool, default=True
            Whether units that reach a stop stay. Without, they go on, and flags are not looked at either.
        """
        labels, units = self._spread(start)
        labels = {c: units.find(given) for c, given in labels.items()}
        stopped: list[Stop] = []
        gone = np.zeros(units.size, bool)
        flags: dict[int, set[str]] = {}
        for factor in self._factors_of(labels):
            odd = _not_a_product(factor, labels)
            if odd.size:
                gone[odd] = True
                stopped.append(Stop("a reshape mixes its positions with others", factor.source))
        if stops:
            for c, given in labels.items():
                for positions, stop in self._stops.get(c, ()):
                    there = given if positions is None else given[positions]
                    reached = np.unique(there[there >= 0])
                    if stop.kind:
                        for unit in reached:
                            flags.setdefault(int(unit), set()).add(stop.kind)
                    elif reached.size:
                        gone[reached] = True
                    if reached.size:
                        stopped.append(stop)
        left = np.unique(np.concatenate([given[given >= 0] for given in labels.values()] or [np.zeros(0, int)]))
        left = left[~gone[left]]
        number = np.full(units.size + 1, -1)
        number[left] = np.arange(left.size)
        found = {c: number[given] for c, given in labels.items()}
        found = {c: given for c, given in found.items() if (given >= 0).any()}
        return Closure(found, left.size, stopped, [flags.get(int(unit), set()) for unit in left])

    def _spread(self, start: Mapping[int, Labels]) -> tuple[dict[int, Labels], _Units]:
        units = _Units(1 + max((int(given.max(initial=-1)) for given in start.values()), default=-1))
        labels: dict[int, Labels] = {}
        queue: deque[int] = deque()

        def meet(c: int, new: Labels) -> None:
            old = labels.get(c)
            if old is None:
                if (new >= 0).any():
                    labels[c] = new.copy()
                    queue.append(c)
                return
            news = (new >= 0) & (new != old)
            fresh = news & (old < 0)
            both = news & ~fresh
            united = both.any() and units.unite(old[both], new[both])
            if fresh.any():
                old[fresh] = new[fresh]
                queue.append(c)
            elif united:
                queue.append(c)
            if united:  # what was no product of factors may be one now
                queue.extend({f.flat for f in self._factors_of(labels) if f.flat in labels})

        for c, given in start.items():
            meet(c, given)
        while queue:
            c = queue.popleft()
            for link in self._maps.get(c, ()):
                for here, there in ((0, 1), (1, 0)):
                    if link.ends[here] == c:
                        other = link.ends[there]
                        new = np.full(self.sizes[other], -1)
                        new[link.positions[there]] = labels[c][link.positions[here]]
                        meet(other, new)
            for factor in self._factors.get(c, ()):
                for j, sibling in enumerate(factor.siblings):
                    if sibling == c:
                        meet(factor.flat, _repeated(labels[c], factor.sizes, j))
                if factor.flat == c:
                    found = _factor_of(units.find(labels[c]), factor.sizes)
                    if found is not None:
                        meet(factor.siblings[found[0]], found[1])
        return labels, units

    def _factors_of(self, labels: Mapping[int, Labels]) -> Iterable[_Factor]:
        return {id(f): f for c in labels for f in self._factors.get(c, ())}.values()


class _Units:
    """Numbers of units, some of which turn out to be one."""

    def __init__(self, n: int) -> None:
        self._parent = np.arange(n + 1)  # the last stands for "no unit", -1

    @property
    def size(self) -> int:
        return self._parent.size - 1

    def find(self, units: np.ndarray) -> np.ndarray:
        """Return the smallest number of what each has turned out to be; -1 stays."""
        found = self._parent[units]
        while True:
            further = self._parent[found]
            if (further == found).all():
                break
            found = further
        return np.where(units < 0, -1, found)

    def unite(self, a: np.ndarray, b: np.ndarray) -> bool:
        """Make pairs one; return whether they were not."""
        changed = False
        while True:
            a, b = self.find(a), self.find(b)
            apart = a != b
            if not apart.any():
                return changed
            changed = True
            np.minimum.at(self._parent, np.maximum(a, b)[apart], np.minimum(a, b)[apart])


def _repeated(labels: Labels, sizes: Sequence[int], j: int) -> Labels:
    """Return the labels of a flat axis from those of its factor ``j``."""
    shape = [1] * len(sizes)
    shape[j] = sizes[j]
    return np.broadcast_to(labels.reshape(shape), sizes).reshape(-1)


def _factor_of(flat: Labels, sizes: Sequence[int]) -> tuple[int, Labels] | None:
    """Return the one factor that the labels of a flat axis are a function of, and its labels; None where none is."""
    table = flat.reshape(sizes)
    if (table == table.flat[0]).all():
        return None
    for j in range(len(sizes)):
        of_j = np.moveaxis(table, j, 0).reshape(sizes[j], -1)
        if (of_j == of_j[:, :1]).all():
            return j, of_j[:, 0].copy()
    return None


def _not_a_product(factor: _Factor, labels: Mapping[int, Labels]) -> np.ndarray:
    """Return the units at a flat axis or its factors, unless the flat labels are those of one factor, repeated."""
    flat = labels.get(factor.flat, np.full(math.prod(factor.sizes), -1))
    labelled = [j for j, c in enumerate(factor.siblings) if c in labels and (labels[c] >= 0).any()]
    if len(labelled) == 1:
        (j,) = labelled
        if (flat == _repeated(labels[factor.siblings[j]], factor.sizes, j)).all():
            return np.zeros(0, int)
    there = np.concatenate([flat, *(labels[c] for c in factor.siblings if c in labels)])
    return np.unique(there[there >= 0])
