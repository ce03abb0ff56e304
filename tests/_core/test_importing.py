"""The garbage collector rests while modules are imported."""

import gc

import pytest

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
