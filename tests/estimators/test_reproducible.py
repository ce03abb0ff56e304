"""The same random_state gives the same network, bit for bit, wherever it is fitted."""

import hashlib

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbandit.criteria import CRITERIA
from skbandit.policies import POLICIES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

#: Everything that draws at random: initial weights, the split, mini-batches, dropout, the policy.
RANDOM = {"batch_size": 16, "early_stopping": True, "dropout": 0.2, "policy": "thompson"}


def fingerprint(model):
    return hashlib.sha256(b"".join(a.tobytes() for a in (*model.coefs_, *model.intercepts_))).hexdigest()


def test_one_random_state_gives_one_network(make_data, regressor):
    data = make_data("regression")
    prints = {fingerprint(regressor(**RANDOM).fit(data.X, data.y)) for _ in range(2)}
    assert len(prints) == 1


@pytest.mark.parametrize("policy", [*POLICIES, *CRITERIA])
def test_every_policy_is_reproducible(policy, short, make_data, regressor):
    data = make_data("regression")
    prints = {fingerprint(regressor(policy=short(policy)).fit(data.X, data.y)) for _ in range(2)}
    assert len(prints) == 1


def test_another_random_state_gives_another_network(make_data, regressor):
    data = make_data("regression")
    fits = [regressor(random_state=seed).fit(data.X, data.y) for seed in (0, 1, None, None)]
    assert len({fingerprint(model) for model in fits}) == 4


def test_a_random_state_object_is_the_stream_of_its_seed(make_data, regressor):
    data = make_data("regression")
    rng = np.random.RandomState(0)
    first, second = (fingerprint(regressor(random_state=rng, **RANDOM).fit(data.X, data.y)) for _ in range(2))
    assert first == fingerprint(regressor(random_state=0, **RANDOM).fit(data.X, data.y))
    assert second != first


def test_the_global_random_state_is_not_touched(make_data, regressor):
    data = make_data("regression")
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    regressor(pruning_ratio=0, **RANDOM).fit(data.X, data.y).prune(data.X, data.y, pruning_ratio=0.5)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_another_process_gives_the_same_network(make_data, regressor, python, tmp_path):
    data = make_data("regression")
    model = regressor(**RANDOM)
    np.savez(tmp_path / "data.npz", X=data.X, y=data.y)
    printed = python(
        "import warnings, hashlib, sys\n"
        "import numpy as np\n"
        "from sklearn.exceptions import ConvergenceWarning\n"
        "from skbandit import BanditPrunedMLPRegressor\n"
        "warnings.simplefilter('ignore', ConvergenceWarning)\n"
        "data = np.load('data.npz')\n"
        f"model = {model!r}.fit(data['X'], data['y'])\n"
        "print(hashlib.sha256(b''.join(a.tobytes() for a in (*model.coefs_, *model.intercepts_))).hexdigest())"
    )
    assert printed.strip() == fingerprint(model.fit(data.X, data.y))


def test_more_rows_in_the_bucket_do_not_matter(make_data, regressor, monkeypatch):
    # Padding is invisible: the same network, bit for bit, whatever the bucket. Mini-batches keep their width.
    data = make_data("regression")
    params = {"batch_size": 16, "early_stopping": True, "dropout": 0.2, "input_scaling": True}
    expected = fingerprint(regressor(**params).fit(data.X, data.y))
    monkeypatch.setattr("skbandit._core.rows.SMALLEST_BUCKET", 128)
    assert fingerprint(regressor(**params).fit(data.X, data.y)) == expected


def test_threads_give_the_scores_of_a_single_one(make_data, regressor):
    data = make_data("regression")
    pipeline = make_pipeline(StandardScaler(), regressor())
    prefix = "banditprunedmlpregressor__"
    # float64 is switched on for one thread while the other computes in float32.
    grid = {f"{prefix}random_state": [0, 1, 2], f"{prefix}dtype": ["float32", "float64"]}
    results = []
    for n_jobs in (1, 2):
        with joblib.parallel_config(backend="threading"):
            search = GridSearchCV(pipeline, grid, cv=3, n_jobs=n_jobs, return_train_score=True).fit(data.X, data.y)
        results.append(search.cv_results_)
    for key in ("mean_test_score", "std_test_score", "mean_train_score"):
        np.testing.assert_array_equal(results[0][key], results[1][key])
