"""The examples in the docstrings run, in the package that is installed."""

import doctest
import importlib
import pkgutil

import pytest

import skbandit
from skbandit import saved

#: What the examples of a module need beside the package.
NEEDS = {"equinox": "equinox", "flax": "flax", "haiku": "haiku", "nnx": "flax"}
MODULES = sorted(m.name for m in pkgutil.walk_packages(skbandit.__path__, "skbandit.") if "__main__" not in m.name)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name, request):
    module = importlib.import_module(name)
    room, _, last = name.rpartition(".")
    if room == "skbandit.networks" and last in NEEDS:
        pytest.importorskip(NEEDS[last], reason=f"{NEEDS[last]} is not installed")
    if name == "skbandit._core.cache":
        request.getfixturevalue("own_cache")
    result = doctest.testmod(module)
    assert result.failed == 0


@pytest.mark.parametrize("address", [a for a in saved.TYPES if a.startswith(("skbandit.saved.", "skbandit.Bandit"))])
def test_examples_of_classes_that_are_known_by_another_module(address):
    module, _, name = address.rpartition(".")
    cls = getattr(importlib.import_module(module), name)
    tests = doctest.DocTestFinder().find(cls, name, module=False, globs={})
    assert tests or "BanditPruned" not in name
    runner = doctest.DocTestRunner()
    assert sum(runner.run(test).failed for test in tests) == 0


def test_some_examples_are_found():
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [e for name in MODULES for t in finder.find(importlib.import_module(name)) for e in t.examples]
    assert len(examples) > 60
