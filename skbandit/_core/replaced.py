"""Whether the functions of this package are still those of its sources: a test, or a user, may have replaced one.

A program that is traced from replaced code must not be kept: another process would find it by the same sources.
"""

from __future__ import annotations

import functools
import sys
from types import FunctionType, ModuleType
from typing import Any

_PACKAGE = "skbandit"
#: Where the functions may come from that a module of the package holds: what it imports.
_IMPORTED = {_PACKAGE, "jax", "jaxlib", "numpy", "scipy", "sklearn", "optax", "joblib", "threadpoolctl"}
_TRUSTED = frozenset((_IMPORTED | sys.stdlib_module_names) - {"__main__", "unittest"})
#: Where methods may come from: the package, and what makes classes. Special methods may come from where functions may.
_MADE = frozenset({_PACKAGE, "abc", "collections", "dataclasses", "enum", "functools", "typing"})
#: Rooms of the package that no program is traced from: what is traced does not import them. And modules of this room.
NEVER_TRACED = frozenset({"cli", "estimators", "export", "plotting", "stats"})
_HOUSEKEEPING = (
    *("cache", "executables", "forks", "imports", "interrupts", "keys", "memory", "private", "programs", "replaced"),
    *("store", "switches"),
)
_ELSEWHERE = (
    *(f"{_PACKAGE}.{name}" for name in NEVER_TRACED),
    *(f"{_PACKAGE}._core.{name}" for name in _HOUSEKEEPING),
)
#: What holds a function, and under which name.
_HOLDERS: dict[type[Any], str] = {
    property: "fget",
    classmethod: "__func__",
    staticmethod: "__func__",
    functools.cached_property: "func",
    functools.partial: "func",
}


def replaced() -> str | None:
    """Return where a function of the package stands that was defined outside of it; None if there is none.

    It looks at the modules that programs are traced from.
    """
    for name, module in list(sys.modules.items()):
        ours = name.partition(".")[0] == _PACKAGE and not name.startswith(_ELSEWHERE)
        if ours and isinstance(module, ModuleType):
            for key, value in list(vars(module).items()):
                if isinstance(value, type):
                    found = _replaced_method(value) if value.__module__ == name else None
                    if found is not None:
                        return f"{name}.{key}.{found}"
                elif _is_foreign(value, _TRUSTED):
                    return f"{name}.{key}"
    return None


def _replaced_method(cls: type[Any]) -> str | None:
    name: str
    for name, value in list(vars(cls).items()):
        if _is_foreign(value, _TRUSTED if name.startswith("__") else _MADE):
            return name
    return None


def _is_foreign(value: Any, trusted: frozenset[str]) -> bool:
    kind = type(value)
    if kind in _HOLDERS:
        value = getattr(value, _HOLDERS[kind])
        kind = type(value)
    if kind is not FunctionType:
        return kind.__module__.startswith("unittest")  # a mock
    while True:
        root = str(value.__globals__.get("__name__")).partition(".")[0]
        wrapped = vars(value).get("__wrapped__")
        # A decorator may be of the standard library.
        if root not in trusted and not root.startswith("namedtuple_") and not (wrapped and root in _TRUSTED):
            return True
        if type(wrapped) is not FunctionType:
            return False
        value = wrapped
