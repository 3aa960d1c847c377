"""Who could change a file that root obeys."""

from __future__ import annotations

import os

import pytest
from access_lists import grant

from vfioctl.errors import Refused
from vfioctl.ownership import secure, writable_below, writable_by_others

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")


@pytest.fixture
def tree(tmp_path):
    """root/etc/vfioctl/config.toml with modes that are fine."""
    file = tmp_path / "etc/vfioctl/config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("")
    for path in (tmp_path, tmp_path / "etc", file.parent):
        path.chmod(0o755)
    file.chmod(0o644)
    return tmp_path, file


def test_a_file_that_only_its_owner_can_write_is_fine(tree):
    root, file = tree
    assert writable_by_others(str(file), str(root)) is None


def test_the_file_each_directory_above_it_and_the_root_itself_count(tree):
    root, file = tree
    for path in (file, file.parent, root / "etc", root):
        mode = path.stat().st_mode
        path.chmod(mode | 0o002)
        assert writable_by_others(str(file), str(root)) == f"{path} can be written by others"
        path.chmod(mode)


def test_what_is_above_the_root_does_not_count(tree):
    root, file = tree
    (root / "etc").chmod(0o777)
    assert writable_by_others(str(file), str(root / "etc/vfioctl")) is None


def test_in_a_sticky_directory_what_is_there_is_safe_and_what_is_not_yet_there_is_not(tree):
    root, file = tree
    (root / "etc").chmod(0o1777)
    assert writable_by_others(str(file), str(root)) is None
    assert writable_by_others(str(root / "etc/absent.toml"), str(root)) is not None


@needs_root
def test_group_write_permission_counts_for_root(tree):
    root, file = tree
    os.chown(file, 0, 12345)
    file.chmod(0o664)
    assert writable_by_others(str(file), str(root)) == f"{file} can be written by its group"


@needs_root
def test_the_group_root_is_not_root(tree):
    """It can have members, and its write permission is also how an access control list shows."""
    root, file = tree
    file.chmod(0o664)
    assert writable_by_others(str(file), str(root)) == f"{file} can be written by its group"


@pytest.mark.parametrize("part", ["etc/vfioctl/config.toml", "etc/vfioctl", "etc", "."])
def test_an_access_control_list_counts_wherever_it_lets_somebody_write(tree, part):
    root, file = tree
    grant(root / part, 12345)
    why = f"{os.path.normpath(root / part)} can be written by others through an access control list"
    assert writable_by_others(str(file), str(root)) == why


def test_an_access_control_list_whose_mask_takes_the_write_permission_away_is_fine(tree):
    """What the hint `chmod go-w` does to one."""
    root, file = tree
    grant(file, 12345)
    file.chmod(0o644)
    assert writable_by_others(str(file), str(root)) is None


@needs_root
def test_a_directory_of_another_user_is_named_with_the_uid(tree):
    root, file = tree
    os.chown(root / "etc", 12345, 0)
    assert writable_by_others(str(file), str(root)) == f"{root / 'etc'} belongs to uid 12345, not to root"


def test_a_symlink_is_judged_by_where_it_leads(tree):
    root, file = tree
    (root / "open").mkdir()
    (root / "open").chmod(0o777)
    (root / "open/real.toml").write_text("")
    link = file.parent / "link.toml"
    link.symlink_to(root / "open/real.toml")
    assert writable_by_others(str(link), str(root)) == f"{root / 'open'} can be written by others"


def test_each_link_on_the_way_and_the_directories_that_it_leads_through_count(tree):
    """An interpreter is often a link to a link: who can write the directory in the middle decides what is started."""
    root, file = tree
    for name in ("middle", "end"):
        (root / name).mkdir()
        (root / name).chmod(0o755)
    (root / "end/python3").write_text("")
    (root / "middle/python").symlink_to("../end/python3")
    first = file.parent / "python"
    first.symlink_to(root / "middle/python")
    assert writable_by_others(str(first), str(root)) is None
    (root / "middle").chmod(0o777)
    assert writable_by_others(str(first), str(root)) == f"{root / 'middle'} can be written by others"


def test_a_directory_that_is_itself_reached_by_a_link_counts(tree):
    root, _ = tree
    (root / "hidden").mkdir()
    (root / "hidden").chmod(0o777)
    (root / "hidden/real").mkdir()
    (root / "hidden/real/x.toml").write_text("")
    (root / "shown").symlink_to("hidden/real")
    assert writable_by_others(str(root / "shown/x.toml"), str(root)) == f"{root / 'hidden'} can be written by others"


@needs_root
def test_a_link_that_belongs_to_another_user_is_named(tree):
    root, file = tree
    link = file.parent / "link.toml"
    link.symlink_to("config.toml")
    os.chown(link, 12345, 0, follow_symlinks=False)
    assert writable_by_others(str(link), str(root)) == f"{link} belongs to uid 12345, not to root"


def test_a_loop_of_links_ends(tree):
    root, _ = tree
    (root / "etc/one").symlink_to("two")
    (root / "etc/two").symlink_to("one")
    assert writable_by_others(str(root / "etc/one"), str(root)) is None


def test_an_absent_file_is_judged_by_its_directories(tree):
    root, file = tree
    absent = str(file.parent / "guests/win11.toml")
    assert writable_by_others(absent, str(root)) is None
    file.parent.chmod(0o777)
    assert writable_by_others(absent, str(root)) is not None


def test_a_file_anywhere_in_a_directory_is_found_and_passed_over_where_it_is_said(tree):
    root, _ = tree
    assert writable_below(str(root)) is None
    (root / "etc/vfioctl/one.pyc").touch()
    (root / "etc/vfioctl/one.pyc").chmod(0o646)
    assert writable_below(str(root)) == f"{root}/etc/vfioctl/one.pyc can be written by others"
    assert writable_below(str(root), without=("vfioctl",)) is None


def test_a_link_in_a_directory_is_judged_by_where_it_leads(tree):
    root, file = tree
    file.chmod(0o646)
    (root / "libraries").mkdir()
    (root / "libraries/one.py").symlink_to(file)
    assert writable_below(str(root / "libraries")) == f"{file} can be written by others"


def test_a_directory_that_is_reached_by_a_link_is_looked_through_and_a_loop_ends(tree):
    root, file = tree
    (root / "libraries").mkdir()
    (root / "libraries/package").symlink_to(file.parent)
    (root / "libraries/itself").symlink_to(root / "libraries")
    assert writable_below(str(root / "libraries")) is None
    file.chmod(0o646)
    found = root / "libraries/package/config.toml"
    assert writable_below(str(root / "libraries")) == f"{found} can be written by others"


def test_what_root_cannot_look_at_is_refused_in_words(tree, monkeypatch):
    """A mount of another user is closed to root too (fuse(8), allow_other)."""
    root, file = tree
    real = os.lstat

    def closed(path, **named):
        if str(path) == str(file):
            raise PermissionError(13, "Permission denied", path)
        return real(path, **named)

    monkeypatch.setattr(os, "lstat", closed)
    with pytest.raises(Refused, match="cannot be looked at \\(Permission denied\\)") as caught:
        secure(str(file), str(root))
    assert str(file) in caught.value.hints[0]


def test_secure_refuses_with_the_reason_and_the_command(tree):
    root, file = tree
    file.chmod(0o666)
    with pytest.raises(Refused, match="can be written by others") as caught:
        secure(str(file), str(root))
    assert caught.value.code == "config.writable"
    assert f"chmod go-w {file}" in caught.value.hints[0]


def test_a_path_is_judged_from_a_directory_that_is_gone(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert writable_by_others("/etc/hostname", "/") is None
