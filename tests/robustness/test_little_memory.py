"""Less memory from call to call: a result, an error that says so, or XLA ends the process; never a hang.

Found with jaxlib 0.10: where XLA or LLVM cannot allocate, the process is ended (SIGABRT or SIGSEGV), and no Python code
can prevent that. So all that is asserted is that a call ends, and that a result is the one that there is with enough.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import skbandit

pytest.importorskip("resource")

FIT = """
import json, resource, sys, warnings
import numpy as np
import skbandit.estimators, skbandit.criteria, skbandit._tabular.training.fit, skbandit._tabular.pruning.task
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X = rng.standard_normal((60, 4))
y = X[:, 0] - X[:, 1] ** 2
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
if sys.argv[1] != "all":
    resource.setrlimit(resource.RLIMIT_AS, (size + int(sys.argv[1]) * 2**20,) * 2)
try:
    model = skbandit.BanditPrunedMLPRegressor(
        (8,), n_members=1, max_iter=4, n_rounds=1, fine_tune_iter=0, policy="magnitude", random_state=0
    ).fit(X, y)
    said = model.predict(X).tobytes().hex()
except Exception as error:
    said = f"{type(error).__name__}: {error}"
print(said, flush=True)
import os
os._exit(0)
"""


#: From too little to start JAX to more than it takes (900 MiB here), a few seconds each.
SIZES = (0, 20, 60, 140, 180, 300, 500, 650, 800, 850, 900, 1000, 2500, 4000)


def fit_within(mebibytes, programs):
    """Return what a process says that gets no more than that beyond what it has after its imports; or its end."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(skbandit.__file__).parents[1]),
        "JAX_COMPILATION_CACHE_DIR": str(programs),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    command = [sys.executable, "-c", FIT, str(mebibytes)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)  # a hang is an error
    return done.stdout.strip() or f"ended by {done.returncode}: {done.stderr[-300:]}"


@pytest.mark.exhaustive
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="only Linux tells how much there is")
def test_a_fit_with_little_memory_ends(tmp_path):
    expected = fit_within("all", tmp_path)
    assert len(expected) == 60 * 8 * 2
    found = {size: fit_within(size, tmp_path) for size in SIZES}
    results = {size: said for size, said in found.items() if len(said) == len(expected)}
    print(json.dumps({size: "result" if size in results else said[:100] for size, said in found.items()}, indent=1))
    assert set(results.values()) == {expected}
    for said in set(found.values()) - {expected}:
        assert said.startswith(
            ("ended by", "MemoryError", "JaxRuntimeError", "XlaRuntimeError", "OSError", "RuntimeError")
        )
