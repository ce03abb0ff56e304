"""Junk for every parameter of the estimators: of the constructors, and of every method.

It is refused by a ValueError or TypeError that names the parameter and is short, or it is taken; what is predicted then
is finite.
"""

import itertools

import numpy as np
import pytest
from junk import JUNK
from sklearn.neural_network import MLPClassifier, MLPRegressor
from verdicts import faults, judge

from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor
from skbandit.presets import preset_params

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

QUICK = {"hidden_layer_sizes": (4,), "n_members": 1, "max_iter": 2, "n_rounds": 1, "fine_tune_iter": 1}
QUICK |= {"random_state": 0}
PRUNING = (
    *("policy", "budget", "pruning_ratio", "tolerance", "scope", "n_rounds", "ablation", "compensate"),
    *("fine_tune_iter", "calibration", "random_state"),
)
FIELDS = ("policy__exploration", "policy__no_such", "policy__", "no_such", "hidden_layer_sizes__field")
#: What a message about a table, a target or weights mentions.
WORDS = {
    **dict.fromkeys(("X", "X_val"), ("X ", "X,", "X:", "X_val")),
    **dict.fromkeys(("y", "y_val"), ("y ", "y:", "y.", "y_val")),
    **dict.fromkeys(("sample_weight", "sample_weight_val"), ("sample_weight", "sample_weight_val")),
    "model": ("from_sklearn(model)",),
}
#: A million epochs are what was asked for; a path that is too long is the file system's to refuse; an object with a
#: cache is taken at its word.
TAKEN_AT_ITS_WORD = {
    *itertools.product(("max_iter", "fine_tune_iter"), ("2**31", "10**18")),
    *itertools.product(("memory",), ("a long text", "an object that looks right")),
}

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
NUMBERS, CLASSES = X[:, 0], (X[:, 0] > 0).astype(int)
TASKS = {"regression": (BanditPrunedMLPRegressor, NUMBERS), "classification": (BanditPrunedMLPClassifier, CLASSES)}


def make(task, **params):
    """Return a quick estimator."""
    return TASKS[task][0](**{**preset_params("plain", task), **QUICK, **params})


def constructor_calls(task):
    """Return the calls by what they give a value to."""
    y = TASKS[task][1]

    def fit(name, value):
        return make(task, **{name: value}).fit(X, y).predict(X)

    return {("__init__", name): fit for name in TASKS[task][0]().get_params(deep=False)}


def method_calls(task):
    """Return the calls of the methods by what they give a value to."""
    cls, y = TASKS[task]
    classes = {"classes": [0, 1]} if task == "classification" else {}
    fitted, mlp = make(task).fit(X, y), (MLPRegressor, MLPClassifier)[bool(classes)]
    mlp = mlp(hidden_layer_sizes=(4,), max_iter=2).fit(X, y)

    def rows(method):
        def call(name, value):
            given = {"X_val": X, "y_val": y} if name.endswith("_val") else {}
            return method(**({"X": X, "y": y} | given | {name: value}))

        return call

    data = ("X", "y", "sample_weight", "X_val", "y_val", "sample_weight_val")
    calls = {("fit", name): rows(lambda **given: make(task).fit(**given).predict(X)) for name in data}
    prune = rows(lambda **given: fitted.prune(**given).predict(X))
    path = rows(lambda **given: fitted.prune_path(**given).losses)
    for name in (*data, *PRUNING):
        calls["prune", name], calls["prune_path", name] = prune, path
    calls |= {
        ("partial_fit", name): rows(lambda **given: make(task).partial_fit(**(classes | given)).predict(X))
        for name in (*data[:3], *classes)
    }
    for method in ("predict", "predict_proba", "predict_log_proba", "score"):
        if hasattr(cls, method):
            y_too = {"y": y} if method == "score" else {}
            calls[method, "X"] = lambda _, value, m=method, more=y_too: np.array(getattr(fitted, m)(value, **more))
    for name in cls().get_params(deep=False):
        calls["from_sklearn", name] = lambda name, value: cls.from_sklearn(mlp, **{name: value}).predict(X)
        calls["from_preset", name] = lambda name, value: (
            cls.from_preset("fast", **{**QUICK, name: value}).fit(X, y).predict(X)
        )
    calls["from_sklearn", "model"] = lambda _, value: cls.from_sklearn(value).coefs_
    calls["from_preset", "preset"] = lambda _, value: [cls.from_preset(value).n_members]
    for name in FIELDS:
        calls["set_params", name] = lambda name, value: make(task).set_params(**{name: value}).fit(X, y).predict(X)
    return calls


def verdicts_of(task, calls, every=1, first=0):
    """Return what each call comes to with each piece of junk, or one in so many of them."""
    pairs = [
        (*key, call, kind)
        for (key, call), kind in itertools.product(calls.items(), JUNK)
        if (key[1], kind) not in TAKEN_AT_ITS_WORD
    ]
    chosen = np.random.default_rng(0).permutation(len(pairs))[first::every]
    found = {}
    for method, name, call, kind in map(pairs.__getitem__, chosen):
        value = JUNK[kind]()
        about = WORDS.get(name, (name.partition("__")[2] or name, "parameter ''"))
        found[task, method, name, kind] = judge(lambda call=call, name=name, value=value: call(name, value), about)
    return found


@pytest.mark.parametrize("task", TASKS)
def test_junk_in_a_constructor_is_named(task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where "x" is a folder of `memory`
    assert not faults(verdicts_of(task, constructor_calls(task), every=12))


@pytest.mark.parametrize("task", TASKS)
def test_junk_in_a_method_is_named(task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not faults(verdicts_of(task, method_calls(task), every=60))


@pytest.mark.exhaustive
@pytest.mark.parametrize("portion", range(8))
@pytest.mark.parametrize("calls", [constructor_calls, method_calls])
@pytest.mark.parametrize("task", TASKS)
def test_all_junk_is_named(task, calls, portion, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not faults(verdicts_of(task, calls(task), every=8, first=portion))
