"""Addresses by which a pickle names a class, whatever module the class is written in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Class = TypeVar("Class", bound=type)


def named_in(module: str) -> Callable[[Class], Class]:
    """Return a decorator that makes a class known as one of ``module``, where its name must lead to it.

    A pickle that names the module where the class is written could not be loaded after a move.
    """

    def decorate(cls: Class) -> Class:
        cls.__module__ = module
        return cls

    return decorate


#: A class whose objects are parts of a saved model: `skbandit.saved` lists it.
saved = named_in("skbandit.saved")
