"""A cache of programs, which are executed: only this user, and root, can have placed them."""

import os
import stat

import pytest

from skbandit._core import private
from skbandit._core.private import make_private

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system has no such permissions")

REFUSED = "must belong to this user, and no one else may write to it or rename what is on the way to it"


@pytest.fixture
def base(tmp_path):
    """A folder that no one else may enter."""
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def give_away(monkeypatch):
    """Make a path another user's; where that takes root, have the check read so of this path alone."""
    given, read = [], private._check_owner

    def check_owner(folder, path, found):
        if any(os.path.samestat(found, one) for one in given):
            found = os.stat_result([*found[:4], os.geteuid() + 1, *found[5:]])
        read(folder, path, found)

    def give(path):
        if os.geteuid() == 0:
            os.chown(path, 12345, -1, follow_symlinks=False)
        else:
            given.append(os.lstat(path))
            monkeypatch.setattr(private, "_check_owner", check_owner)

    return give


def folder(path, mode=0o700):
    path.mkdir()
    path.chmod(mode)
    return path


def file(path, mode=0o600):
    path.write_bytes(b"a program")
    path.chmod(mode)
    return path


def assert_refused(path, named, reason):
    with pytest.raises(PermissionError, match=REFUSED) as error:
        make_private(str(path))
    said = str(error.value)
    assert reason in said
    assert "Give another 'path', or " in said
    assert (repr(str(named)) if named != path else "But it ") in said


def test_a_new_folder_is_this_users_alone_whatever_the_umask(base):
    before = os.umask(0)
    try:
        make_private(str(base / "a" / "b"))
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (base / "a", base / "a" / "b")] == [0o700] * 2
    make_private(str(base / "a" / "b"))  # the second time it is there


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o722, 0o1777])
def test_a_folder_that_others_may_write_to_is_refused_with_the_mode(mode, base):
    cache = folder(base / "cache", mode)
    assert_refused(cache, cache, f"may be written to by others (mode {mode:#o})")


@pytest.mark.parametrize("mode", [0o777, 0o775])
@pytest.mark.parametrize("there", [True, False])
def test_a_folder_below_one_that_others_may_write_to_is_refused(mode, there, base):
    above = folder(base / "above")
    cache = above / "a" / "cache"
    if there:
        make_private(str(cache))
    above.chmod(mode)
    assert_refused(cache, above, f"may be written to by others (mode {mode:#o})")
    assert cache.exists() == there  # nothing is made where others may write


def test_a_folder_below_one_that_others_may_write_to_but_not_rename_in_is_taken(base):
    cache = folder(base / "above", 0o1777) / "cache"
    make_private(str(cache))
    make_private(str(cache))
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def test_a_folder_that_others_may_read_is_taken(base):
    cache = folder(base / "cache", 0o755)
    kept = file(cache / "jit_f-cache", 0o644)
    make_private(str(cache))
    assert list(cache.iterdir()) == [kept]
    assert stat.S_IMODE(cache.stat().st_mode) == 0o755  # as the user has it


@pytest.mark.parametrize("what", ["cache", "above", "file", "nested", "link"])
def test_what_belongs_to_another_user_is_refused(what, base, give_away):
    above = folder(base / "above")
    cache = folder(above / "cache")
    nested = folder(cache / "nested")
    paths = {"cache": cache, "above": above, "file": file(nested / "jit_f-cache"), "nested": nested}
    paths["link"] = base / "link"
    paths["link"].symlink_to(cache)
    make_private(str(paths["link"]))
    give_away(paths[what])
    with pytest.raises(PermissionError, match="belongs to another user"):
        make_private(str(paths["link"]))


@pytest.mark.parametrize("below", ["", "nested"])
@pytest.mark.parametrize("mode", [0o666, 0o606])
def test_a_file_that_everyone_may_have_written_is_refused(mode, below, base):
    cache = folder(base / "cache")
    place = folder(cache / below) if below else cache
    planted = file(place / "jit_f-cache", mode)
    assert_refused(cache, planted, f"may be written to by others (mode {mode:#o})")


def test_files_that_the_group_may_write_to_are_taken_where_the_group_cannot_get_at_them(base):
    cache = folder(base / "cache", 0o700)
    file(folder(cache / "nested", 0o775) / "a", 0o664)
    planted = file(cache / "jit_f-cache", 0o664)
    make_private(str(cache))
    (cache / "nested").chmod(0o700)
    (cache / "nested" / "a").chmod(0o600)
    cache.chmod(0o750)
    assert_refused(cache, planted, "may be written to by others (mode 0o664)")


@pytest.mark.parametrize("what", ["link", "pipe"])
def test_what_is_no_regular_file_is_refused(what, base):
    cache, planted = folder(base / "cache"), base / "cache" / "jit_f-cache"
    if what == "link":
        planted.symlink_to(file(base / "elsewhere"))
    else:
        os.mkfifo(planted)
    assert_refused(cache, planted, "is no regular file")


def test_a_nested_folder_that_others_may_write_to_is_refused(base):
    cache = folder(base / "cache")
    nested = folder(cache / "nested", 0o777)
    assert_refused(cache, nested, "may be written to by others")


@pytest.mark.parametrize("how", ["absolute", "relative", "below", "chain"])
def test_links_are_followed_and_both_ends_checked(how, base):
    above = folder(base / "above")
    cache, link = folder(above / "cache"), base / "link"
    link.symlink_to({"relative": "above/cache", "below": above, "chain": base / "second"}.get(how, cache))
    (base / "second").symlink_to(cache)
    path = link / "cache" if how == "below" else link
    make_private(str(path))
    above.chmod(0o777)
    assert_refused(path, above, "may be written to by others")
    above.chmod(0o700)
    base.chmod(0o777)  # where the link lies
    try:
        assert_refused(path, base, "may be written to by others")
    finally:
        base.chmod(0o700)


@pytest.mark.parametrize("n_times", [2, 3])
def test_a_link_that_is_passed_again_is_followed_again(n_times, base):
    """As where ``/home`` is a link, and ``~/.cache`` one whose way begins with ``/home`` again."""
    user = folder(folder(base / "export") / "user")
    (base / "home").symlink_to(base / "export")
    scratch = folder(user / "scratch")
    cache = folder(scratch / "cache")
    home = base / "home" / "user"
    (user / ".cache").symlink_to((home / "again" if n_times == 3 else home) / "scratch" / "cache")
    (user / "again").symlink_to(home)
    make_private(str(home / ".cache"))
    scratch.chmod(0o777)
    for path in (cache, home / ".cache"):
        with pytest.raises(PermissionError, match=REFUSED) as error:
            make_private(str(path))
        assert str(scratch.relative_to(base / "export")) in str(error.value)
        assert "may be written to by others (mode 0o777)" in str(error.value)


def test_a_link_may_lead_above_itself(base):
    """Through ``..``, which is the folder above the end of a link."""
    above = folder(base / "above")
    inner = folder(above / "inner")
    (base / "link").symlink_to(inner)
    cache = folder(above / "cache")
    (base / "short").symlink_to(base / "link" / ".." / "cache")
    make_private(str(base / "short"))
    cache.chmod(0o777)
    assert_refused(base / "short", inner / ".." / "cache", "may be written to by others")


@pytest.mark.parametrize(("n_links", "fits"), [(40, True), (41, False)])
def test_as_many_links_are_followed_as_the_system_follows(n_links, fits, base):
    cache = folder(base / "cache")
    for i in range(n_links):
        (base / str(i)).symlink_to(base / str(i + 1) if i + 1 < n_links else cache)
    if fits:
        make_private(str(base / "0"))
    else:
        with pytest.raises(OSError, match="symbolic links"):
            make_private(str(base / "0"))


def test_a_new_folder_behind_a_link_is_made_at_its_end(base):
    (base / "link").symlink_to(folder(base / "above"))
    make_private(str(base / "link" / "a" / "cache"))
    assert stat.S_IMODE((base / "above" / "a" / "cache").stat().st_mode) == 0o700


@pytest.mark.parametrize("what", ["file", "below a file", "circle"])
def test_what_can_be_no_folder_is_an_error_of_the_system(what, base):
    (base / "circle").symlink_to(base / "circle")
    file(base / "file")
    with pytest.raises(OSError, match=r"exists|Not a directory|symbolic links"):
        make_private(str(base / {"below a file": "file/a"}.get(what, what)))
