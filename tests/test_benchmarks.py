"""The benchmarks, as they are read: public names alone, no circle of imports, and every record that a page names."""

import ast
import gzip
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"
RECORDS = sorted(path for end in ("", ".gz") for path in (BENCHMARKS / "records").rglob(f"*.jsonl{end}"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RESULTS = sorted(path for path in (ROOT / "docs" / "results").rglob("*") if path.is_file())

LONGEST_FILE = 600

#: Private names that a benchmark may import, and who may. There is one: the network that the estimators train, with
#: its own evaluator of units. Its speed is what both measure, and no public name leads to it.
EXCEPTIONS = {"skbandit._tabular.network.mlp.MLP": {"benchmarks.speed.sweep", "benchmarks.selection.networks"}}


def module_name(path: Path) -> str:
    """``benchmarks/speed/fit.py`` -> ``benchmarks.speed.fit``; a package's ``__init__.py`` -> the package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {module_name(path): path.read_text(encoding="utf-8") for path in sorted(BENCHMARKS.rglob("*.py"))}
TREES = {module: ast.parse(source) for module, source in SOURCES.items()}
PACKAGES = [module for module in TREES if (ROOT / Path(*module.split("."))).is_dir()]
#: Packages that name something themselves, and the modules that it comes from.
NAMING = {"benchmarks.deep.pairs": {"benchmarks.deep.pairs.table"}}


def imported_names(module: str) -> set[str]:
    """Return the full names that a module imports, nested imports too: modules, and names in them."""
    names = set()
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}, line {node.lineno}: a relative import; write the full name"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def is_public(name: str) -> bool:
    """Whether the ``__all__`` of each package on the way names the next one: of skbandit, then of skbandit.policies."""
    package, *rest = name.split(".")
    for part in rest:
        if part not in getattr(importlib.import_module(package), "__all__", ()):
            return False
        package = f"{package}.{part}"
    return True


def private_imports() -> set[tuple[str, str]]:
    """Return modules of the benchmarks with a private name that each imports."""
    return {
        (module, name)
        for module in TREES
        for name in imported_names(module)
        if name.partition(".")[0] == "skbandit" and not is_public(name)
    }


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("skbandit", True),
        ("skbandit.rank_units", True),
        ("skbandit.stats", True),
        ("skbandit.networks.GatedNetwork", True),
        ("skbandit.networks.damages.damages_by_masking", False),
        ("skbandit.pruning.scoring", False),
        ("skbandit._core.rows.Batches", False),
    ],
)
def test_public_is_what_a_public_package_names(name, public):
    assert is_public(name) is public


def test_benchmarks_import_public_names_only():
    allowed = {(module, name) for name, modules in EXCEPTIONS.items() for module in modules}
    assert private_imports() == allowed


def test_benchmarks_reach_for_no_private_attribute():
    found = [
        f"{module}, line {node.lineno}: {ast.unparse(node)}"
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and re.match(r"_(?!_|replace|asdict)", node.attr)  # those of named tuples
        if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    ]
    assert not found


def test_benchmarks_have_no_circle():
    graph = {module: imported_modules(module) for module in TREES}
    # A circle raises CycleError, which names the modules; a module that is not there is one too many.
    assert set(TopologicalSorter(graph).static_order()) == set(TREES)


def imported_modules(module: str) -> set[str]:
    """Return the modules of the benchmarks that a module imports."""
    names = {name for name in imported_names(module) if name.partition(".")[0] == "benchmarks"}
    # A name is a module, or stands in one: packages hold text alone.
    parents = {name: name.rpartition(".")[0] for name in names}
    texts = [package for package in PACKAGES if package not in NAMING]
    return {name if name in TREES or parents[name] in texts else parents[name] for name in names}


def test_packages_of_benchmarks_hold_text_alone():
    for module in PACKAGES:
        if module in NAMING:
            assert imported_modules(module) == NAMING[module]
        else:
            (statement,) = TREES[module].body
            assert isinstance(statement, ast.Expr)


@pytest.mark.parametrize("module", SOURCES)
def test_no_file_is_long(module):
    assert len(SOURCES[module].splitlines()) <= LONGEST_FILE


# --- records ----------------------------------------------------------------------------------------------------------


def named_records(page: Path) -> set[Path]:
    """Return the record files that a page names, in a link or in a command, as paths of the checkout."""
    # The README's links are addresses: it is shown elsewhere as well.
    text = re.sub(r"https://github\.com/skbandit/skbandit/blob/main/", "", page.read_text(encoding="utf-8"))
    names = re.findall(r"[\w./-]+\.jsonl(?:\.gz)?", text)
    links = {name for name in names if name.startswith("..")}
    return {(page.parent / name).resolve() for name in links} | {
        # The text of a link is the name of the file alone.
        ROOT / name
        for name in set(names) - links
        if "/" in name or page.parent == ROOT
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_records_that_a_page_names_are_there(page):
    missing = [str(path) for path in named_records(page) if path not in RECORDS]
    assert not missing


def test_a_page_names_each_of_the_records():
    assert set(RECORDS) == {path for page in PAGES for path in named_records(page) if path in RECORDS}


def test_results_are_text_and_pictures_only():
    assert {path.suffix for path in RESULTS} == {".md", ".png"}


@pytest.mark.parametrize("path", RECORDS, ids=lambda p: p.name)
def test_every_line_is_a_record(path):
    content = path.read_bytes()
    for line in (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8").splitlines():
        assert isinstance(json.loads(line), dict)


# --- what runs without a fit ------------------------------------------------------------------------------------------


@pytest.fixture
def load(monkeypatch):
    """Return a function that imports a module of the benchmarks, and run at the top of the checkout."""
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.chdir(ROOT)
    return importlib.import_module


@pytest.mark.parametrize("name", ["simulation", "networks"])
def test_the_tables_of_the_selection_are_those_of_the_records(load, capsys, name):
    load(f"benchmarks.selection.{name}").main(["--table", "--out", f"benchmarks/records/selection/{name}.jsonl"])
    table = capsys.readouterr().out.strip()
    assert len(table.splitlines()) > 10
    assert table in (ROOT / "docs" / "results" / "selection" / "README.md").read_text(encoding="utf-8")


def test_the_tables_of_the_ablation_are_those_of_the_records(load, tmp_path):
    page = (ROOT / "docs" / "results" / "tabular" / "ablation.md").read_text(encoding="utf-8")
    results = page[page.index("\n## ") :]  # behind the tables that explain columns and variants
    first_column = re.findall(r"^\| (.+?) \|", results, flags=re.MULTILINE)
    variants = [name for name in dict.fromkeys(first_column) if name not in ("variant", "---")]
    written = tmp_path / "ablation.md"
    arguments = ["--table", "--out", "benchmarks/records/tabular/ablation.jsonl", "--markdown", str(written)]
    load("benchmarks.tabular.ablation").main([*arguments, "--variants", *variants])
    assert written.read_text(encoding="utf-8") == page


def test_the_page_of_the_development_sets_is_that_of_the_records(load, tmp_path):
    page = (ROOT / "docs" / "results" / "tabular" / "development.md").read_text(encoding="utf-8")
    written = tmp_path / "development.md"
    command = page[page.index("benchmarks.tabular development") :].splitlines()[0]
    command = shlex.split(command)[1:]
    load("benchmarks.tabular.__main__").main([*command, "--out", str(written)])
    assert written.read_text(encoding="utf-8").split("Records: ")[0] == page.split("Records: ")[0]


def test_the_page_of_the_zoo_is_that_of_the_records(load, tmp_path):
    written = tmp_path / "zoo.md"
    load("benchmarks.deep.report").main(written)
    page = ROOT / "docs" / "results" / "deep" / "zoo.md"
    assert written.read_text(encoding="utf-8") == page.read_text(encoding="utf-8")


def test_compressed_records_are_read_and_no_run_appends_to_them(load, tmp_path):
    records = load("benchmarks.common.records")
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"seed": 0}\n{"seed": 1}\n{"se'))
    assert records.read(path) == [{"seed": 0}, {"seed": 1}]
    with pytest.raises(SystemExit, match="gunzip it first"):
        load("benchmarks.evidence.__main__").main(["run", "--suite", "tabular", "--out", str(path)])


def test_records_are_read_as_they_were_written(load, tmp_path):
    import numpy as np

    records = load("benchmarks.common.records")
    path = tmp_path / "folder" / "a.jsonl"
    assert records.read(path) == []
    records.append(path, {"seed": 0, "score": np.float64(0.5)}, {"seed": 1, "score": np.arange(2)})
    records.append(path, {"seed": 0, "score": None})
    with path.open("a", encoding="utf-8") as file:
        file.write('{"seed": 2, "sc')  # the process was ended here
    found = records.read(path)
    assert found == [{"seed": 0, "score": 0.5}, {"seed": 1, "score": [0, 1]}, {"seed": 0, "score": None}]
    assert records.latest(found, lambda record: record["seed"]) == [found[2], found[1]]
    with path.open("a") as file:
        file.write('{"seed": 2, "sco')  # a run that broke off
    records.append(path, {"seed": 3})
    assert records.read(path) == [*found, {"seed": 3}]
    records.write(path, found[:1])
    assert records.read(path) == found[:1]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("given", "found"), [({}, "0"), ({"SKBANDIT_SHARE_TRAINING": "1"}, "1")])
def test_what_is_timed_is_trained_each_time_unless_a_benchmark_says_otherwise(given, found):
    code = "import os, benchmarks.common.timing; print(os.environ['SKBANDIT_SHARE_TRAINING'])"
    environment = {name: value for name, value in os.environ.items() if name != "SKBANDIT_SHARE_TRAINING"} | given
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == found
