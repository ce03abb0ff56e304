"""Programs on disk: what is found is what was kept under the same key, by this user; anything else is nothing."""

import os
import random
import stat
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from skbandit._core import private, store

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="there is no store on this system")

NAME, KEY, PROGRAM = "skbandit.a.module:function", "all that it depends on: é", bytes(range(256)) * 20


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "programs"
    made.mkdir(mode=0o700)
    return str(made)


@pytest.fixture
def kept(folder):
    """The path of a file that holds a program."""
    store.keep(folder, NAME, KEY, PROGRAM)
    (path,) = os.scandir(folder)
    return path.path


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def test_what_is_kept_is_found_under_its_key_alone(folder, kept):
    assert store.load(folder, NAME, KEY) == PROGRAM
    assert store.load(folder, NAME, KEY + " ") is None
    assert store.load(folder, "another", KEY) is None
    assert "skbandit_a_module_function" in kept
    assert stat.S_IMODE(os.stat(kept).st_mode) == 0o600


def test_a_file_is_for_its_user_alone_whatever_the_umask(folder):
    before = os.umask(0)
    try:
        store.keep(folder, NAME, KEY, PROGRAM)
    finally:
        os.umask(before)
    (path,) = os.scandir(folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("n", [300, pytest.param(20_000, marks=pytest.mark.exhaustive)])
def test_a_damaged_file_is_none(n, folder, kept):
    draw = random.Random(n)
    with open(kept, "rb") as file:
        content = file.read()
    for _ in range(n):
        damaged = bytearray(content)
        how = draw.choice(["cut", "longer", "flipped", "zeros", "noise", "empty", "moved"])
        at = draw.randrange(len(content))
        match how:
            case "cut":
                del damaged[at:]
            case "longer":
                damaged += draw.randbytes(draw.randint(1, 50))
            case "flipped":
                damaged[at] ^= 1 << draw.randrange(8)
            case "zeros":
                length = min(draw.randint(1, 200), len(content) - at)
                damaged[at : at + length] = bytes(length)
            case "noise":
                damaged = bytearray(draw.randbytes(at))
            case "empty":
                damaged = bytearray()
            case "moved":
                del damaged[at : at + draw.randint(1, 9)]
        write(kept, damaged)
        expected = PROGRAM if damaged == content else None
        assert store.load(folder, NAME, KEY) == expected, (how, at)


def test_the_file_of_another_key_in_the_place_is_none(folder, kept):
    """As a collision of digests, or a hand, would put it there."""
    store.keep(folder, NAME, "another key", b"another program")
    (other,) = (name for name in os.listdir(folder) if name != os.path.basename(kept))
    os.replace(os.path.join(folder, other), kept)
    assert store.load(folder, NAME, KEY) is None


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_to_is_none(mode, folder, kept):
    os.chmod(kept, mode)
    assert store.load(folder, NAME, KEY) is None


@pytest.mark.parametrize("what", ["link", "pipe", "folder"])
def test_what_is_no_regular_file_is_none(what, folder, kept, tmp_path):
    os.replace(kept, tmp_path / "elsewhere")
    match what:
        case "link":
            os.symlink(tmp_path / "elsewhere", kept)
        case "pipe":
            os.mkfifo(kept)
        case "folder":
            os.mkdir(kept)
    assert store.load(folder, NAME, KEY) is None
    store.keep(folder, NAME, KEY, PROGRAM)  # does not raise; a folder stays in the way
    assert store.load(folder, NAME, KEY) == (None if what == "folder" else PROGRAM)


def test_a_file_of_another_user_is_none(folder, kept, monkeypatch):
    if os.geteuid() == 0:
        os.chown(kept, 12345, -1)
        assert store.load(folder, NAME, KEY) is None
        os.chown(kept, 0, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        assert store.load(folder, NAME, KEY) is None
        monkeypatch.undo()
    assert store.load(folder, NAME, KEY) == PROGRAM


def test_a_folder_that_is_gone_or_full_costs_nothing(folder, kept, full_disk):
    with full_disk():
        store.keep(folder, NAME, "another key", PROGRAM)
    assert [entry.path for entry in os.scandir(folder)] == [kept]  # nothing is left of the draft
    os.unlink(kept)
    os.rmdir(folder)
    store.keep(folder, NAME, KEY, PROGRAM)
    assert store.load(folder, NAME, KEY) is None


def test_what_was_used_longest_ago_is_removed_where_there_are_too_many_bytes(folder, monkeypatch):
    now, paths = time.time(), []
    for i in range(8):
        before = set(os.listdir(folder))
        store.keep(folder, NAME, f"key {i}", random.Random(i).randbytes(1000))
        (name,) = set(os.listdir(folder)) - before
        paths.append(os.path.join(folder, name))
    for i, path in enumerate(paths):
        os.utime(path, (now, now - 9000 + (0 if i == 7 else 10 * i + 10)))  # the last is the oldest
    total = sum(map(os.path.getsize, paths))
    monkeypatch.setattr(store, "MOST_BYTES", total)
    monkeypatch.setattr(store, "_KEPT_BYTES", total * 3 // 4)
    store.keep(folder, NAME, "key 8", random.Random(8).randbytes(1000))
    left = [i for i in range(9) if store.load(folder, NAME, f"key {i}") is not None]
    assert left == [2, 3, 4, 5, 6, 8]
    assert sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)) <= store._KEPT_BYTES


def test_a_use_is_noted_once_a_day(folder, kept):
    long_ago, lately = time.time() - 2 * store._NOTED, time.time() - store._NOTED / 2
    for was, noted in ((long_ago, True), (lately, False)):
        os.utime(kept, (was, was))
        assert store.load(folder, NAME, KEY) == PROGRAM
        assert (os.stat(kept).st_mtime > was + 1) == noted


def test_what_is_removed_is_gone_and_may_be_gone_before(folder, kept):
    for _ in range(2):
        store.remove(folder, NAME, KEY)
        assert os.listdir(folder) == []


def test_drafts_of_processes_that_are_gone_are_removed(folder, kept):
    old, new = (os.path.join(folder, f"{store._DRAFT}{name}") for name in ("old", "new"))
    for path in (old, new):
        write(path, b"half a program")
    os.utime(old, (0, 0))
    store.keep(folder, NAME, "another key", PROGRAM)
    assert not os.path.exists(old)
    assert os.path.exists(new)


WRITE_AND_READ = """
import sys
from skbandit._core import store
folder, n = sys.argv[1], int(sys.argv[2])
for i in range(n):
    key, program = f"key {i % 5}", bytes([i % 5]) * 100_000
    store.keep(folder, "name", key, program)
    assert store.load(folder, "name", key) == program
print("done")
"""


def test_processes_share_a_folder_without_locks(folder):
    command = [sys.executable, "-W", "error", "-c", WRITE_AND_READ, folder, "200"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60)[0] for process in processes] == ["done\n"] * 3
    assert len(os.listdir(folder)) == 5


# --- which folder ---------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(own_store, monkeypatch):
    """Return a function from the variable's value, None for none, to the folder that a process finds."""
    monkeypatch.setattr(store, "_chosen", None)
    monkeypatch.setattr(store, "_has_warned", False)

    def ask(value):
        if value is None:
            monkeypatch.delenv(store.VARIABLE, raising=False)
        else:
            monkeypatch.setenv(store.VARIABLE, str(value))
        store.where.cache_clear()
        return store.where()

    return ask


def test_the_default_is_a_folder_of_the_user_alone(asked, tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    made = tmp_path / ".cache" / "skbandit" / "programs"
    for value in (None, "", " ", "1", " 1", "on", "True"):
        assert asked(value) == str(made)
    for path in (made, *list(made.parents)[:2]):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


@pytest.mark.parametrize("value", ["0", "off", "False", "no", " 0", "none", "Disabled", "0 "])
def test_the_variable_switches_it_off(value, asked, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert asked(value) is None
    assert list(tmp_path.iterdir()) == []


def test_the_variable_names_another_folder(asked, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for value in (tmp_path / "mine", f" {tmp_path}/mine\n", "~/mine", "$HOME/mine", "${HOME}/mine", "./mine", "mine/"):
        assert asked(value) == str(tmp_path / "mine" / store.SUBFOLDER)


def test_a_home_that_is_not_there_is_not_made(asked, tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for home in (tmp_path / "none", "relative", "/dev/null"):
        monkeypatch.setenv("HOME", str(home))
        assert asked(None) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["a\0b", "/dev/null", "/proc/none"])
def test_a_chosen_folder_that_cannot_be_is_none_and_a_warning_says_so_once(value, asked, monkeypatch):
    monkeypatch.setattr(store, "_chosen", value)
    store.where.cache_clear()
    with pytest.warns(RuntimeWarning, match="cannot be used"):
        assert store.where() is None
    store.where.cache_clear()
    assert store.where() is None  # warnings are errors in tests


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_folder_that_is_named_and_refused_is_named_in_a_warning(mode, asked, tmp_path):
    made = asked(tmp_path / "mine")
    os.chmod(made, mode)
    with pytest.warns(RuntimeWarning) as warned:
        assert asked(tmp_path / "mine") is None
    (said,) = (str(warning.message) for warning in warned)
    assert repr(made) in said
    assert store.VARIABLE in said
    assert f"may be written to by others (mode {mode:#o})" in said
    assert asked(tmp_path / "mine") is None  # and no second one


def test_a_relative_folder_where_the_working_directory_is_gone_is_named_in_a_warning(asked, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.warns(RuntimeWarning, match="'mine/skbandit-programs'.*cannot be used"):
        assert asked("mine") is None


def test_threads_are_warned_once(asked):
    with warnings.catch_warnings(record=True) as warned, ThreadPoolExecutor(8) as pool:
        warnings.simplefilter("always")
        assert set(pool.map(lambda _: asked("/dev/null"), range(40))) == {None}
    assert len(warned) == 1


@pytest.mark.parametrize("mode", [0o777, 0o770])
@pytest.mark.parametrize("which", ["folder", "above"])
def test_a_folder_that_others_may_write_to_is_passed_over_without_a_word(mode, which, asked, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "above"))
    made = asked(None)
    os.chmod(made if which == "folder" else tmp_path / "above", mode)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert asked(None) is None


def test_a_folder_of_another_user_is_passed_over(asked, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = asked(None)
    if os.geteuid() == 0:
        os.chown(made, 12345, -1)
    else:
        read = private._check_owner
        monkeypatch.setattr(
            private, "_check_owner", lambda f, p, s: read(f, p, os.stat_result([*s[:4], 12345, *s[5:]]))
        )
    assert asked(None) is None


def test_a_folder_that_cannot_be_written_to_is_read(asked, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = asked(None)
    store.keep(made, NAME, KEY, PROGRAM)
    os.chmod(made, 0o500)
    try:
        assert asked(None) == made
        assert store.load(made, NAME, KEY) == PROGRAM
        monkeypatch.setattr(store.tempfile, "mkstemp", refuse)  # root may write everywhere
        store.keep(made, NAME, "another key", PROGRAM)
    finally:
        os.chmod(made, 0o700)
    assert len(os.listdir(made)) == 1


def refuse(**_):
    raise OSError(30, "Read-only file system")


def test_a_folder_that_is_chosen_is_that_of_processes_started_later(own_store, tmp_path):
    assert own_store(tmp_path) == str(tmp_path / store.SUBFOLDER)
    ask = "from skbandit._core import store; print(store.where())"
    for folder, found in ((tmp_path, str(tmp_path / store.SUBFOLDER)), ("", "None")):
        own_store(folder)
        done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == found


def test_there_is_none_where_nothing_tells_whose_a_folder_is(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert asked(tmp_path) is None


def test_a_file_that_is_larger_than_all_may_be_is_not_read(folder):
    store.keep(folder, NAME, KEY, PROGRAM)
    (name,) = os.listdir(folder)
    os.truncate(os.path.join(folder, name), store.MOST_BYTES + 1)  # of holes: it takes no room
    assert store.load(folder, NAME, KEY) is None
