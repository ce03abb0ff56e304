"""A search whose worker is killed is complete, with equal scores, or ends with an error of the library that ran it."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import jax
import pytest

import skbandit

#: A search over three policies and two folds. The worker that is the first to score is killed.
SCRIPT = """
import json, os, pathlib, signal, sys, warnings
import joblib, numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV
from skbandit import BanditPrunedMLPRegressor

warnings.simplefilter("ignore")

folder = pathlib.Path(sys.argv[1])


def score_or_be_killed(model, X, y):
    try:
        (folder / "killed").touch(exist_ok=False)
    except FileExistsError:
        return model.score(X, y)
    os.kill(os.getpid(), signal.SIGKILL)


def search(n_jobs, scoring, memory=None):
    model = BanditPrunedMLPRegressor(
        (8,), n_members=1, max_iter=3, fine_tune_iter=0, random_state=0, memory=memory
    )
    grid = {"policy": ["ucb1", "racing", "magnitude"]}
    X, y = load_diabetes(return_X_y=True)
    return GridSearchCV(model, grid, cv=2, scoring=scoring, n_jobs=n_jobs, error_score="raise").fit(X, y)


def scores(found):
    return [found.cv_results_[f"split{i}_test_score"].tolist() for i in (0, 1)]


def main():
    expected = scores(search(1, None))
    said = {"error": "", "memory": str(folder / "memory")}
    with BACKEND as backend:
        try:
            said["killed"] = scores(search(2, score_or_be_killed, said["memory"])) == expected
        except Exception as error:
            said["error"] = f"{type(error).__module__}.{type(error).__name__}: {error}"
        said["again"] = scores(search(2, score_or_be_killed, said["memory"])) == expected
    said["trained"] = len(list((folder / "memory").rglob("output.pkl")))
    print(json.dumps(said))


if __name__ == "__main__":
    BEFORE
    main()
"""

BACKENDS = {
    "loky": ("", "joblib.parallel_config('loky')"),
    "dask": (
        "from distributed import Client; client = Client(n_workers=2, threads_per_worker=1, dashboard_address=None)",
        "joblib.parallel_config('dask')",
    ),
    "ray": (
        "import ray; from ray.util.joblib import register_ray; "
        "ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False); register_ray()",
        "joblib.parallel_config('ray')",
    ),
}


def searched(name, folder):
    """Run the script with a backend of joblib's in a process of its own; return what it prints last."""
    before, backend = BACKENDS[name]
    script = folder / "search.py"
    script.write_text(SCRIPT.replace("BEFORE", before or "pass").replace("BACKEND", backend))
    env = {
        **os.environ,
        "PYTHONPATH": str(Path(skbandit.__file__).parents[1]),
        "JAX_COMPILATION_CACHE_DIR": str(jax.config.jax_compilation_cache_dir),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    command = [sys.executable, str(script), str(folder)]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_killed_worker_of_loky_ends_the_search_and_the_next_one_trains_what_is_missing(tmp_path):
    said = searched("loky", tmp_path)
    assert "TerminatedWorkerError" in said["error"]
    assert said["again"]
    assert said["trained"] == 3  # two folds and the refit: one network each for three policies


@pytest.mark.exhaustive
@pytest.mark.skipif(find_spec("distributed") is None, reason="Dask is not installed")
def test_dask_runs_the_fits_of_a_killed_worker_again(tmp_path):
    said = searched("dask", tmp_path)
    assert not said["error"]
    assert said["killed"]
    assert said["again"]


@pytest.mark.exhaustive
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_ray_ends_the_search_with_an_error_of_its_own_or_completes_it(tmp_path):
    said = searched("ray", tmp_path)
    assert said["error"].startswith("ray.") or said.get("killed")
    assert said["again"]
