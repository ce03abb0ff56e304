"""Functions of the package that were replaced at run time: programs that are traced from them are not kept."""

import functools
import importlib
import pkgutil
import sys
from unittest import mock

import numpy as np
import pytest

import skbandit
from skbandit._core import keys
from skbandit._core.replaced import replaced
from skbandit._tabular.training import loop
from skbandit.criteria import Bandit, Magnitude
from skbandit.policies import UCB1


def test_the_package_is_its_own():
    for module in pkgutil.walk_packages(skbandit.__path__, "skbandit."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    assert replaced() is None
    assert sum(name.startswith("skbandit.") for name in sys.modules) > 100


@pytest.mark.parametrize(
    ("owner", "name", "new"),
    [
        (Magnitude, "step", lambda self, key, state, problem, active: None),
        (Magnitude, "step", mock.DEFAULT),
        (UCB1, "index", lambda self, state: state),
        (Bandit, "label", property(lambda self: "mine")),
        (Bandit, "suggests", classmethod(lambda cls: True)),
        (loop, "_squares", lambda params: 0),
    ],
    ids=["method", "mock", "of a policy", "property", "class method", "function"],
)
def test_what_is_replaced_has_no_key(owner, name, new):
    with mock.patch.object(owner, name, new):
        assert replaced().endswith(f".{name}")
        with pytest.raises(keys.NoKeyError, match=f"{name}, which is not the one of the sources"):
            keys.describe_process()
    assert replaced() is None


def test_a_mock_with_the_signature_of_the_function_is_one():
    with mock.patch.object(Magnitude, "step", autospec=True):
        assert replaced() == "skbandit.criteria.weights.Magnitude.step"


def test_a_wrapper_of_another_package_is_one(monkeypatch):
    @functools.wraps(loop._squares)
    def counted(params):
        return np.float32(0)

    monkeypatch.setattr(loop, "_squares", counted)
    assert replaced() == "skbandit._tabular.training.loop._squares"
