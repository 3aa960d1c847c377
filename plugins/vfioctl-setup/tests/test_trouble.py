"""What goes wrong around `vfioctl setup`: edits by hand, programs that fail, a full or read-only disk, two at once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from boot_trees import UPDATE_GRUB

OWN = "etc/default/grub.d/zz-vfioctl.cfg"
RECORD = "var/lib/vfioctl/changes-setup.json"


@pytest.fixture
def debian(tree):
    return tree.grub()


@pytest.fixture
def done(debian, setup):
    assert setup("--yes").status == 0
    return debian


def test_a_program_that_fails_leaves_everything_as_it_was(debian, setup):
    before = debian.state()
    once = '[ -e "$ROOT/failed" ] || { : >"$ROOT/failed"; exit 1; }'
    debian.shell("update-grub", f"{UPDATE_GRUB.replace('exec ', '')}{once}\n")
    shown = setup("--yes")
    assert shown.status == 1
    assert "failed at refresh:update-grub" in shown.err
    assert "Everything was put back." in shown.err
    (debian.root / "failed").unlink()
    debian.shell("update-grub", UPDATE_GRUB)
    assert debian.state() == before
    assert not (debian.root / RECORD).exists()


def test_a_file_that_was_edited_since_is_named_and_never_written_over(done, setup):
    (done.root / OWN).write_text("# mine\n")
    before = done.state()
    for arguments in (("--undo", "--yes"), ("--word", "iommu=pt", "--yes")):
        shown = setup(*arguments)
        assert (shown.status, "[change.edited]" in shown.err) == (3, True), shown.err
        assert "-# mine\n" in shown.out + shown.err
        assert "--leave-edited" in shown.err
    assert done.state() == before


def test_what_was_edited_may_be_left_while_the_rest_goes_back(debian, setup):
    debian.write("etc/default/grub", 'GRUB_CMDLINE_LINUX="intel_iommu=off"\n')
    assert setup("--yes").status == 0
    (debian.root / OWN).write_text("# mine\n")
    shown = setup("--undo", "--leave-edited", "--yes")
    assert shown.status == 0, shown.err
    assert "/etc/default/grub.d/zz-vfioctl.cfg stays as somebody has edited it." in shown.out
    assert (debian.root / OWN).read_text() == "# mine\n"
    assert "intel_iommu=off" in (debian.root / "etc/default/grub").read_text()
    assert not (debian.root / RECORD).exists()


@pytest.mark.parametrize(("gone", "run"), [
    (("usr/sbin/update-grub",), ["refresh:grub-mkconfig -o /boot/grub/grub.cfg"]),
    (("usr/sbin/update-grub", "usr/sbin/grub-mkconfig"), []),
])  # fmt: skip
def test_a_program_that_is_gone_since_keeps_nothing_from_going_back(done, setup, gone, run):
    for path in gone:
        (done.root / path).unlink()
    shown = setup("--undo", "--yes", "--format", "json")
    assert shown.status == 0, shown.out
    assert [step["id"] for step in shown.data["steps"] if step["id"].startswith("refresh:")] == run
    assert not (done.root / OWN).exists()


def test_another_tool_for_the_initramfs_makes_it_anew(debian, setup):
    debian.dracut()
    assert setup("--early", "0000:01:00.0", "--yes").status == 0
    (debian.root / "usr/sbin/dracut").unlink()
    (debian.root / "boot/initramfs-6.1.0-56-amd64.img").unlink()
    debian.initramfs_tools()
    assert "vfioctl-early.conf" in debian.image()
    assert setup("--undo", "--yes").status == 0
    assert "vfioctl-early.conf" not in debian.image()


def test_a_file_of_our_name_that_somebody_else_made_stays(debian, setup):
    debian.write(OWN, "# mine\n")
    before = debian.state()
    shown = setup("--yes")
    assert (shown.status, "[change.taken]" in shown.err) == (3, True)
    assert debian.state() == before


def test_a_file_that_was_removed_since_is_put_back_as_it_was_before(debian, setup):
    debian.write("etc/default/grub", 'GRUB_CMDLINE_LINUX="intel_iommu=off"\n')
    debian.make("update-grub")
    before = debian.state()
    assert setup("--yes").status == 0
    (debian.root / "etc/default/grub").unlink()
    assert setup("--undo", "--yes").status == 0
    assert debian.state() == before


def test_a_link_is_never_followed(debian, setup):
    settings = debian.root / "etc/default/grub"
    settings.rename(debian.root / "elsewhere")
    settings.symlink_to("/elsewhere")
    shown = setup("--yes")
    assert shown.status == 3
    assert "/etc/default/grub cannot be" in shown.err
    assert settings.is_symlink()


def test_on_a_disk_that_is_read_only_nothing_is_begun(debian, setup, monkeypatch):
    before, real = debian.state(), os.statvfs

    def read_only(place):
        found = real(place)
        return type("Found", (), {"f_flag": found.f_flag | os.ST_RDONLY}) if "default" in str(place) else found

    monkeypatch.setattr(os, "statvfs", read_only)
    shown = setup("--yes")
    assert (shown.status, "[change.read_only]" in shown.err) == (3, True)
    assert debian.state() == before


def test_a_record_that_is_damaged_is_named_and_nothing_is_taken_back(done, setup):
    (done.root / RECORD).write_text('{"schema": 1, "files": [{}]}')
    before = done.state()
    shown = setup("--undo", "--yes")
    assert (shown.status, "[change.damaged]" in shown.err) == (3, True)
    assert done.state() == before


def test_nobody_is_asked_in_a_pipe_so_that_nothing_is_changed(debian, setup):
    before = debian.state()
    shown = setup()
    assert (shown.status, "[setup.unconfirmed]" in shown.err) == (3, True), shown.err
    assert "vfioctl setup --yes" in shown.err
    assert debian.state() == before


def test_without_a_set_up_there_is_nothing_to_take_back(debian, setup):
    shown = setup("--undo", "--yes")
    assert (shown.status, "There is nothing to take back." in shown.out) == (0, True)


def test_two_at_once_are_as_one(debian, setup):
    before = debian.state()
    argv = [sys.executable, "-I", "-m", "vfioctl.entry", "--root", str(debian.root), "setup", "--yes"]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    said = [(one.communicate(timeout=100)[0], one.returncode) for one in both]
    assert any(status == 0 and "It is done" in text for text, status in said), said
    assert all(status == 0 or "Nothing was changed." in text or "put back" in text for text, status in said), said
    assert all(words.count("intel_iommu=on") == 1 for words in debian.next_words())
    assert setup("--undo", "--yes").status == 0
    assert debian.state() == before


# ---------------------------------------------------------------- drift, as doctor sees it


def found(vfioctl):
    checks = vfioctl("doctor", "--format", "json").data["checks"]
    return {one["code"] for check in checks if check["name"] == "setup" for one in check["findings"]}


def test_doctor_says_that_a_restart_is_due_and_is_silent_after_it(done, vfioctl):
    assert found(vfioctl) == {"setup.restart"}
    done.restart()
    assert found(vfioctl) == set()


def test_doctor_says_which_file_has_changed(done, vfioctl):
    done.restart()
    (done.root / OWN).chmod(0o600)
    assert found(vfioctl) == {"setup.drift"}


def test_doctor_says_that_the_boot_menu_has_lost_the_word(done, vfioctl):
    done.restart()
    menu = done.root / "boot/grub/grub.cfg"
    menu.write_text(menu.read_text().replace(" intel_iommu=on", ""))
    assert found(vfioctl) == {"setup.menu_older"}


def test_doctor_names_the_words_of_the_set_up_alone_where_it_has_made_the_file(tree, setup, vfioctl):
    tree.systemd_boot(command_line=None)
    assert setup("--yes").status == 0
    assert "The running kernel was started without intel_iommu=on." in vfioctl("doctor").out
