"""Sources that change while a process runs: no program of old code is given for new code, nor the other way round."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import skbandit

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no store on this system")

PROBE = """
import numpy as np
from skbandit._core.programs import compiled

@compiled()
def shifted(x):
    return x + 1
"""
#: Calls the function for each word: a number is the length of an array, "edit" is a change that is reloaded.
RUN = """
import importlib, sys, time
import jax
import numpy as np
time.sleep(0.2)  # the files are older than the import of the package
from skbandit.networks import probe

for word in sys.argv[1:]:
    if word.isdigit():
        print(float(probe.shifted(np.zeros(int(word), np.float32))[0]))
    else:
        with open(probe.__file__) as file:
            content = file.read()
        with open(probe.__file__, "w") as file:
            file.write(content.replace("x + 1", "x + 10"))
        if "core" in word:
            importlib.reload(sys.modules["skbandit._core"])
        importlib.reload(probe)
"""


@pytest.fixture
def run(tmp_path):
    """Return a function: what a process prints that uses a copy of the package, and the files that it has kept."""
    package, folder = tmp_path / "copy" / "skbandit", tmp_path / "programs"
    shutil.copytree(Path(skbandit.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_COMPILATION", "JAX_PERSISTENT"))}
    clean |= {"PYTHONPATH": str(package.parent), "SKBANDIT_COMPILATION_CACHE": str(folder)}

    def printed(*words, probe=PROBE):
        (package / "networks" / "probe.py").write_text(probe)
        command = [sys.executable, "-W", "error", "-B", "-c", RUN, *words]
        done = subprocess.run(command, env=clean, cwd=package.parent, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return [float(line) for line in done.stdout.split()], len([*folder.glob("*/*shifted*")])

    return printed


def test_a_reload_gets_its_own_program_and_keeps_none(run):
    assert run("3") == ([1], 1)
    # What is on disk is the program of the old code; "4" is compiled from the new one.
    assert run("3", "edit", "3", "4") == ([1, 10, 10], 1)
    assert run("3", "4") == ([1, 1], 2)
    assert run("3", "4", probe=PROBE.replace("x + 1", "x + 10")) == ([10, 10], 4)


def test_an_edit_before_the_first_program_or_with_a_reload_of_the_ground_keeps_none(run):
    assert run("edit", "3") == ([10], 0)
    assert run("3", "edit, reload the core", "3", "4") == ([1, 10, 10], 1)
    assert run("3", "4") == ([1, 1], 2)


#: An edit that comes while the program is traced.
WHILE_TRACED = PROBE.replace("    return", "    open(__file__, 'a').write('# changed')\n    return").replace(
    "import numpy", "import warnings; warnings.simplefilter('ignore', ResourceWarning); import numpy"
)


def test_an_edit_while_a_program_is_traced_keeps_it_from_disk(run):
    assert run("3", probe=WHILE_TRACED) == ([1], 0)
