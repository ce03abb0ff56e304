"""The pages under docs: what they include is what is there, and every name has its place."""

import re
from pathlib import Path

import pytest

from skbandit.criteria import CRITERIA
from skbandit.policies import POLICIES

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


@pytest.mark.parametrize("name", ["add_a_policy.md", "add_a_criterion.md"])
def test_included_files_are_the_real_ones(name):
    text = (DOCS / name).read_text(encoding="utf-8")
    included = re.findall(r"<!-- file: (\S+) -->\n\n```python\n(.*?)```\n", text, flags=re.DOTALL)
    assert included
    for path, code in included:
        assert code == (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*POLICIES, *CRITERIA])
def test_every_policy_and_criterion_is_in_the_table_and_on_a_page(name):
    table = (DOCS / "choosing_units" / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in table.splitlines() if line.startswith("| [") and f"`{name}`" in line]
    page = DOCS / "choosing_units" / re.search(r"\]\((\S+)\)", row)[1]
    assert f"`{name}`" in page.read_text(encoding="utf-8")


#: Pages whose code runs as it stands, and what it needs beside the package.
EXAMPLES = {"plain": "flatbuffers", "equinox": "equinox", "flax_nnx": "flax", "flax_linen": "flax", "haiku": "haiku"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_model_of_every_framework_is_pruned_as_its_page_says(name, tmp_path, monkeypatch, capsys):
    pytest.importorskip(EXAMPLES[name], reason=f"{EXAMPLES[name]} is not installed")
    monkeypatch.chdir(tmp_path)
    page = DOCS / "any_network" / f"{name}.md"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    names = {"__name__": name}
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)
    printed = capsys.readouterr().out
    before, after = map(float, re.search(r"accuracy before (\S+), after (\S+)", printed).groups())
    assert after > before - 0.03 > 0.9


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target
