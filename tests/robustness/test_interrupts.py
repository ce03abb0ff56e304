"""A real Ctrl-C at random moments of a call that imports, traces and compiles all that it needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import skbandit

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes are forked from one")


def interrupted(work, n, seed, folder):
    """Return what came of the call by itself, and of an interrupt in each of ``n`` parts of its time."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_COMPILATION")}
    environment |= {"PYTHONPATH": str(Path(skbandit.__file__).parents[1]), "INTERRUPTED_LOG": str(folder / "log")}
    script = Path(__file__).with_name("interrupted.py")
    command = [sys.executable, str(script), work, str(n), str(seed), str(folder / "programs")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200 * (n + 1))
    assert done.returncode == 0, done.stderr
    whole, *moments = map(json.loads, done.stdout.splitlines())
    assert whole["kind"] == "whole"
    assert len(moments) == n
    return whole, moments


def fault(work, moment, whole):
    """Return what is wrong with what came of an interrupt; None if nothing is."""
    kind = moment["kind"]
    if kind not in ("whole", "KeyboardInterrupt"):
        return kind  # a hang, a crash, another exception
    if kind == "KeyboardInterrupt" and not moment["unchanged"]:
        return "the estimator has changed"
    if kind == "whole" and not moment["finite"]:
        return "a prediction is not finite"
    # One that came too late may go unheard.
    if kind == "whole" and not moment["warned"] and moment["seconds"] > moment["delay"] + 0.5:
        return "nobody heard of it"
    if moment["again"] != whole["digest"] and not (work == "partial_fit" and kind == "whole"):  # that one has gone on
        return f"the next call comes to {moment['again']}, and not to {whole['digest']}"
    return None


@pytest.mark.parametrize(
    ("work", "n"),
    [
        ("fit", 3),
        *(pytest.param(work, n, marks=pytest.mark.exhaustive) for work, n in (("fit", 60), ("members", 30))),
        *(pytest.param(work, 20, marks=pytest.mark.exhaustive) for work in ("refit", "partial_fit", "prune")),
    ],
)
def test_an_interrupt_leaves_a_whole_model_or_none_and_the_next_call_works(work, n, tmp_path):
    whole, moments = interrupted(work, n, 0, tmp_path)
    kinds = [moment["kind"] for moment in moments]
    found = [(fault(work, moment, whole), moment) for moment in moments if fault(work, moment, whole)]
    assert not found, (found[:3], (tmp_path / "log").read_text()[-3000:])
    print(work, {kind: kinds.count(kind) for kind in set(kinds)})
