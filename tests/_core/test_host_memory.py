import jax
import pytest

from skbandit._core import memory
from skbandit._core.memory import available_memory, require_memory, zeros


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
