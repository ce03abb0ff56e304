"""Processes that share a cache of networks and a cache of programs, and write to both at once."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import skbandit

#: The call, here and there.
CALL = """
import numpy as np
from skbandit import BanditPrunedMLPRegressor
rng = np.random.default_rng(0)
X = rng.standard_normal((60, 4))
y = X[:, 0] - X[:, 1] ** 2
def fit(ratio, memory):
    params = {"pruning_ratio": ratio, "policy": "magnitude", "max_iter": 20, "n_rounds": 1, "fine_tune_iter": 2}
    params |= {"n_members": 1}
    return BanditPrunedMLPRegressor((8,), memory=memory, random_state=0, **params).fit(X, y).predict(X).tobytes().hex()
"""
FIT = """
import sys, warnings
import skbandit
warnings.simplefilter("ignore")
programs, networks, ratios = sys.argv[1], sys.argv[2] or None, map(float, sys.argv[3].split(","))
if programs:
    skbandit.enable_compilation_cache(programs)
exec(sys.argv[4])
print("ready", flush=True)
sys.stdin.readline()
for ratio in ratios:
    print(fit(ratio, networks), flush=True)
"""


def fit_at_once(n, programs, networks, ratios):
    """Return what each of ``n`` processes prints, which start together."""
    environment = {**os.environ, "PYTHONPATH": str(Path(skbandit.__file__).parents[1])}
    if not programs:  # those of the tests
        environment |= {
            "JAX_COMPILATION_CACHE_DIR": str(jax.config.jax_compilation_cache_dir),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    command = [sys.executable, "-c", FIT, str(programs), str(networks), ",".join(map(str, ratios)), CALL]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, env=environment, **streams) for _ in range(n)]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        found = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert all(process.returncode == 0 for process in processes), [said for _, said in found]
    return [out for out, _ in found]


@pytest.mark.parametrize(
    ("n", "ratios", "programs"),
    [(2, [0.5], ""), pytest.param(4, [0.25, 0.5, 0.75, 0], "programs", marks=pytest.mark.exhaustive)],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_shares_its_caches_computes_what_it_does_alone(n, ratios, programs, tmp_path):
    tmp_path.chmod(0o700)
    names = {}
    exec(CALL, names)
    together = fit_at_once(n, programs and tmp_path / programs, tmp_path / "networks", ratios)
    alone = [names["fit"](ratio, None) for ratio in ratios]
    later = [names["fit"](ratio, tmp_path / "networks") for ratio in ratios]
    assert alone == later
    assert [out.splitlines() for out in together] == [alone] * n
    # One entry, and nothing that was left half-written.
    assert len(list((tmp_path / "networks").rglob("output.pkl*"))) == 1
