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


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target
