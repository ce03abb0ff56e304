"""The text of a program: the same in every process for the same program, another for any other, none where unsure."""

import ast
import dataclasses
import enum
import functools
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import skbandit._core as core
from skbandit._core import keys
from skbandit._core.keys import NoKeyError, describe, describe_process, describe_settings, describe_structure
from skbandit._core.pytree import pytree_dataclass, static
from skbandit._core.rows import bucket
from skbandit._tabular.network.mlp import MLP
from skbandit.criteria import CRITERIA, resolve
from skbandit.networks import GatedNetwork, Group, Groups, Slice
from skbandit.policies import POLICIES, UCB1
from skbandit.pruning import Outcome

GROUP = Group("hidden", 4, [Slice("in", 1)], [Slice("out", 0)])
#: Values that are all part of different programs.
DIFFERENT = [
    *(None, True, False, 0, 1, -1, 1.0, -0.0, 0.0, float("nan"), float("inf"), 1e-300, "", "1", b"", b"1"),
    *((), (1,), [1], (1, 2), (2, 1), ((1,), 2), ("a, b",), ("a", "b"), ({},), {"a": 1}, {"a": 2}, {"b": 1}),
    *({"a": 1, "b": 2}, {"b": 2, "a": 1}, frozenset({1}), frozenset({1, 2})),
    *(np.dtype("float32"), np.dtype("float64"), np.dtype(">f4"), jnp.dtype("bfloat16"), np.float32, np.float64),
    *(np.float32(1), np.float64(1), np.arange(3), np.arange(3.0), np.arange(3)[None], np.array([0, 1, 3])),
    *(int, float, jnp.float32, MLP, UCB1, bucket, Outcome.INTERRUPTED, *list(Outcome)[:1]),
    *(MLP((4, 8, 1), "relu", "squared_error"), MLP((4, 8, 1), "tanh", "squared_error")),
    *(MLP((4, 9, 1), "relu", "squared_error"), MLP((4, 8, 1), "relu", "squared_error", parametric=True)),
    *(
        Groups([GROUP]),
        Groups([dataclasses.replace(GROUP, size=5)]),
        Groups([GROUP, dataclasses.replace(GROUP, name="b")]),
    ),
    *(Slice("in", 1), Slice("in", 0), Slice("in", 1, labels=[0, 1]), Slice("in", 1, labels=[1, 0])),
    *(resolve(name) for name in sorted({**POLICIES, **CRITERIA})),
]


def test_different_values_have_different_texts():
    texts = [describe(value) for value in DIFFERENT]
    same = [(a, b) for i, a in enumerate(texts) for b in texts[:i] if a == b]
    assert same == []


def test_equal_values_have_equal_texts():
    for make in (
        lambda: MLP((4, 8, 1), "relu", "squared_error"),
        lambda: Groups([Group("hidden", 4, [Slice("in", 1, labels=[0, 0, 1, 1])], [Slice("out", 0)])]),
        lambda: {"a": np.arange(3), "b": (1.5, "x")},
        lambda: resolve("racing"),
    ):
        one, other = make(), make()
        assert describe(one) == describe(other)
    # What is computed when it is first asked for is no part of a value.
    one, other = (Slice("in", 1, labels=[0, 1]) for _ in range(2))
    hash(one)
    assert describe(one) == describe(other)


def user_function(x):
    return x


class Kind(enum.Enum):
    A = 1


class State(NamedTuple):
    x: int


@dataclasses.dataclass(frozen=True)
class Network:
    size: int


class Subclass(MLP):
    pass


@pytree_dataclass
class OwnUCB(UCB1):
    pass


@pytree_dataclass
class Pair:
    a: float
    b: str = static(default="x")


def shadowed():
    """A class that says that it is one of the package's."""
    other = dataclasses.make_dataclass("MLP", ["x"])
    other.__module__, other.__qualname__ = "skbandit._tabular.network.mlp", "MLP"
    return other(1)


def with_more():
    network = MLP((4, 8, 1), "relu", "squared_error")
    object.__setattr__(network, "more", 1)
    return network


OF_OTHERS = {
    "function": user_function,
    "lambda": lambda x: x,
    "partial": functools.partial(bucket, 3),
    "method": Outcome.INTERRUPTED.name.join,
    "object": object(),
    "optax object": optax.adam(1e-3),
    "enum": Kind.A,
    "named tuple": State(1),
    "dataclass": Network(3),
    "subclass": Subclass((4, 8, 1), "relu", "squared_error"),
    "policy": OwnUCB(),
    "network": GatedNetwork(lambda params, gates, X, y, weight: 0.0, [GROUP]),
    "network of one": dataclasses.replace(GatedNetwork(lambda params, gates, X, y, weight: 0.0, [GROUP])),
    "shadow": shadowed(),
    "more than its fields": with_more(),
    "nested": {"a": [(1, user_function)]},
    "array of objects": np.array([object()]),
    "array of JAX": jnp.ones(2),
    "class": Network,
    "set": {1, 2},
    "complex": 1j,
    "str of another type": type("Name", (str,), {})("a"),
}


@pytest.mark.parametrize("name", OF_OTHERS)
def test_what_may_be_another_thing_in_the_next_process_has_no_text(name):
    with pytest.raises(NoKeyError):
        describe(OF_OTHERS[name])


def structure(tree):
    return describe_structure(jax.tree.structure(tree))


def test_structures_differ_as_jax_says():
    trees = [
        *(1, None, (), (1,), [1], (1, 2), (1, None), (None, 1), {"a": 1}, {"b": 1}, {"a": 1, "b": 2}, {"a": (1,)}),
        *((1, (2,)), ((1,), 2), ((1, 2),), optax.ScaleByAdamState(1, 2, 3), optax.EmptyState(), optax.TraceState(1)),
        *(UCB1(), resolve("ucb1"), resolve("magnitude"), resolve("random"), resolve("leave_one_out")),
    ]
    for i, a in enumerate(trees):
        for j, b in enumerate(trees):
            assert (structure(a) == structure(b)) == (jax.tree.structure(a) == jax.tree.structure(b)) == (i == j)


@pytest.mark.parametrize("tree", [State(1), Pair(1.0), OwnUCB(), (1, [Pair(1.0)])])
def test_structures_of_types_of_others_have_no_text(tree):
    with pytest.raises(NoKeyError):
        structure(tree)


def test_numbers_of_a_configuration_are_no_part_of_its_structure():
    assert structure(resolve("ucb1")) == structure(dataclasses.replace(resolve("ucb1")))
    assert structure(UCB1(exploration=1.0)) == structure(UCB1(exploration=2.0))


PRINT = """
import jax
import optax
from skbandit._core import keys
from skbandit._tabular.network.mlp import MLP
from skbandit.criteria import resolve
network = MLP((4, 8, 1), "relu", "squared_error")
structure = keys.describe_structure(jax.tree.structure((resolve("racing"), {"b": 1, "a": optax.EmptyState()})))
print(keys.describe(network), structure, keys.describe(frozenset({"a", "b", "c", "d"})))
print(keys.describe_settings(), keys.describe_process())
"""


def test_texts_are_the_same_in_processes_that_hash_differently():
    def printed(seed, **environment):
        environment = {**os.environ, "PYTHONHASHSEED": seed} | environment
        return subprocess.run(
            [sys.executable, "-c", PRINT], env=environment, capture_output=True, text=True, check=True
        ).stdout

    first = printed("1")
    assert printed("2") == first
    assert " at 0x" not in first
    assert printed("1", XLA_FLAGS="--xla_cpu_enable_fast_math=true").splitlines()[0] == first.splitlines()[0]
    assert printed("1", XLA_FLAGS="--xla_cpu_enable_fast_math=true") != first
    assert printed("1", JAX_ENABLE_X64="1") != first


# --- one ingredient at a time ---------------------------------------------------------------------------------------


@pytest.fixture
def fresh_process(monkeypatch):
    """Return a function that gives the text of the process anew."""
    monkeypatch.setattr(keys, "digest_of_sources", lambda: "sources")

    def describe():
        keys._describe_surroundings.cache_clear()
        return describe_process()

    yield describe
    keys._describe_surroundings.cache_clear()


def test_the_text_of_a_process_holds_all_that_programs_depend_on(fresh_process, monkeypatch):
    before = fresh_process()
    assert fresh_process() == before
    changes = [
        lambda m: m.setattr(jax, "__version__", "0.0.1"),
        lambda m: m.setattr(sys.modules["jaxlib"], "__version__", "0.0.1"),
        lambda m: m.setattr(optax, "__version__", "0.0.1"),
        lambda m: m.setattr(np, "__version__", "0.0.1"),
        lambda m: m.setattr(sys.modules["skbandit"], "__version__", "0.0.1"),
        lambda m: m.setattr(keys, "digest_of_sources", lambda: "other sources"),
        lambda m: m.setattr(sys.modules["jaxlib.version"], "_git_hash", "another"),
        lambda m: m.setattr(keys, "_build", lambda: ("another",)),
        lambda m: m.setattr(keys, "_processor", lambda: ("another",)),
        lambda m: m.setattr(keys, "_compiler_options", lambda: b"others"),
        lambda m: m.setattr(os, "sched_getaffinity", lambda _: set(range(97))),
        lambda m: m.setenv("XLA_FLAGS", os.environ.get("XLA_FLAGS", "") + " --xla_dump_to="),
        lambda m: m.setenv("TF_XLA_FLAGS", "x"),
        lambda m: m.setenv("NPROC", "1"),
    ]
    texts = {before}
    for i, change in enumerate(changes):
        with monkeypatch.context() as patch:
            change(patch)
            texts.add(fresh_process())
        assert len(texts) == i + 2, i
    assert fresh_process() == before


@pytest.mark.parametrize("module", ["jax", "jaxlib", "optax"])
def test_a_library_in_development_has_no_text(module, fresh_process, monkeypatch):
    monkeypatch.setattr(sys.modules[module], "__version__", "0.11.0.dev20260901")
    with pytest.raises(NoKeyError, match="not one state of its code"):
        fresh_process()


def test_several_devices_and_other_kinds_have_no_text(fresh_process, monkeypatch):
    (device,) = jax.devices()
    monkeypatch.setattr(jax, "devices", lambda: [device, device])
    with pytest.raises(NoKeyError, match="devices"):
        fresh_process()
    other = type("Device", (), {"platform": "gpu"})()
    monkeypatch.setattr(jax, "devices", lambda: [other])
    with pytest.raises(NoKeyError, match="devices"):
        fresh_process()


@pytest.fixture
def jaxlib(tmp_path, monkeypatch):
    """A small jaxlib that was installed from a wheel."""
    folder, about = tmp_path / "jaxlib", tmp_path / "jaxlib-1.0.dist-info"
    folder.mkdir()
    about.mkdir()
    (folder / "library.so").write_text("machine code")
    (about / "RECORD").write_text(
        "jaxlib/__init__.py,sha256=1,1\njaxlib/library.so,sha256=2,12\nINSTALLER,sha256=3,3\n"
    )
    made = type(sys)("jaxlib")
    made.__file__, made.__version__ = str(folder / "__init__.py"), "1.0"
    monkeypatch.setitem(sys.modules, "jaxlib", made)
    return tmp_path


def test_builds_of_one_version_of_jaxlib_are_told_apart(jaxlib):
    library, record = jaxlib / "jaxlib" / "library.so", jaxlib / "jaxlib-1.0.dist-info" / "RECORD"
    first, told = keys._build(), record.read_text()
    os.utime(library, (1, 1))  # the same wheel in another environment
    record.write_text(told.replace("INSTALLER,sha256=3", "INSTALLER,sha256=4"))
    assert keys._build() == first
    record.write_text(told.replace("so,sha256=2", "so,sha256=5"))
    assert keys._build() != first
    record.write_text(told)
    library.write_text("other machine code")  # put in its place by hand
    assert keys._build() != first


def test_builds_without_a_record_are_told_apart_by_their_time(jaxlib):
    (jaxlib / "jaxlib-1.0.dist-info" / "RECORD").unlink()
    first = keys._build()
    assert keys._build() == first
    os.utime(jaxlib / "jaxlib" / "library.so", (1, 1))
    assert keys._build() != first
    (jaxlib / "jaxlib" / "library.so").unlink()
    with pytest.raises(NoKeyError, match="without compiled libraries"):
        keys._build()


def test_another_default_device_has_no_text(monkeypatch):
    with jax.default_device("cpu"):
        assert describe_settings() != ""
    (device,) = jax.devices()
    monkeypatch.setattr(keys, "processor", lambda: "another")
    with jax.default_device(device), pytest.raises(NoKeyError, match="default device"):
        describe_settings()


def test_settings_of_jax_are_part_of_the_text():
    before = describe_settings()
    changes = [
        jax.enable_x64(True),
        jax.default_matmul_precision("float32"),
        jax.numpy_rank_promotion("raise"),
        jax.threefry_partitionable(not jax.config.jax_threefry_partitionable),
        jax.default_prng_impl("rbg"),
        jax.default_device(jax.devices()[0]),
        jax.numpy_dtype_promotion("strict"),
    ]
    texts = {before}
    for i, change in enumerate(changes):
        with change:
            texts.add(describe_settings())
        assert len(texts) == i + 2, i
    assert describe_settings() == before


def test_what_jax_logs_and_keeps_is_no_part_of_the_text(cache_settings, tmp_path):
    before = describe_settings()
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    with jax.log_compiles(True):
        assert describe_settings() == before


def test_a_mesh_has_no_text():
    mesh = jax.make_mesh((1,), ("a",), (jax.sharding.AxisType.Auto,))
    with jax.set_mesh(mesh), pytest.raises(NoKeyError):
        describe_settings()


def test_a_jax_that_does_not_say_what_traces_depend_on_has_no_text(monkeypatch):
    monkeypatch.setattr(keys, "_trace_context", None)
    with pytest.raises(NoKeyError, match="version of JAX"):
        describe_settings()


# --- sources --------------------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package, imported now."""
    made = tmp_path / "package"
    for path in ("_core/keys.py", "rewards.py", "policies/ucb.py", "estimators/_base.py", "cli/parser.py"):
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_text(f"# {path}\n")
    monkeypatch.setattr(core, "IMPORTED", (made / "cli" / "parser.py").stat().st_ctime + 1000)
    return made


def digest(package):
    """Return what a process that begins now takes."""
    return keys.Sources(package).digest()


def test_the_digest_is_that_of_the_contents(package):
    before = digest(package)
    assert before == digest(package)
    path = package / "policies" / "ucb.py"
    old = path.read_text()
    path.write_text(old.replace("ucb", "bcu"))  # of the same length
    changed = digest(package)
    path.write_text(old)
    assert digest(package) == before != changed
    path.rename(package / "policies" / "ucc.py")
    assert digest(package) not in (before, changed)


def test_what_no_program_is_traced_from_is_no_part_of_the_digest(package):
    sources = keys.Sources(package)
    before = sources.digest()
    for path in ("estimators/_base.py", "cli/parser.py"):
        (package / path).write_text("changed")
    assert sources.digest() == digest(package) == before


def test_sources_that_have_changed_since_the_import_have_no_digest(package, monkeypatch):
    monkeypatch.setattr(core, "IMPORTED", (package / "rewards.py").stat().st_ctime - 1)
    with pytest.raises(NoKeyError, match="has changed since it was imported"):
        digest(package)


def rewrite(path):
    """Write other contents of the same length at the same time, as far as that can be said."""
    before = path.stat()
    path.write_text(path.read_text()[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = {
    "rewritten": rewrite,
    "touched": os.utime,
    "removed": os.unlink,
    "renamed": lambda path: path.rename(path.with_name("another.py")),
    "replaced": lambda path: os.replace(path.with_name("ucb.py.new"), path),
    "one more": lambda path: path.with_name("another.py").write_text(""),
}


@pytest.mark.parametrize("when", ["later", "at once"])
@pytest.mark.parametrize("how", CHANGES)
def test_sources_that_change_once_have_no_digest_any_more(how, when, package, monkeypatch):
    path = package / "policies" / "ucb.py"
    path.with_name("ucb.py.new").write_text(path.read_text())
    content = path.read_bytes()
    sources = keys.Sources(package)
    assert sources.digest() == sources.digest() == digest(package)
    if when == "at once":  # too soon after the import for its time to tell: it may be another machine's
        monkeypatch.setattr(core, "IMPORTED", core.IMPORTED + 10**6)
    CHANGES[how](path)
    for _ in range(2):
        with pytest.raises(NoKeyError, match="changed"):
            sources.digest()
        path.write_bytes(content)  # and back: what has been imported meanwhile, nobody knows
        path.with_name("another.py").unlink(missing_ok=True)


def test_a_file_that_changes_while_it_is_read_has_no_digest(package, monkeypatch):
    read, path = Path.read_bytes, package / "rewards.py"

    def read_and_change(of):
        content = read(of)
        if of == path:
            path.write_text("changed")
        return content

    monkeypatch.setattr(Path, "read_bytes", read_and_change)
    with pytest.raises(NoKeyError, match="changed since they were read"):
        digest(package)


def test_to_reload_the_module_of_the_time_of_import_does_not_change_it():
    before = core.IMPORTED
    assert before == importlib.reload(core).IMPORTED


def test_a_package_without_sources_has_no_digest(tmp_path):
    with pytest.raises(NoKeyError, match="without its sources"):
        digest(tmp_path)


def test_rooms_that_are_never_traced_are_rooms():
    rooms = {path.name for path in keys._PACKAGE.iterdir() if path.is_dir()}
    assert rooms >= keys.NEVER_TRACED


#: They name what others import, or begin the command line: nothing in them is traced.
FRONT = {"__init__.py", "__main__.py"}


def test_no_traced_room_imports_one_that_is_never_traced():
    n_imports = 0
    for path in sorted(keys._PACKAGE.rglob("*.py")):
        room = path.relative_to(keys._PACKAGE).parts[0]
        if room in keys.NEVER_TRACED | FRONT:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0
                names = [f"{node.module}.{name}" for name in names]
            for name in names:
                package, _, within = name.partition(".")
                if package == "skbandit":
                    n_imports += 1
                    assert within.partition(".")[0] not in keys.NEVER_TRACED, f"{path} imports {name}"
    assert n_imports > 100
