"""Presets: parameters like any others."""

import inspect

import pytest
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skbandit import BanditPrunedMLPClassifier, BanditPrunedMLPRegressor
from skbandit.presets import PRESETS, param_distributions, preset_params

TASKS = {
    "regression": (BanditPrunedMLPRegressor, MLPRegressor),
    "classification": (BanditPrunedMLPClassifier, MLPClassifier),
}
EVERY_TASK = pytest.mark.parametrize("task", TASKS)


@EVERY_TASK
def test_the_constructors_defaults_are_the_preset_fast(task):
    cls, _ = TASKS[task]
    defaults = {name: p.default for name, p in inspect.signature(cls).parameters.items()}
    fast = preset_params("fast", task)
    assert {name: defaults[name] for name in fast} == fast
    assert cls.from_preset("fast").get_params() == cls().get_params()


@EVERY_TASK
def test_plain_is_what_scikit_learn_does(task):
    cls, theirs = TASKS[task]
    ours, known = cls.from_preset("plain").get_params(), theirs().get_params()
    both = ours.keys() & known.keys()
    assert len(both) > 18
    assert {name: ours[name] for name in both} == {name: known[name] for name in both}


@EVERY_TASK
def test_every_preset_sets_the_same_parameters(task):
    names = [preset_params(name, task).keys() for name in PRESETS]
    assert all(keys == names[0] for keys in names)
    # So that a search over presets leaves nothing behind of the one before.
    cls, _ = TASKS[task]
    model = cls.from_preset("strong").set_params(**preset_params("plain", task))
    assert model.get_params() == cls.from_preset("plain").get_params()


@EVERY_TASK
@pytest.mark.parametrize("name", PRESETS)
def test_get_params_and_clone_show_the_values(name, task):
    cls, _ = TASKS[task]
    model = cls.from_preset(name, budget=3, random_state=5)
    params = model.get_params()
    assert type(model) is cls
    expected = preset_params(name, task)
    assert {key: params[key] for key in expected} == expected
    assert (params["budget"], params["random_state"]) == (3, 5)
    assert clone(model).get_params() == params


@EVERY_TASK
def test_parameters_that_are_given_win(task):
    cls, _ = TASKS[task]
    assert cls.from_preset("strong", n_members=2).n_members == 2
    assert (cls.from_preset("strong").n_members, cls.from_preset("fast").n_members) == (8, 4)


def test_presets_cannot_be_changed_through_what_is_returned():
    preset_params("plain", "regression")["alpha"] = 100
    assert preset_params("plain", "regression")["alpha"] == 1e-4


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        ("stong", "regression", r"one of \['fast', 'plain', 'strong'\]. Got 'stong'"),
        ("strong", "ranking", r"one of \['classification', 'regression'\]. Got 'ranking'"),
    ],
)
def test_unknown_presets_and_tasks_are_refused(name, task, message):
    with pytest.raises(ValueError, match=message):
        preset_params(name, task)


@pytest.mark.parametrize("value", [None, 3, [], {}, "x", b"fast", {"fast"}])
def test_what_is_no_name_is_said_to_be_none(value):
    with pytest.raises(ValueError, match="The preset must be one of"):
        preset_params(value, "regression")
    for function in (param_distributions, lambda task: preset_params("fast", task)):
        with pytest.raises(ValueError, match="The task must be one of"):
            function(value)
    if not isinstance(value, str):
        with pytest.raises(ValueError, match="'prefix' parameter of param_distributions must be a string"):
            param_distributions("regression", value)
