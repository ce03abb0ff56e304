"""The README's examples run as they stand."""

import re
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_examples_run(tmp_path, monkeypatch, capsys, own_cache):
    monkeypatch.chdir(tmp_path)
    assert len(BLOCKS) >= 3
    names = {}
    for block in BLOCKS:
        exec(compile(block, str(README), "exec"), names)
    assert capsys.readouterr().out.strip()
    assert (tmp_path / "model.pkl").exists()


def test_the_table_of_rooms_is_predicted_as_the_readme_says():
    (block,) = (block for block in BLOCKS if "rooms" in block)
    names = {}
    exec(compile(block, str(README), "exec"), names)
    predicted = names["model"].predict(names["rooms"].head(4))
    np.testing.assert_allclose(predicted, [300, 700, 650, 900], atol=30)


def test_links_lead_somewhere_outside_the_repository_too():
    """The page is shown on package indexes as well: links are addresses, or places on the page itself."""
    text = README.read_text(encoding="utf-8")
    anchors = {re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") for title in re.findall(r"^#+ (.+)$", text, re.M)}
    base = r"https://github.com/skbandit/skbandit/(?:blob|tree)/main/"
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        else:
            assert target.startswith("https://"), target
            path = re.sub(f"^{base}", "", target)
            assert path == target or (README.parent / path).exists(), target
