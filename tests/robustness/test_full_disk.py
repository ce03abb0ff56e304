"""A disk that takes no more: no file may grow beyond some bytes, which is what a full disk says, but for the errno."""

import contextlib
import warnings
from collections import Counter

import numpy as np
import pytest
from joblib._store_backends import CacheWarning

resource = pytest.importorskip("resource")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

#: From nothing at all to all that an entry of this network takes.
SIZES = [0, 10, 300, 700, 2000, 10**6]


@contextlib.contextmanager
def no_more_than(n_bytes):
    """Let no file of this process grow beyond so many bytes; Python ignores the signal that comes with it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_costs_the_cache_of_networks_and_no_fit(tmp_path, make_data, regressor):
    data = make_data("regression")
    params = {"fine_tune_iter": 0}
    expected = regressor(**params).fit(data.X, data.y).predict(data.X)
    kinds = Counter()
    for size in SIZES:
        memory = tmp_path / str(size)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with no_more_than(size):
                model = regressor(memory=memory, **params).fit(data.X, data.y)
        ours = [w for w in caught if w.category is CacheWarning or "'memory' cannot keep" in str(w.message)]
        np.testing.assert_array_equal(model.predict(data.X), expected)
        kept = [path.stat().st_size for path in memory.rglob("output.pkl")]
        assert bool(kept) != bool(ours), size  # kept, or a word of why not
        kinds["kept" if kept else "told"] += 1
        # With room again, the same folder serves.
        for _ in range(2):
            np.testing.assert_array_equal(
                regressor(memory=memory, **params).fit(data.X, data.y).predict(data.X), expected
            )
    assert kinds["kept"] >= 1
    assert kinds["told"] >= 3


@pytest.mark.exhaustive
def test_a_full_disk_costs_the_cache_of_programs_and_no_fit(python, tmp_path):
    script = """
import resource, sys, warnings
import numpy as np
import skbandit
X = np.linspace(0, 1, 60).reshape(30, 2)
def fit():
    model = skbandit.BanditPrunedMLPRegressor((4,), n_members=1, max_iter=2, fine_tune_iter=0, random_state=0)
    return model.fit(X, X[:, 0]).predict(X)
skbandit.enable_compilation_cache(sys.argv[1])
warnings.simplefilter("always")
with warnings.catch_warnings(record=True) as caught:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
    full = fit()
    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
    import jax
    jax.clear_caches()
    np.testing.assert_array_equal(fit(), full)  # from what was written in part
print(sum("writing persistent compilation cache" in str(w.message) for w in caught))
"""
    tmp_path.chmod(0o700)
    for size in (0, 100, 5000):
        assert int(python(script, tmp_path / str(size), size)) > 0
