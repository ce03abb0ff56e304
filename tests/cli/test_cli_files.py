"""What ``--out`` names is written whole, or stays what it was."""

import contextlib
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from skbandit.cli import report
from skbandit.cli.files import can_be_written, write_whole
from skbandit.cli.table import InputError

POSIX = pytest.mark.skipif(os.name != "posix", reason="permissions, pipes and limits of POSIX")
CONTENT = bytes(range(256)) * 4


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@contextlib.contextmanager
def full_disk():
    """Let no file grow beyond 100 bytes."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_new_file_has_the_content_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / ("m" * 255)
    write_whole(path, CONTENT)
    assert path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [path]


@POSIX
@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_permissions_of_the_umask(umask, expected, tmp_path):
    before = os.umask(umask)
    try:
        write_whole(tmp_path / "model.pkl", CONTENT)
    finally:
        os.umask(before)
    assert mode(tmp_path / "model.pkl") == expected


@POSIX
@pytest.mark.parametrize("kept", [0o600, 0o640, 0o666])
def test_a_file_that_is_there_keeps_its_permissions(kept, tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"the model in use")
    path.chmod(kept)
    write_whole(path, CONTENT)
    assert path.read_bytes() == CONTENT
    assert mode(path) == kept


@POSIX
@pytest.mark.parametrize("there", [True, False])
def test_a_disk_that_is_full_leaves_what_was_there(there, tmp_path):
    path = tmp_path / "model.pkl"
    if there:
        path.write_bytes(b"the model in use")
    with full_disk(), pytest.raises(InputError, match=r"model\.pkl: File too large"):
        report.save(CONTENT, path)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"the model in use"] * there


def test_an_interrupt_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"the model in use")

    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, CONTENT)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"the model in use"]


@POSIX
@pytest.mark.parametrize("there", [True, False])
def test_a_link_goes_on_to_point_to_the_file(there, tmp_path):
    (tmp_path / "models").mkdir()
    target, link = tmp_path / "models" / "1.pkl", tmp_path / "model.pkl"
    if there:
        target.write_bytes(b"the model in use")
    link.symlink_to(Path("models", "1.pkl"))
    write_whole(link, CONTENT)
    assert link.is_symlink()
    assert target.read_bytes() == CONTENT
    assert sorted(tmp_path.rglob("*")) == [link, target.parent, target]


@POSIX
def test_a_circle_of_links_is_refused(tmp_path):
    path = tmp_path / "model.pkl"
    path.symlink_to(path)
    with pytest.raises(InputError, match="symbolic links"):
        report.save(CONTENT, path)


@POSIX
def test_a_pipe_is_written_to(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read = []
    thread = threading.Thread(target=lambda: read.append(path.read_bytes()))
    thread.start()
    write_whole(path, CONTENT)
    thread.join(30)
    assert read == [CONTENT]
    assert stat.S_ISFIFO(os.stat(path).st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no such device")
def test_a_device_that_is_full_says_so():
    with pytest.raises(InputError, match="/dev/full: No space left on device"):
        report.save(CONTENT, Path("/dev/full"))
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="this system has no such device")
@pytest.mark.parametrize("into", ["pipe", "file"])
def test_standard_output_is_written_to(into, tmp_path):
    code = (
        "import sys; from pathlib import Path; from skbandit.cli.files import can_be_written, write_whole;"
        "path = Path('/dev/stdout'); assert can_be_written(path); write_whole(path, b'the model')"
    )
    with open(tmp_path / "out", "wb") as file:
        out = subprocess.PIPE if into == "pipe" else file
        done = subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (done.stdout or (tmp_path / "out").read_bytes()) == b"the model"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@POSIX
def test_a_file_without_a_name_is_written_to(tmp_path):
    with open(tmp_path / "gone", "w+b") as file:
        path = Path(f"/proc/self/fd/{file.fileno()}")
        if not path.exists():
            pytest.skip("this system has no such names")
        (tmp_path / "gone").unlink()
        write_whole(path, CONTENT)
        file.seek(0)
        assert file.read() == CONTENT
    assert list(tmp_path.iterdir()) == []


@POSIX
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_may_not_be_written_to_is_refused_before_the_work(what, tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"the model in use")
    (path if what == "file" else tmp_path).chmod(0o500)
    try:
        assert not can_be_written(path)
        with pytest.raises(InputError, match="no permission to write what --out names"):
            report.check_out(path)
        with pytest.raises(InputError, match="Permission denied"):
            report.save(CONTENT, path)
    finally:
        tmp_path.chmod(0o700)
    assert path.read_bytes() == b"the model in use"
