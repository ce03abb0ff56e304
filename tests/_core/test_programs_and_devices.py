"""Programs for devices other than the first, a processor, are neither kept nor loaded."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no store on this system")

#: Two devices, of which JAX counts one as its own: as with JAX_PLATFORMS=cpu,cuda.
CODE = """
import os, sys
import jax
import numpy as np
first, second = jax.devices()
jax.devices = lambda *_: [first]
from skbandit._core import store
from skbandit._core.programs import compiled
folder = store.where()

@compiled()
def shifted(x):
    return x + 1

def n_files(x):
    for _ in range(2):
        result = shifted(x)
        np.testing.assert_array_equal(result, np.asarray(x) + 1)
        (device,) = result.devices()
        shifted.clear_cache()
    return device.id, len(os.listdir(folder))

x = np.zeros(3, np.float32)
with jax.default_device(second):
    print(*n_files(x))
    print(*n_files(jax.numpy.asarray(x)))
print(*n_files(jax.device_put(x, second)))
print(*n_files(x))
print(*n_files(jax.device_put(x, first)))
print(*n_files(jax.device_put(x, second)))
shifted(jax.device_put(x, first))
print(*(device.id for device in shifted(jax.device_put(x, second)).devices()))
with jax.default_device(first):
    print(*n_files(x))
"""


def test_what_is_for_another_device_goes_past_the_folder(tmp_path):
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
    environment = {**os.environ, "XLA_FLAGS": flags, "SKBANDIT_COMPILATION_CACHE": str(tmp_path / "programs")}
    command = [sys.executable, "-W", "error", "-c", CODE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    # Where it ran, and the files there are: one for an array of the host, one for what was put on the first device.
    assert [*map(tuple, map(str.split, done.stdout.splitlines()))] == [
        *(("1", "0"), ("1", "0"), ("1", "0")),
        *(("0", "1"), ("0", "2"), ("1", "2")),
        ("1",),
        ("0", "3"),
    ]
