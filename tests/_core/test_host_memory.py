import jax
import numpy as np
import pytest

from skbandit._core import memory
from skbandit._core.memory import available_memory, extended, require_memory, zeros


@pytest.mark.parametrize("shape", [(0, 3), (7,), (5, 3), (2000, 100)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_zeros_begin_where_the_device_takes_them_over(shape, dtype):
    array = zeros(shape, dtype)
    assert array.shape == shape
    assert array.dtype == dtype
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert not array.any()
    assert array.ctypes.data % memory.ALIGNMENT == 0 or array.size == 0


def test_a_large_array_is_not_copied_to_a_cpu():
    array = zeros((2000, 100), "float32")
    assert jax.device_put(array, jax.devices("cpu")[0]).unsafe_buffer_pointer() == array.ctypes.data


def test_what_does_not_fit_is_refused_with_its_shape_its_size_and_remedies(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 4 * 10**9)
    require_memory((10**5, 10**4), 10**5, "float32")  # 4 GB
    with pytest.raises(MemoryError, match=r"\(100000, 20000\) would take 8 GB as float32, and about 4 GB are.*Trunc"):
        require_memory((10**5, 2 * 10**4), 10**5, "float32")
    # With its padding it is larger.
    with pytest.raises(MemoryError, match=r"4\.4 GB"):
        require_memory((10**5, 10**4), 11 * 10**4, "float32")


def test_nothing_is_refused_where_nobody_knows(monkeypatch):
    of_the_universe = (10**9, 10**9), 10**9, "float32"
    monkeypatch.setattr(memory, "available_memory", lambda: 10**15)
    with pytest.raises(MemoryError):
        require_memory(*of_the_universe)
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    assert require_memory(*of_the_universe) is None


def test_this_machine_says_what_it_has():
    available = available_memory()
    assert available is None or 10**7 < available < 10**15


def test_the_least_that_somebody_says_counts(monkeypatch):
    for name, others in (("_of_machine", "_of_container"), ("_of_container", "_of_machine")):
        monkeypatch.setattr(memory, name, lambda: 10)
        monkeypatch.setattr(memory, others, lambda: 1000)
        assert available_memory() == 10
        monkeypatch.setattr(memory, others, lambda: None)
        assert available_memory() == 10
        monkeypatch.setattr(memory, name, lambda: None)
        assert available_memory() is None


def test_the_limit_of_a_container_counts(tmp_path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 150\n")
    assert memory._of_container(tmp_path) == 1000 - 700 + 150
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._of_container(tmp_path) is None
    assert memory._of_container(tmp_path / "elsewhere") is None


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint32"])
def test_rows_that_zeros_made_room_for_are_extended_without_a_copy(dtype):
    whole = zeros((10, 3), dtype)
    rows = whole[:7]
    rows[...] = 2
    found = extended(rows, 10)
    assert found.shape == (10, 3)
    assert found.dtype == dtype
    assert np.shares_memory(found, whole)
    np.testing.assert_array_equal(found, whole)
    assert np.shares_memory(extended(rows, 8), whole)
    assert extended(rows, 7 + 100) is None  # there is no such room


def test_rows_behind_which_something_is_written_are_not_extended():
    whole = zeros((10, 3), "float32")
    whole[9, 2] = 1
    assert extended(whole[:7], 9) is not None
    assert extended(whole[:7], 10) is None


def test_other_arrays_are_not_extended():
    whole = np.zeros((10, 16), "float32")
    for array in (
        whole[:7],
        np.zeros((7, 3)),
        whole[:7, :3],
        zeros((10, 16), "float32")[::2],
        np.asfortranarray(whole),
    ):
        assert extended(array, 10) is None
    # It begins where a device would have to copy it.
    assert extended(zeros((10, 3), "float32")[1:7], 9) is None
