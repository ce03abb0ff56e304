"""What `memory=` keeps: read as it was written, or trained anew; and what becomes of a training that joblib fails."""

import pickle
import threading
from pathlib import Path

import joblib
import numpy as np
import pytest
from joblib._store_backends import CacheWarning

from skbandit._tabular.types import Ending, Network, Trained
from skbandit.estimators._memory import remembered
from skbandit.estimators._notes import Notes

TASK = (np.arange(6.0).reshape(2, 3), "adam", 0)


def trained(value=1.0, status=Ending.CONVERGED):
    layers = ((np.full((3, 2), value), np.zeros(2)), (np.full((2, 1), value), np.zeros(1)))
    return Trained(Network({}, layers), [np.zeros(3)], [0.5, 0.25], None, 0.25, 2, status)


class Trainer:
    """Counts how often it is called."""

    def __init__(self, result=None, error=None):
        self.result, self.error, self.n = result or trained(), error, 0

    def __call__(self):
        self.n += 1
        if self.error is not None:
            raise self.error
        return self.result


def ask(memory, trainer, task=TASK):
    """Return what comes back, and what is noted."""
    notes = Notes()
    found = remembered(memory, task, trainer, notes)
    return found, [note.text for note in notes.notes]


def same(a, b):
    return pickle.dumps(a) == pickle.dumps(b)


def entries(folder):
    return sorted(Path(folder).rglob("output.pkl"))


def new_process(tmp_path):
    """Forget, as a new process has, which functions joblib has seen."""
    joblib.Memory(str(tmp_path / "other"), verbose=0).clear(warn=False)


@pytest.fixture
def store(tmp_path):
    new_process(tmp_path)
    return str(tmp_path / "store")


def test_the_second_time_nothing_is_trained(store):
    trainer = Trainer()
    first, second = ask(store, trainer), ask(store, trainer)
    assert trainer.n == 1
    assert first[1] == second[1] == []
    assert same(first[0], second[0])


def test_another_task_is_another_entry(store):
    ask(store, Trainer(trained(1.0)))
    other = ask(store, Trainer(trained(2.0)), (*TASK, 1))
    assert same(other[0], trained(2.0))
    assert len(entries(store)) == 2


def test_rows_of_a_memory_map_are_the_same_rows(store, tmp_path):
    np.save(tmp_path / "rows.npy", TASK[0])
    trainer = Trainer()
    for rows in (TASK[0], np.load(tmp_path / "rows.npy", mmap_mode="r")):
        ask(store, trainer, (rows, *TASK[1:]))
    assert trainer.n == 1


@pytest.mark.parametrize("path", [str, Path, lambda path: joblib.Memory(path, verbose=0)])
def test_a_folder_is_given_in_any_form(path, store):
    trainer = Trainer()
    for _ in range(2):
        ask(path(store), trainer)
    ask(store, trainer)
    assert trainer.n == 1


@pytest.mark.parametrize(
    "options", [{"mmap_mode": "r"}, {"mmap_mode": "r+"}, {"compress": 3}, {"compress": ("gzip", 3)}]
)
def test_the_network_is_the_same_whatever_the_options_of_the_memory(options, store):
    memory, trainer = joblib.Memory(store, verbose=0, **options), Trainer()
    for _ in range(2):
        found, notes = ask(memory, trainer)
        assert same(found, trained())
        assert notes == []
        assert not any(isinstance(array, np.memmap) for layer in found.network.layers for array in layer)
    assert trainer.n == 1


def test_a_memory_that_keeps_nothing_trains_each_time():
    trainer = Trainer()
    for _ in range(2):
        assert ask(joblib.Memory(None), trainer) == (trainer.result, [])
    assert trainer.n == 2


def test_a_memory_that_talks_says_nothing_of_the_rows(store, capsys):
    for _ in range(2):
        ask(joblib.Memory(store, verbose=50), Trainer())
    said = capsys.readouterr().out
    assert "sealed_network" in said
    assert "array" not in said


@pytest.mark.parametrize("status", [Ending.INTERRUPTED, Ending.STOPPED])
def test_a_training_that_did_not_end_by_itself_is_used_and_not_kept(status, store):
    unfinished = trained(status=status)
    assert ask(store, Trainer(unfinished)) == (unfinished, [])
    assert entries(store) == []
    trainer = Trainer()
    ask(store, trainer)
    assert trainer.n == 1


@pytest.mark.parametrize("error", [ValueError("of the data"), OSError("of the data"), KeyboardInterrupt()])
def test_an_error_of_the_training_is_raised_and_nothing_is_trained_twice(error, store):
    trainer = Trainer(error=error)
    with pytest.raises(type(error)) as raised:
        ask(store, trainer)
    assert raised.value is error
    assert trainer.n == 1


# --- damaged entries ------------------------------------------------------------------------------------------------


def flipped(old):
    """The same, but for a bit of the last weight."""
    return bytes([*old[:-80], old[-80] ^ 1, *old[-79:]])


DAMAGES = {
    "cut": lambda old: old[: len(old) // 2],
    "empty": lambda old: b"",
    "noise": lambda old: np.random.default_rng(0).bytes(500),
    "a flipped bit": flipped,
    "another object": lambda old: pickle.dumps({"a": 1}),
    "a network, unsealed": lambda old: pickle.dumps(trained()),
    "bytes without a seal": lambda old: pickle.dumps(b"short"),
    "a name that is no more": lambda old: b"cskbandit.estimators._memory\nGone\n.",
    "a module that is no more": lambda old: b"cskbandit.gone\nGone\n.",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_trained_anew_and_replaced(damage, store, caplog):
    ask(store, Trainer())
    (path,) = entries(store)
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    trainer = Trainer()
    found, notes = ask(store, trainer)
    assert same(found, trained())
    assert trainer.n == 1
    # Either joblib says so, or we do.
    assert len(notes) + len(caplog.records) == 1
    assert all("'memory' holds an entry that is damaged" in note for note in notes)
    assert all("Exception while loading" in record.message for record in caplog.records)
    again, notes = ask(store, trainer)
    assert trainer.n == 1
    assert same(again, trained())
    assert notes == []


def test_the_entry_of_another_network_is_refused(store):
    ask(store, Trainer(trained(1.0)))
    (first,) = entries(store)
    ask(store, Trainer(trained(2.0)), (*TASK, 1))
    (second,) = set(entries(store)) - {first}
    second.write_bytes(first.read_bytes())
    found, notes = ask(store, Trainer(trained(2.0)), (*TASK, 1))
    assert same(found, trained(2.0))
    assert len(notes) == 1


def test_a_network_of_another_version_is_trained_anew(store, monkeypatch):
    ask(store, Trainer())
    monkeypatch.setattr("skbandit.estimators._memory._versions", lambda: ("0.0.1",))
    trainer = Trainer()
    assert ask(store, trainer)[1] == []
    assert trainer.n == 1


@pytest.mark.filterwarnings("ignore::joblib.memory.JobLibCollisionWarning")
@pytest.mark.parametrize("content", [b"\xff\xfe", b"# first line: \n", b"", None])
def test_what_joblib_keeps_of_the_source_may_be_damaged(content, store, tmp_path):
    ask(store, Trainer())
    (path,) = Path(store).rglob("func_code.py")
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    new_process(tmp_path)
    trainer = Trainer()
    for _ in range(2):
        assert same(ask(store, trainer)[0], trained())
    assert trainer.n == 1


def test_a_folder_in_place_of_an_entry_costs_the_cache_only(store):
    ask(store, Trainer())
    (path,) = entries(store)
    path.unlink()
    path.mkdir()
    trainer = Trainer()
    with pytest.warns(CacheWarning, match="Unable to cache"):
        found, _ = ask(store, trainer)
    assert same(found, trained())
    assert trainer.n == 1


# --- a cache that fails ---------------------------------------------------------------------------------------------


def test_a_folder_that_cannot_be_made_costs_the_cache_only(tmp_path):
    (tmp_path / "file").write_text("")
    trainer = Trainer()
    found, (note,) = ask(str(tmp_path / "file"), trainer)
    assert same(found, trained())
    assert trainer.n == 1
    assert "'memory' cannot keep this network, and the fit goes on without it: " in note


@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_an_entry_that_cannot_be_written_costs_the_cache_only(mmap_mode, store, full_disk):
    memory = joblib.Memory(store, verbose=0, mmap_mode=mmap_mode)
    ask(memory, Trainer(), (*TASK, 1))
    with pytest.warns(CacheWarning, match="Unable to cache"), full_disk():
        found, notes = ask(memory, trainer := Trainer())
    assert same(found, trained())
    assert trainer.n == 1
    # With a memory map, joblib reads what it has not written.
    assert len(notes) == (mmap_mode is not None)


def test_a_disk_that_is_full_from_the_start_costs_the_cache_only(store, full_disk):
    with full_disk():
        found, (note,) = ask(store, trainer := Trainer())
    assert same(found, trained())
    assert trainer.n == 1
    assert "File too large" in note


def test_an_entry_that_another_process_evicts_costs_nothing(store):
    memory = joblib.Memory(store, verbose=0, mmap_mode="r")
    persist = memory.store_backend.store_metadata

    def evict(*args):  # between write and read
        persist(*args)
        memory.reduce_size(items_limit=0)

    memory.store_backend.store_metadata = evict
    found, _ = ask(memory, trainer := Trainer())
    assert same(found, trained())
    assert trainer.n == 1


def test_a_folder_that_is_removed_during_training_costs_nothing(store):
    class Removed(Trainer):
        def __call__(self):
            joblib.Memory(store, verbose=0).clear(warn=False)
            return super().__call__()

    found, notes = ask(store, trainer := Removed())
    assert same(found, trained())
    assert trainer.n == 1
    assert notes == []


def test_a_memory_of_the_users_own_may_fail_in_its_own_way():
    class Own:
        def cache(self, function, ignore=None):
            def cached(*args, **kwargs):
                function(*args, **kwargs)
                raise KeyError("lost")

            return cached

    found, (note,) = ask(Own(), trainer := Trainer())
    assert found is trainer.result
    assert trainer.n == 1
    assert "lost" in note


def test_threads_share_a_cache(store):
    found = []
    threads = [threading.Thread(target=lambda: found.append(ask(store, Trainer())[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(one, trained()) for one in found)
    assert len(found) == 8
