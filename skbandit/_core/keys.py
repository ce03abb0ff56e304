"""What a compiled program depends on, as text that is the same in every process.

Two programs of the same text must be the same program. What has no such text raises `NoKeyError`: what is not of this
package, such as a network, a loss or a policy of the user's, may compute something else under the same name in the next
process. The hash of an object, and its address, are of one process, and no part of a text.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path
from types import FunctionType
from typing import Any

import jax
import numpy as np

import skbandit._core as core
from skbandit._core.replaced import NEVER_TRACED, replaced

#: What JAX says, does and keeps beside a program, and no part of one, by the beginnings of the settings' names.
_NOT_OF_PROGRAMS = (
    "jax_compilation_cache",
    "jax_persistent_cache",
    "jax_enable_compilation_cache",
    "jax_raise_persistent_cache_errors",
    "jax_explain_cache_misses",
    "jax_log",
    "jax_debug_log_modules",
    "jax_debug_leaked_clients",
    "jax_distributed_debug",
    "jax_traceback_filtering",
    "jax_dump",
    "jax_include_debug_info_in_dumps",
    "jax_platforms",  # the device is part of the text
)
#: Variables that XLA and what it runs on read by themselves, by the beginnings of their names.
_VARIABLES = ("XLA_", "TF_", "NPROC", "LLVM_", "MLIR_", "DNNL_", "ONEDNN_")
#: Lines of /proc/cpuinfo: what the processor can do, and what the compiler tunes its code for.
_OF_PROCESSOR = (
    *("vendor_id", "cpu family", "model", "model name", "stepping", "flags"),  # x86
    *("Features", "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision"),  # Arm
)
#: Packages of the ground floor whose types may be part of a structure: their versions are part of the text.
_LIBRARIES = ("jax", "jaxlib", "optax", "numpy")
_PACKAGE = Path(core.__file__).parents[1]
#: Seconds by which a file system may date a file too early.
_COARSE = 0.1


class NoKeyError(Exception):
    """There is no text that tells what a program depends on."""


def describe(value: Any) -> str:
    """Return a text for a value that is part of a program: the same for equal contents, another for any other."""
    kind = type(value)
    if value is None or kind in (bool, int, str, bytes):
        return repr(value)
    if kind is float:
        return value.hex()  # type: ignore[no-any-return]
    if kind in (tuple, list):
        return f"{kind.__name__}({_joined(map(describe, value))})"
    if kind is dict:
        return f"dict({_joined(f'{describe(name)}: {describe(item)}' for name, item in value.items())})"
    if kind is frozenset:
        return f"frozenset({_joined(sorted(map(describe, value)))})"
    if isinstance(value, np.dtype) and value.fields is None and not value.hasobject:
        return f"dtype({value.name}, {value.str})"
    if kind is np.ndarray or isinstance(value, np.generic):
        array = np.asarray(value)
        return f"array({describe(array.dtype)}, {array.shape}, {hashlib.sha256(array.tobytes()).hexdigest()})"
    if value is type(None):
        return "NoneType"
    if isinstance(value, type):
        return _address(value, ("skbandit", "builtins", "collections", *_LIBRARIES))
    if isinstance(value, FunctionType):
        return _address(value, ("skbandit",))
    if isinstance(value, enum.Enum):
        return f"{_address(kind, ('skbandit', *_LIBRARIES))}.{value.name}"
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return f"{_address(kind, ('skbandit', *_LIBRARIES))}({_joined(map(describe, value))})"
    if dataclasses.is_dataclass(kind):
        return f"{_address(kind, ('skbandit',))}({_joined(_fields(value))})"
    raise NoKeyError(f"an object of the type {kind.__qualname__}")


def is_own(static: Any, tree: Any) -> bool:
    """Whether static arguments, and the structure of the others, hold nothing that is not of this package."""
    try:
        describe(static)
        describe_structure(tree)
    except NoKeyError:
        return False
    return True


def describe_structure(tree: Any) -> str:
    """Return a text for the structure of a pytree, with the static fields of what it holds."""
    node = tree.node_data()
    if node is None:
        return "*"
    kind, static = node
    within = _joined(map(describe_structure, tree.children()))
    return f"{describe(kind)}<{describe(static)}>({within})"


def describe_settings() -> str:
    """Return a text for all settings of JAX, as they are here and now, that a program may depend on.

    Raises
    ------
    NoKeyError
        If one of them has none, and where JAX computes on another device than the one processor.
    """
    # The values that this thread has: the contexts of a program, and what is set for the process.
    config: Any = jax.config
    if config.jax_default_device not in (None, "cpu", processor()):
        raise NoKeyError("a default device other than the one processor")
    return describe({name: _setting(value) for name, value in _settings_here()})


def _settings_here() -> Iterable[tuple[str, Any]]:
    yield "context", context()
    for name, value in sorted(jax.config.values.items()):
        if not name.startswith(_NOT_OF_PROGRAMS):
            yield name, value


def _setting(value: Any) -> Any:
    """Return a value that can be described: a device by its kind, no mesh and no axes as None."""
    if isinstance(value, jax.Device):
        return value.platform, value.id, value.device_kind
    if isinstance(value, tuple):
        return tuple(map(_setting, value))
    if getattr(value, "empty", False) is True:  # a mesh
        return None
    sizes = getattr(value, "axis_sizes", None)
    return None if sizes is not None and not list(sizes) else value


def context() -> tuple[Any, ...]:
    """Return what JAX itself tells the traces of a function apart by, besides its arguments: hashable.

    Raises
    ------
    NoKeyError
        If this JAX does not say.
    """
    if _trace_context is None:
        raise NoKeyError("a version of JAX that does not say what its traces depend on")
    config: Any = jax.config
    return (*_trace_context(), config.jax_optimization_level, config.jax_memory_fitting_level)


try:  # it is private
    from jax._src.config import trace_context as _trace_context
except ImportError:
    _trace_context = None


def processor() -> Any:
    """Return the one device that programs are kept for.

    Raises
    ------
    NoKeyError
        Where JAX computes on several devices, or on others than processors.
    """
    (device, *others) = jax.devices()
    if others or device.platform != "cpu" or jax.process_count() > 1:
        raise NoKeyError("devices other than one processor")
    return device


@functools.cache
def processors() -> set[Any]:
    """Return the one device that programs are kept for as a set, once: it is compared with that of every array."""
    return {processor()}


def describe_process() -> str:
    """Return a text for all that is the same for the whole process: versions, sources, processor, device, environment.

    Raises
    ------
    NoKeyError
        If something of it is not known, if the sources have changed since they were imported or a function of theirs
        was replaced, and where a program would be for other devices than one processor.
    """
    found = replaced()
    if found is not None:
        raise NoKeyError(f"{found}, which is not the one of the sources")
    return f"{digest_of_sources()} {_describe_surroundings()}"


@functools.cache
def _describe_surroundings() -> str:
    """Return the part of the text that nothing changes once the process has begun to compute."""
    device = processor()
    parts = {
        "python": (sys.implementation.cache_tag, sys.version),
        "versions": _versions(),
        "build": _build(),
        "processor": _processor(),
        # A program is cut into as many parts as there are cores for it.
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "device": (device.platform, device.device_kind, device.client.platform_version),
        "compiler": _compiler_options(),
        "environment": {name: os.environ[name] for name in sorted(os.environ) if name.startswith(_VARIABLES)},
    }
    return describe(parts)


def _build() -> tuple[Any, ...]:
    """Return what tells builds of one version of jaxlib apart: its commit, and its compiled libraries."""
    jaxlib: Any = sys.modules["jaxlib"]
    folder = Path(jaxlib.__file__).parent
    libraries = [(path.name, path.stat()) for path in sorted(folder.glob("*.so"))]
    if not libraries:
        raise NoKeyError("a jaxlib without compiled libraries")
    commit = str(getattr(sys.modules.get("jaxlib.version"), "_git_hash", None))
    record = folder.parent / f"jaxlib-{jaxlib.__version__}.dist-info" / "RECORD"
    try:  # of a wheel: the digests of its files
        digests = [line for line in record.read_text(encoding="utf-8").splitlines() if ".so,sha256=" in line]
    except OSError:
        digests = []
    # A time is of one installation, and digests are of all of the same wheel.
    return commit, digests, [(name, of.st_size, None if digests else of.st_mtime_ns) for name, of in libraries]


def _versions() -> dict[str, str]:
    modules: dict[str, Any] = {name: sys.modules.get(name) for name in (*_LIBRARIES, "ml_dtypes", "skbandit")}
    found = {name: str(module.__version__) for name, module in modules.items() if module is not None}
    for name, version in found.items():
        # Of libraries; our own sources are looked at.
        if "dev" in version and name != "skbandit":
            raise NoKeyError(f"{name} {version}, which is not one state of its code")
    return found


class Sources:
    """The files that programs are traced from: their digest, while they are those that were imported.

    A file that has changed may be imported again, or not, and old code may go on running beside new code: from then on
    there is no digest in this process, whatever becomes of the file.

    Parameters
    ----------
    package : Path
        The package's folder.
    """

    def __init__(self, package: Path = _PACKAGE) -> None:
        self._package = package
        self._taken: tuple[dict[str, Any], str] | None = None
        self._reason = ""

    def digest(self) -> str:
        """Return the digest, which is taken once, after a look at each file.

        Raises
        ------
        NoKeyError
            If there are no sources, or they have changed since the package was imported.
        """
        if not self._reason:
            try:
                return self._unchanged()
            except NoKeyError as error:
                self._reason = str(error)
            except OSError as error:
                self._reason = f"sources that cannot be read: {error}"
        raise NoKeyError(self._reason)

    def _unchanged(self) -> str:
        found = self._found()
        if self._taken is None:
            total = hashlib.sha256()
            for where in sorted(found):
                content = (self._package / where).read_bytes()
                total.update(f"{where} {len(content)} ".encode() + content)
            self._taken = found, total.hexdigest()
            found = self._found()  # what has changed while they were read
        taken, digest = self._taken
        if found != taken:
            raise NoKeyError("sources that have changed since they were read")
        return digest

    def _found(self) -> dict[str, Any]:
        """Return what tells whether a file has changed, of each."""
        found = {}
        for folder, folders, names in os.walk(self._package):
            within = os.path.relpath(folder, self._package)
            if within == os.curdir:
                folders[:] = set(folders) - NEVER_TRACED
            for name in names:
                if name.endswith(".py"):
                    where = os.path.normpath(os.path.join(within, name))
                    state = os.stat(os.path.join(folder, name))
                    if state.st_ctime > core.IMPORTED - _COARSE:
                        raise NoKeyError(f"the file {where}, which has changed since it was imported")
                    found[where] = state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns
        if os.path.join("_core", "keys.py") not in found:
            raise NoKeyError("a package without its sources")
        return found


#: What `describe_process` calls.
digest_of_sources = Sources().digest


def _processor() -> tuple[Any, ...]:
    """Return what is known of the processor: code for another one may end the process."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            first = file.read().split("\n\n")[0]
    except OSError as error:
        raise NoKeyError("a processor that nothing is known of") from error
    lines = tuple(line for line in first.splitlines() if line.partition(":")[0].strip() in _OF_PROCESSOR)
    if not lines:
        raise NoKeyError("a processor that nothing is known of")
    return platform.machine(), *lines


def _compiler_options() -> bytes:
    """Return the options that XLA compiles with: it reads the environment once, which may have changed since."""
    client: Any = sys.modules.get("jaxlib.xla_client")  # JAX's own, which has loaded it
    try:
        return hashlib.sha256(client.CompileOptions().SerializeAsString()).digest()
    except AttributeError as error:
        raise NoKeyError("a version of JAX that does not say how it compiles") from error


def _joined(parts: Iterable[str]) -> str:
    return ", ".join(parts)


def _address(known: Any, packages: tuple[str, ...]) -> str:
    """Return where a class or function is found, if it is found there, and in one of these packages."""
    module, name = str(known.__module__), str(known.__qualname__)
    found: Any = sys.modules.get(module) if module.partition(".")[0] in packages else None
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not known:
        raise NoKeyError(f"{module}.{name}, which is of no version of this package")
    return f"{module}:{name}"


def _fields(value: Any) -> Iterable[str]:
    names = [field.name for field in dataclasses.fields(value)]
    for name in vars(value):
        # What is computed from the fields when it is first asked for may be there or not.
        if name not in names and not isinstance(getattr(type(value), name, None), functools.cached_property):
            raise NoKeyError(f"an object with the attribute {name!r}, which is no field")
    return (f"{name}={describe(getattr(value, name))}" for name in names)
