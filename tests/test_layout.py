"""The architecture, as a test: which module may import which, and what an import of the package may cost."""

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

#: Module -> the modules of the package that it may import (patterns). The first key that fits a module counts, so a
#: special case stands above its pattern. Arrows point downwards only: a module lists nothing that stands above it.
MAY_IMPORT = {
    "__main__": ["_cli"],
    "_cli": [""],  # "" is skbandit/__init__.py: the command line uses public names only
    # Public names, imported on first use.
    "": ["estimators", "pruning", "criteria", "policies", "presets", "rewards", "runtime", "stats", "plotting"],
    "estimators": ["estimators.*"],
    "estimators.*": [
        *("estimators.*", "_fit", "pruning", "training", "splitting", "criteria", "policies"),
        *(
            "network",
            "inference",
            "encoding",
            "inputs",
            "initialization",
            "rates",
            "accounting",
            "losses",
            "activations",
            "data",
        ),
        "presets",
    ],
    "_fit": [
        *(
            "pruning",
            "training",
            "calibration",
            "compensation",
            "splitting",
            "schedules",
            "criteria",
            "criteria.base",
            "policies",
        ),
        *(
            "rewards",
            "network",
            "inputs",
            "rates",
            "inference",
            "accounting",
            "groups",
            "losses",
            "activations",
            "data",
        ),
    ],
    "pruning": ["criteria", "criteria.base", "schedules", "selection", "groups", "data"],
    "criteria": ["criteria.*", "policies"],
    "criteria.bandit": ["criteria.base", "policies", "rewards", "selection"],
    "criteria.warm_start": ["criteria.base", "criteria.bandit", "criteria.gradient", "policies"],
    "criteria.base": ["network", "groups", "data"],
    "criteria.weights": ["criteria.base", "groups"],
    "criteria.bmrs": ["criteria.base", "noise", "selection"],
    "criteria.gates": ["criteria.base", "criteria.weights", "groups", "selection"],
    "criteria.reconstruction": ["criteria.base", "criteria.activation", "groups", "selection"],
    "criteria.stable": ["criteria.base", "criteria.weights", "groups", "activations"],
    "criteria.ablation": ["criteria.base", "selection"],
    "criteria.*": ["criteria.base"],
    "policies": ["policies.*"],
    "policies.base": [],
    "policies.identification": ["policies.base", "selection"],
    "policies.racing": ["policies.base", "policies.identification", "selection"],
    "policies.csar": ["policies.racing", "policies.identification", "selection"],
    "policies.*": ["policies.base", "policies.identification"],
    "selection": [],
    "noise": [],
    "training": ["network", "inputs", "rates", "losses", "data"],
    "calibration": ["compensation", "network", "losses", "activations"],
    "compensation": ["groups", "inference", "activations"],
    "network": ["groups", "activations", "losses"],
    "inference": ["activations"],
    "encoding": [],
    "splitting": [],
    "schedules": [],
    "rewards": [],
    "initialization": ["activations"],
    "inputs": [],
    "rates": [],
    "presets": [],
    "accounting": [],
    "groups": [],
    "losses": [],
    "activations": [],
    "data": [],
    "plotting": ["stats"],
    "stats": [],
    "_pytree": ["_validation"],
    "_validation": ["activations", "inputs"],
    "_random": [],
    "runtime": [],
}
#: Every module may import these: they know next to nothing of the package.
FOR_ALL = ["_pytree", "_random", "_validation", "runtime"]

#: Modules that a model is loaded and served with: no JAX when they are imported.
WITHOUT_JAX = [
    *("presets", "inputs", "initialization"),
    *("_validation", "inference", "encoding", "activations", "losses", "accounting", "groups", "_cli", "__main__", ""),
]
#: What those may import besides the standard library and this package.
LIGHT = {"numpy", "scipy", "sklearn", "narwhals", "joblib", "threadpoolctl"}

LONGEST_FILE = 600


def module_name(path: Path) -> str:
    """``skbandit/policies/base.py`` -> ``policies.base``; ``skbandit/__init__.py`` -> the empty string."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(path: Path, *, at_import_only: bool = False) -> set[str]:
    """Return the dotted names that a file imports; the nested and type-checking ones too, unless told otherwise."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in tree.body if at_import_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}, line {node.lineno}: a relative import; write the full name"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_modules(path: Path) -> set[str]:
    """Return the modules of this package that a file imports, named as in ``MAY_IMPORT``."""
    found = set()
    for name in imported(path):
        root, _, rest = name.partition(".")
        if root == "skbandit":
            while rest and rest not in MODULES:  # "policies.base.Policy" -> "policies.base"
                rest = rest.rpartition(".")[0]
            found.add(rest)
    return found


def rule(module: str) -> str:
    """Return the key of ``MAY_IMPORT`` that holds for a module."""
    keys = [key for key in MAY_IMPORT if key == module] or [key for key in MAY_IMPORT if fnmatch(module, key)]
    assert keys, f"skbandit.{module} has no place in the layout: add it to MAY_IMPORT, and say why in docs/decisions"
    return keys[0]


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downwards(module):
    allowed = MAY_IMPORT[rule(module)] + FOR_ALL
    wrong = {
        name for name in imported_modules(MODULES[module]) if not any(fnmatch(name, pattern) for pattern in allowed)
    }
    assert not wrong, f"skbandit.{module} may import {allowed}, not {sorted(wrong)}"


def test_imports_have_no_cycle():
    # skbandit/__init__.py is left out: it imports the public names when they are first used.
    graph = {module: imported_modules(path) - {""} for module, path in MODULES.items() if module}
    # A cycle raises CycleError, which names the modules.
    assert set(TopologicalSorter(graph).static_order()) == {module for module in MODULES if module}


@pytest.mark.parametrize("module", [module for module in WITHOUT_JAX if module in MODULES])
def test_serving_modules_import_no_jax(module):
    roots = {name.split(".")[0] for name in imported(MODULES[module], at_import_only=True)}
    heavy = roots - LIGHT - set(sys.stdlib_module_names) - {"skbandit"}
    assert not heavy


@pytest.mark.parametrize("statement", ["import skbandit", "import skbandit.__main__", "import skbandit._cli"])
def test_import_does_not_load_jax(statement):
    code = f"import sys; {statement}; sys.exit('jax' in sys.modules or 'optax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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
