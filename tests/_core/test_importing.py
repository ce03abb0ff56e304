"""The garbage collector rests while modules are imported, and while a function is traced."""

import gc

import jax
import numpy as np
import pytest

from skbandit._core import programs
from skbandit._core.imports import importing


@pytest.fixture(params=[True, False])
def was_on(request):
    before = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if before else gc.disable)()


def test_the_collector_rests_within_and_is_then_what_it_was(was_on):
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled() == was_on


def test_it_is_what_it_was_after_an_import_that_fails(was_on):
    with pytest.raises(ImportError), importing():
        raise ImportError
    assert gc.isenabled() == was_on


def test_it_rests_while_a_function_is_traced_whether_it_ends_well_or_not(was_on, monkeypatch):
    monkeypatch.setattr(programs, "_jitted", [])
    seen = []

    @programs.compiled()
    def function(x):
        seen.append(gc.isenabled())
        return x / len(x)

    function(np.ones(2))
    with pytest.raises(TypeError):
        function(1.0)
    with jax.disable_jit():  # each call of it runs: it may take long
        function(np.ones(2))
    assert seen == [False, False, was_on]
    assert gc.isenabled() == was_on
