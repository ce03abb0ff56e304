"""Fits with programs that other processes have compiled: the same bits, whatever became of the folder meanwhile."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import skbandit
from skbandit.criteria import CRITERIA
from skbandit.policies import POLICIES

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no store on this system")

FIT = """
import sys, warnings
import numpy as np
import skbandit
import jax
seen = []
jax.monitoring.register_event_duration_secs_listener(lambda event, _, **about: seen.append(
    about.get("fun_name")) if event == "/jax/core/compile/backend_compile_duration" else None)
warnings.simplefilter(sys.argv[2])
warnings.filterwarnings("ignore", category=__import__("sklearn.exceptions").exceptions.ConvergenceWarning)
rng = np.random.default_rng(0)
X = rng.standard_normal((90, 5))
y = X[:, 0] - X[:, 1] ** 2
for params in eval(sys.argv[1]):
    given = {"hidden_layer_sizes": (7, 6), "max_iter": 12, "n_rounds": 2, "fine_tune_iter": 2}
    given |= {"n_members": 1, "random_state": 0}
    model = skbandit.BanditPrunedMLPRegressor(**given | params).fit(X, y)
    print(model.predict(X).tobytes().hex(), [kept.tolist() for kept in model.kept_units_], model.loss_curve_)
print(len([name for name in seen if name in ("jit(run_chunk)", "jit(_score)", "jit(_mean_loss)", "jit(full_loss)")]))
"""
PARAMS = [
    {},
    {"policy": "ucb1", "dtype": "float64"},
    {"policy": "thompson", "early_stopping": True, "dropout": 0.2},
    {"policy": "taylor", "solver": "lbfgs"},
]


def fit(folder, params=PARAMS[:2], warned="error", **environment):
    """Return what a process predicts, and the number of programs that it compiled."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_COMPILATION", "JAX_PERSISTENT"))}
    clean |= {"PYTHONPATH": str(Path(skbandit.__file__).parents[1]), "SKBANDIT_COMPILATION_CACHE": str(folder)}
    command = [sys.executable, "-W", "error", "-c", FIT, repr(params), warned]
    done = subprocess.run(command, env=clean | environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    *predictions, n_compiled = done.stdout.splitlines()
    return predictions, int(n_compiled)


#: Criteria that call LAPACK, which a loaded program would not find: they are compiled in each process.
NOT_KEPT = ("obs", "stable_units")


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o700)
    return tmp_path


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("params", [PARAMS[:2], pytest.param(PARAMS, marks=pytest.mark.exhaustive)])
def test_a_fit_gives_the_same_bits_without_with_an_empty_and_with_a_full_folder(params, folder):
    without, n = fit("0", params)
    assert files(folder) == []
    empty, n_empty = fit(folder, params)
    kept = files(folder)
    full, n_full = fit(folder, params, PYTHONHASHSEED="1")
    assert without == empty == full
    assert n == n_empty >= 2 * len(params)
    assert n_full == 0
    assert len(kept) >= n
    assert files(folder) == kept
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}


@pytest.mark.exhaustive
def test_every_policy_and_criterion_gives_the_same_bits_from_a_full_folder(folder):
    params = [{"policy": name, "max_iter": 3} for name in sorted({**POLICIES, **CRITERIA})]
    expected, n = fit(folder, params, warned="ignore")  # of networks after so few epochs
    assert n > len(params)
    assert fit(folder, params, warned="ignore") == (expected, len(NOT_KEPT))


def test_whatever_becomes_of_the_folder_a_fit_is_the_same(folder):
    params = PARAMS[:1]
    expected, n = fit(folder, params)
    kept = files(folder)
    for path in kept[: len(kept) // 2 + 1]:
        path.write_bytes(path.read_bytes()[:-100])
    damaged, n_compiled = fit(folder, params)
    assert damaged == expected
    assert 0 < n_compiled <= n
    assert fit(folder, params) == (expected, 0)  # the damaged ones were replaced
    (folder / "skbandit-programs").chmod(0o777)  # anyone may have written them
    assert fit(folder, params, warned="ignore") == (expected, n)
    (folder / "skbandit-programs").chmod(0o500)
    assert fit(folder, params) == (expected, 0)
    (folder / "skbandit-programs").chmod(0o700)
