"""Several devices: the same network as on one. In another process, because JAX counts its devices when it starts."""

import json
import os
import subprocess
import sys

import pytest

FIT = """
import json, sys, warnings
import jax
import numpy as np
import skbandit

warnings.simplefilter("ignore")
name, sizes, dtype = sys.argv[1], tuple(map(int, sys.argv[2].split(","))), sys.argv[3]
rng = np.random.default_rng(0)
X = rng.normal(size=(333, 5))
y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]
y = np.digitize(y, [-0.5, 0.5]) if "Classifier" in name else y
models = []
for device in (None, "cpu:*"):
    model = getattr(skbandit, name)(sizes, n_members=1, max_iter=15, random_state=0, dtype=dtype, device=device)
    models.append(model.fit(X, y))
one, eight = models
from skbandit._core.scope import jax_scope, n_devices, spread
with jax_scope(dtype, "cpu:*"):
    assert n_devices() == 8
    (rows,) = jax.jit(spread)(np.ones((16, 2), dtype))
    assert len(rows.sharding.device_set) == 8 and not rows.sharding.is_fully_replicated
# A mesh of the user's own is none of ours.
with jax.set_mesh(jax.make_mesh((8,), ("devices",), (jax.sharding.AxisType.Explicit,))):
    again = getattr(skbandit, name)(sizes, n_members=1, max_iter=15, random_state=0, dtype=dtype, device="cpu:1")
    again.fit(X, y)
    assert all((a == b).all() for a, b in zip(again.coefs_, one.coefs_))
print(json.dumps({
    "kept": [[k.tolist() for k in m.kept_units_] for m in models],
    "coefs": max(float(np.abs(a - b).max()) for a, b in zip(one.coefs_, eight.coefs_)),
    "damage": [[r["damage_predicted"] for r in m.pruning_history_] for m in models],
    "pulls": [m.n_pulls_ for m in models],
}))
"""


# 13 units are no multiple of 8: the last arms of a tile are padding.
@pytest.mark.parametrize(
    ("name", "sizes", "dtype"),
    [
        pytest.param("BanditPrunedMLPRegressor", "13", "float64", marks=pytest.mark.exhaustive),
        pytest.param("BanditPrunedMLPRegressor", "24,13", "float32", marks=pytest.mark.exhaustive),
        ("BanditPrunedMLPClassifier", "24,13", "float64"),
    ],
)
def test_eight_devices_find_the_same_network(name, sizes, dtype):
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    command = [sys.executable, "-c", FIT, name, sizes, dtype]
    result = subprocess.run(command, env=os.environ | {"XLA_FLAGS": flags}, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["kept"][0] == found["kept"][1]
    assert found["pulls"][0] == found["pulls"][1]
    # Sums over rows in another order, for some hundred steps.
    assert found["coefs"] < (1e-10 if dtype == "float64" else 1e-3)
    assert found["damage"][1] == pytest.approx(found["damage"][0], rel=1e-5, abs=1e-5)
