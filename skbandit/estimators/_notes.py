"""What the user is to be told beside the result: gathered below, raised as warnings by the method that was called."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from types import TracebackType
from typing import NamedTuple, Self


class Note(NamedTuple):
    """A warning that nobody has raised yet."""

    text: str
    category: type[Warning] = UserWarning


class Notes:
    """Gathers notes, and raises each of them once when its block ends, also if that is by an error.

    A warning points at the line of the user's that called the public method.
    """

    def __init__(self) -> None:
        self.notes: list[Note] = []

    def add(self, *notes: Note) -> None:
        """Take notes down."""
        self.notes.extend(notes)

    def merge(self, others: Iterable[Notes]) -> None:
        """Take down what others have gathered."""
        for other in others:
            self.notes.extend(other.notes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self.notes:
            return
        level = _level_of_the_user()
        for note in dict.fromkeys(self.notes):
            warnings.warn(note.text, note.category, stacklevel=level)


def _level_of_the_user() -> int:
    """Return the ``stacklevel`` at which the caller of this function points at the first line that is not ours.

    Nor is it one of scikit-learn's wrapper around methods that have callbacks, or of its ``score``.
    """
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    return level


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "skbandit" or module.startswith("sklearn.callback.") or module == "sklearn.base"
