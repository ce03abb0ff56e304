"""What the project's files say twice is the same in both places: versions, bounds, dependencies."""

import ast
import re
import sys
import tomllib
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import skbandit

ROOT = Path(__file__).resolve().parents[1]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def requirements(lines: str) -> dict[str, SpecifierSet]:
    found = [Requirement(line) for line in lines.splitlines() if line.strip() and not line.startswith("#")]
    return {requirement.name: requirement.specifier for requirement in found}


SETUP = ConfigParser()
SETUP.read_string(text("setup.cfg"))
REQUIRED = requirements(SETUP["options"]["install_requires"])


def test_lowest_versions_are_those_of_setup_cfg():
    tests = requirements(SETUP["options.extras_require"]["test"])
    bounds = {name: tests.get(name, bound) for name, bound in REQUIRED.items()}
    lowest = requirements(text(".ci/lowest.txt"))
    assert lowest == {name: SpecifierSet(str(bound).replace(">=", "==")) for name, bound in bounds.items()}


def test_newest_versions_are_asked_of_dependencies_only():
    names = {line for line in text(".ci/newest.txt").splitlines() if not line.startswith(("#", "-"))}
    assert names
    assert names <= set(REQUIRED)


def test_what_the_package_imports_is_declared():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "skbandit").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    roots = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"skbandit"}
    extras = "progress", "plot", "equinox", "flax", "haiku"
    optional = {name for extra in extras for name in requirements(SETUP["options.extras_require"][extra])}
    declared = {canonicalize_name(name) for name in {*REQUIRED, *optional}}
    distributions = packages_distributions()
    missing = {root for root in roots if not {canonicalize_name(name) for name in distributions[root]} & declared}
    assert not missing


def test_python_versions_are_the_same_everywhere():
    tested = re.findall(r'"(3\.\d+)"', re.search(r"python: \[(.+)\]", text(".github/workflows/ci.yml"))[1])
    named = re.findall(r":: (3\.\d+)$", SETUP["metadata"]["classifiers"], flags=re.MULTILINE)
    assert tested == named
    assert SETUP["options"]["python_requires"] == f">={tested[0]}"
    tools = tomllib.loads(text("pyproject.toml"))["tool"]
    assert tools["ruff"]["target-version"] == "py" + tested[0].replace(".", "")
    assert tools["mypy"]["python_version"] == tested[0]


def test_citation_names_this_version_and_licence():
    facts = dict(re.findall(r"^([a-z-]+): (.+)$", text("CITATION.cff"), flags=re.MULTILINE))
    assert facts["version"] == skbandit.__version__
    assert facts["license"] == SETUP["metadata"]["license_expression"]


def test_hooks_run_the_ruff_of_setup_cfg():
    hooks = re.findall(r'additional_dependencies: \["(ruff.+)"\]', text(".pre-commit-config.yaml"))
    assert len(hooks) == 2
    assert {spec for hook in hooks for spec in requirements(hook).values()} == {
        requirements(SETUP["options.extras_require"]["dev"])["ruff"]
    }


def test_test_files_have_names_of_their_own():
    # pytest imports a test file by its name alone, where folders of tests are no packages.
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert not {name for name in names if names.count(name) > 1}
