"""The architecture, as a test: which package may import which, and what an import of the package may cost."""

import ast
import re
import subprocess
import sys
from fnmatch import fnmatch
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "skbandit"

#: Room -> the rooms that it may import from. A room is a package or a module at the top; its own modules may import one
#: another, without a circle. Each room stands above all that it imports. "" is skbandit/__init__.py: public names.
MAY_IMPORT = {
    "__main__": ["cli"],
    "cli": [""],
    "": [
        "estimators",
        "pruning",
        "networks",
        "criteria",
        "policies",
        "presets",
        "rewards",
        "saved",
        "stats",
        "plotting",
        "_core",
    ],
    "estimators": ["export", "_tabular", "pruning", "criteria", "policies", "presets", "saved", "_core"],
    "export": ["_tabular"],
    "_tabular": ["pruning", "criteria", "networks", "_core"],
    "pruning": ["criteria", "networks", "_core"],
    "criteria": ["policies", "rewards", "networks", "_core"],
    "policies": ["_core"],
    "rewards": ["_core"],
    "networks": ["_core"],
    "plotting": ["stats"],
    "stats": [],
    "presets": ["_core"],
    "saved": [],  # it finds classes when they are asked for
    "_core": [],
}
#: Of these rooms, only the modules named.
ONLY = {
    ("export", "_tabular"): {"_tabular.model"},
    ("_tabular", "criteria"): {"criteria.base"},
    ("", "_core"): {"_core.cache", "_core.forks"},
}

#: Modules that a model is loaded and served with: no JAX when they are imported.
WITHOUT_JAX = [
    *(
        "",
        "__main__",
        "cli",
        "cli.*",
        "presets",
        "saved",
        "networks",
        *(f"networks.{name}" for name in ("capabilities", "checks", "gated", "groups", "report")),
        "pruning",
        "pruning.parameters",
    ),
    *("_core.addresses", "_core.constraints", "_core.scope", "_core.forks", "_core.private", "_core.cache"),
    *("_tabular.model", "_tabular.features.*"),
    *("_tabular.network.a*", "_tabular.network.i*", "_tabular.network.losses"),
    *("estimators", "estimators._[!s]*", "estimators._state", "export", "export.sklearn"),
]

LONGEST_FILE = 600


def module_name(path: Path) -> str:
    """``skbandit/policies/base.py`` -> ``policies.base``; ``skbandit/__init__.py`` -> the empty string."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported_modules(path: Path) -> set[str]:
    """Return the modules of this package that a file imports; the nested and type-checking ones too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}, line {node.lineno}: a relative import; write the full name"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    found = set()
    for name in names:
        root, _, rest = name.partition(".")
        if root == "skbandit":
            while rest and rest not in MODULES:  # "policies.base.Policy" -> "policies.base"
                rest = rest.rpartition(".")[0]
            found.add(rest)
    return found


IMPORTS = {module: imported_modules(path) for module, path in MODULES.items()}


def room(module: str) -> str:
    """Return the room of a module: the package or module at the top."""
    return module.partition(".")[0]


def test_every_room_has_a_row():
    assert {room(module) for module in MODULES} == set(MAY_IMPORT)


def test_the_table_points_downwards():
    # A circle raises CycleError, which names the rooms.
    assert set(TopologicalSorter(MAY_IMPORT).static_order()) == set(MAY_IMPORT)


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_imports_follow_the_table(name):
    wrong = []
    for module in MODULES:
        if room(module) != name:
            continue
        for target in IMPORTS[module]:
            allowed = room(target) == name or room(target) in MAY_IMPORT[name]
            only = ONLY.get((name, room(target)))
            if not allowed or (only is not None and target not in only):
                wrong.append(f"skbandit.{module} imports skbandit.{target}")
    assert not wrong


def test_modules_have_no_circle():
    # skbandit/__init__.py is left out: it imports the public names when they are first used.
    graph = {module: targets - {""} for module, targets in IMPORTS.items() if module}
    assert set(TopologicalSorter(graph).static_order()) == {module for module in MODULES if module}


def loaded_by(statement: str) -> set[str]:
    """Return the modules that a fresh process has loaded after a statement."""
    code = f"import sys; {statement}; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_serving_loads_no_jax():
    modules = [f"skbandit.{m}".rstrip(".") for m in MODULES if any(fnmatch(m, pattern) for pattern in WITHOUT_JAX)]
    assert len(modules) > 30
    loaded = loaded_by(f"import {', '.join(modules)}")
    heavy = {"jax", "jaxlib", "optax", "matplotlib"} & loaded
    assert not heavy


def test_a_policy_needs_no_network():
    loaded = loaded_by("import skbandit.policies")
    assert "skbandit.policies.ucb" in loaded
    assert not {m for m in loaded if m.startswith("skbandit.") and room(m[9:]) not in ("policies", "_core")}


def test_any_network_is_pruned_without_the_networks_of_tables():
    statement = (
        "import skbandit; from skbandit import networks; networks.GatedNetwork; skbandit.prune; skbandit.rank_units"
    )
    loaded = loaded_by(statement)
    assert "skbandit.pruning.engine" in loaded
    assert not {m for m in loaded if room(m.removeprefix("skbandit.")) in ("_tabular", "estimators", "export")}


def test_frameworks_are_imported_where_their_modules_are_used_only():
    block = "sys.modules.update(dict.fromkeys(('flax', 'equinox', 'haiku')))"
    use = "import skbandit, skbandit.networks as n; n.infer_groups; n.equinox.shrink, n.flax.shrink, n.haiku, n.nnx"
    assert "skbandit.networks.nnx" in loaded_by(f"{block}; {use}")


@pytest.mark.parametrize("module", MODULES)
def test_no_file_is_long(module):
    n_lines = len(MODULES[module].read_text(encoding="utf-8").splitlines())
    assert n_lines <= LONGEST_FILE, f"skbandit.{module} has {n_lines} lines: split it"


def text_files() -> list[Path]:
    """Return the files of the project that people read; not what an environment, a build or a cache left there."""
    suffixes = {"", ".py", ".md", ".rst", ".cfg", ".toml", ".yml", ".yaml", ".txt", ".json", ".csv", ".svg"}
    files = []
    for path in ROOT.rglob("*"):
        folders = path.relative_to(ROOT).parts[:-1]
        skipped = any((f.startswith(".") and f != ".ci") or f in {"venv", "build", "dist"} for f in folders)
        if not skipped and path.is_file() and path.suffix in suffixes and not any(".egg" in f for f in folders):
            files.append(path)
    return files


def test_no_file_names_a_folder_of_one_machine():
    pattern = re.compile(r"(?<![\w.])(/home/\w|/Users/\w|/root/|[A-Z]:\\\\?Users)")
    found = [
        f"{path.relative_to(ROOT)}, line {i}"
        for path in text_files()
        if path != Path(__file__).resolve()
        for i, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert not found
