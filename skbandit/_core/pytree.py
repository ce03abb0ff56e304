"""Frozen dataclasses that JAX sees as pytrees.

Configuration objects (policies, criteria, rewards) are immutable records. Their numeric fields are pytree
*leaves*, so that another value of a hyper-parameter is new data for an executable that exists; their structural
fields (flags, names, sizes) are *static*, so that another value is another program.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, TypeVar, dataclass_transform

import jax

from skbandit._core.constraints import check_values

T = TypeVar("T")


def static(*, default: Any = dataclasses.MISSING) -> Any:
    """Declare a field whose value is part of the compiled program, not an input of it."""
    return dataclasses.field(default=default, metadata={"static": True})


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field, static))
def pytree_dataclass(cls: type[T]) -> type[T]:
    """Make ``cls`` a frozen dataclass and register it as a JAX pytree.

    Not registered with `jax.tree_util.register_dataclass`: to JAX 0.10.2 the structures of two such classes are equal
    if their fields are, whatever the classes. Their hashes differ, so that the program of one is only now and then
    called for the other.
    """
    cls = dataclasses.dataclass(frozen=True)(cls)
    _register(cls)
    return cls


def _register(cls: type[Any]) -> None:
    meta = [f.name for f in dataclasses.fields(cls) if f.metadata.get("static")]
    data = [f.name for f in dataclasses.fields(cls) if not f.metadata.get("static")]

    def flatten(config: Any) -> tuple[list[Any], tuple[Any, ...]]:
        return [getattr(config, name) for name in data], (cls, *(getattr(config, name) for name in meta))

    def flatten_with_keys(config: Any) -> tuple[list[tuple[Any, Any]], tuple[Any, ...]]:
        leaves, structure = flatten(config)
        return [(jax.tree_util.GetAttrKey(name), leaf) for name, leaf in zip(data, leaves, strict=True)], structure

    def unflatten(structure: tuple[Any, ...], leaves: Any) -> Any:
        config = object.__new__(cls)  # no check: leaves may be tracers, or anything that JAX puts there
        for name, value in (*zip(data, leaves, strict=True), *zip(meta, structure[1:], strict=True)):
            object.__setattr__(config, name, value)
        return config

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)


class ParamsMixin:
    """``get_params`` and ``set_params`` for frozen dataclasses, as meta-estimators expect them.

    With them ``clone`` rebuilds the object and ``GridSearchCV`` reaches its fields (``policy__exploration``).
    The objects are immutable: ``set_params`` returns a new one.
    """

    #: What each field may be.
    constraints: ClassVar[dict[str, tuple[Any, ...]]] = {}

    def check(self: T, dtype: str = "float64") -> T:
        """Return the object; raise ValueError for a field that is out of bounds, also of a nested object.

        Not done on construction: JAX rebuilds the object with tracers in its fields.

        Parameters
        ----------
        dtype : {"float64", "float32"}
            In which the fields are computed with.
        """
        cls = type(self)
        if "__dataclass_fields__" not in cls.__dict__:
            raise ValueError(f"The class {cls.__name__} lacks its decorator, @pytree_dataclass.")
        # A class of a script or a notebook comes to another process by value, without its decorator being run there.
        if jax.tree_util.all_leaves([self]):
            _register(cls)
        fields = {f: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        values = {f.name: value for f, value in fields.items()}
        check_values(cls.__name__, values, self.constraints, dtype)  # type: ignore[attr-defined]
        for field, value in fields.items():
            if isinstance(value, ParamsMixin):
                value.check(dtype)
            elif isinstance(value, str) and not field.metadata.get("static"):
                raise ValueError(
                    f"The field {field.name!r} of {cls.__name__} holds {value!r}, and is declared as a number for the "
                    f"compiled program. Declare it as {field.name}: str = static(default=...)."
                )
        return self

    def has_defaults(self) -> bool:
        """Say whether every field is at its default; a field that cannot be compared with one is not."""
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value, default = getattr(self, field.name), field.default
            if value is default:
                continue
            of_one_class = type(value) is type(default)
            if isinstance(value, ParamsMixin):
                if not (of_one_class and value.has_defaults()):
                    return False
            elif not isinstance(value, (bool, int, float, str, type(None))) or value != default:
                return False
        return True

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the fields by name; with ``deep``, those of nested configuration objects too."""
        params: dict[str, Any] = {}
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = params[field.name] = getattr(self, field.name)
            if deep and isinstance(value, ParamsMixin):
                params |= {f"{field.name}__{name}": v for name, v in value.get_params().items()}
        return params

    def set_params(self: T, **params: Any) -> T:
        """Return a copy with the fields ``params`` replaced; ``field__name`` reaches a nested object."""
        names = [f.name for f in dataclasses.fields(self)]  # type: ignore[arg-type]
        nested: dict[str, dict[str, Any]] = {}
        own = {}
        for key, value in params.items():
            name, _, rest = key.partition("__")
            if name not in names:
                raise ValueError(
                    f"Invalid parameter {name!r} for {type(self).__name__}. Valid parameters are: {sorted(names)}."
                )
            if rest:
                nested.setdefault(name, {})[rest] = value
            else:
                own[name] = value
        for name, inner in nested.items():
            own[name] = own.get(name, getattr(self, name)).set_params(**inner)
        return dataclasses.replace(self, **own)  # type: ignore[type-var]
