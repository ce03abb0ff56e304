"""Write ``saved-models-<version>.pkl``: fitted estimators of this version, rows, and what they predict for them.

Run once for a release, from the root of the repository: ``python tests/data/make_saved_models.py``. The file stays
for the tests of later versions.
"""

import pickle
import warnings
from pathlib import Path

import numpy as np

import skbandit
from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor
from skbandit.criteria import CRITERIA, Bandit, WarmStartedBandit, make
from skbandit.policies import POLICIES
from skbandit.presets import preset_params
from skbandit.rewards import OffsetClipReward, SmoothReward

QUICK = {"hidden_layer_sizes": (8, 6), "n_members": 1, "max_iter": 5, "fine_tune_iter": 1, "random_state": 0}


def table(n=80):
    """Return rows of three numbers, some of them missing, and a category as text."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 4)).astype(object)
    X[:, 3] = [f"kind {i % 13}" for i in range(n)]
    X[::9, 1] = np.nan
    return X


def models():
    """Return a model of each kind, by name, with rows to predict."""
    mixed = table()
    X = np.random.default_rng(1).standard_normal((80, 4))
    number, classes, labels = X[:, 0] - X[:, 1], np.array(list("abc"))[np.arange(80) % 3], (X[:, :2] > 0).astype(int)
    plain = {
        task: {**preset_params("plain", task), **QUICK, "early_stopping": False}
        for task in ("regression", "classification")
    }
    categories = {**QUICK, "categorical_features": [3]}
    return {
        "regressor": (BanditPrunedMLPRegressor(**QUICK).fit(X, number), X),
        "regressor of categories": (BanditPrunedMLPRegressor(**categories).fit(mixed, number), mixed),
        "plain regressor of two targets": (BanditPrunedMLPRegressor(**plain["regression"]).fit(X, X[:, :2]), X),
        "counts": (BanditPrunedMLPRegressor(**QUICK, loss="poisson").fit(X, np.arange(80) % 5), X),
        "strong regressor": (
            BanditPrunedMLPRegressor.from_preset("strong", **categories | {"n_members": 4}).fit(mixed, number),
            mixed,
        ),
        "classifier of categories": (BanditPrunedMLPClassifier(**categories).fit(mixed, classes), mixed),
        "plain classifier": (BanditPrunedMLPClassifier(**plain["classification"]).fit(X, classes), X),
        "labels": (BanditPrunedMLPClassifier(**QUICK | {"n_members": 2}).fit(X, labels), X),
        "begun": (BanditPrunedMLPRegressor(**categories).partial_fit(mixed[:9], number[:9]), mixed),
        "trained on": (
            BanditPrunedMLPClassifier(**categories)
            .partial_fit(mixed, classes, classes=["a", "b", "c"])
            .partial_fit(mixed, classes),
            mixed,
        ),
    }


def policies():
    """Return an object of each policy and criterion, by name, and a bandit with a reward."""
    made = {name: make(name) for name in (*POLICIES, *CRITERIA)}
    return made | {
        "rewarded": Bandit(POLICIES["ucb1"](), reward=OffsetClipReward()),
        "hinted": WarmStartedBandit(POLICIES["racing"](), prior=make("taylor")),
        "smooth": Bandit(POLICIES["exp3"](), reward=SmoothReward()),
    }


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = {name: (model, X, model.predict(X)) for name, (model, X) in models().items()}
        X, y = kept["regressor"][1:]
        for name, policy in policies().items():
            kept[f"policy {name}"] = (kept["regressor"][0].prune(X, y, policy=policy, pruning_ratio=0), X, y)
    path = Path(__file__).parent / f"saved-models-{skbandit.__version__}.pkl"
    path.write_bytes(pickle.dumps(kept, protocol=4))
    print(path.name, path.stat().st_size, "bytes")
