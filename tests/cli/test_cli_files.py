"""What ``--out`` names is written whole, or stays what it was."""

import errno
import os
import stat
import subprocess
import sys
import tempfile
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
def test_a_disk_that_is_full_leaves_what_was_there(there, tmp_path, full_disk):
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
    if what == "file":
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
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"the model in use"] * (what == "file")


# --- what can be written to, and not replaced -------------------------------------------------------------------------


@pytest.fixture
def in_use(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"the model in use" * 100)  # longer than the content
    return path


def assert_written_in_place(path, before):
    assert path.read_bytes() == CONTENT
    assert os.path.samestat(os.stat(path), before)
    found = os.stat(path)
    assert (found.st_uid, found.st_gid, found.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    assert list(path.parent.iterdir()) == [path]


def refuse_with(monkeypatch, name, number):
    def refuse(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, name, refuse)


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EPERM, errno.EACCES, errno.EXDEV])
def test_a_file_that_cannot_be_replaced_is_written_in_place(number, in_use, monkeypatch):
    before = os.stat(in_use)
    refuse_with(monkeypatch, "replace", number)
    assert can_be_written(in_use)
    write_whole(in_use, CONTENT)
    assert_written_in_place(in_use, before)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_is_no_reason_to_write_in_place(number, in_use, monkeypatch):
    refuse_with(monkeypatch, "replace", number)
    with pytest.raises(OSError, match=os.strerror(number)):
        write_whole(in_use, CONTENT)
    assert in_use.read_bytes() == b"the model in use" * 100
    assert list(in_use.parent.iterdir()) == [in_use]


@POSIX
@pytest.mark.parametrize("number", [errno.EPERM, errno.EINVAL])
def test_a_file_whose_group_cannot_be_kept_is_written_in_place(number, in_use, monkeypatch):
    groups = [group for group in (os.getgroups() if os.geteuid() else [500]) if group != os.stat(in_use).st_gid]
    if not groups:
        pytest.skip("this user is in one group alone")
    os.chown(in_use, -1, groups[0])
    in_use.chmod(0o660)
    before = os.stat(in_use)
    refuse_with(monkeypatch, "chown", number)
    write_whole(in_use, CONTENT)
    assert_written_in_place(in_use, before)


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="this system has no such attributes")
def test_a_file_keeps_its_attributes_and_is_as_new_as_its_content(in_use):
    try:
        os.setxattr(in_use, "user.model", b"7")
    except OSError:
        pytest.skip("this file system has none")
    os.utime(in_use, (1, 1))
    write_whole(in_use, CONTENT)
    assert os.getxattr(in_use, "user.model") == b"7"
    assert os.stat(in_use).st_mtime > 1


@POSIX
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_in_a_folder_that_is_closed_is_written_in_place(in_use):
    before = os.stat(in_use)
    in_use.parent.chmod(0o500)
    try:
        assert can_be_written(in_use)
        write_whole(in_use, CONTENT)
    finally:
        in_use.parent.chmod(0o700)
    assert_written_in_place(in_use, before)


@POSIX
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="root alone can become another user")
@pytest.mark.parametrize(("owner", "folder", "file"), [(12345, 0o775, 0o660), (0, 0o1777, 0o666), (0, 0o755, 0o666)])
def test_a_file_of_another_user_stays_theirs(owner, folder, file):
    with tempfile.TemporaryDirectory() as name:  # the folders of pytest are closed
        path = Path(name, "model.pkl")
        path.write_bytes(b"the model in use" * 100)
        for given, mode in ((name, folder), (path, file)):
            os.chown(given, owner, 500)
            os.chmod(given, mode)
        before, groups = os.stat(path), os.getgroups()
        try:
            os.setgroups([500])
            os.setegid(12346)
            os.seteuid(12346)
            write_whole(path, CONTENT)
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)
        assert_written_in_place(path, before)


@POSIX
def test_a_file_that_is_mounted_is_written_in_place(in_use, tmp_path):
    (tmp_path / "other").mkdir()
    mounted = tmp_path / "other" / "mounted.pkl"
    mounted.write_bytes(b"")
    code = (
        "import sys; from pathlib import Path; from skbandit.cli.files import can_be_written, write_whole;"
        "path = Path(sys.argv[1]); assert can_be_written(path); write_whole(path, b'the model')"
    )
    mount = ["unshare", "-rm", "sh", "-c", 'mount --bind "$1" "$2" || exit 99; exec "$3" -c "$4" "$2"', "sh"]
    try:
        done = subprocess.run([*mount, in_use, mounted, sys.executable, code], capture_output=True, text=True)
    except OSError:
        pytest.skip("this system has no such command")
    if done.returncode == 99 or done.stderr.startswith("unshare"):
        pytest.skip("this user may mount nothing")
    assert done.returncode == 0, done.stderr
    assert in_use.read_bytes() == b"the model"
    assert list(mounted.parent.iterdir()) == [mounted]
