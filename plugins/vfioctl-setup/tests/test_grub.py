"""`vfioctl setup` where GRUB starts the host: Debian's, which reads a directory, and that of others."""

from __future__ import annotations

import pytest

OWN = "etc/default/grub.d/zz-vfioctl.cfg"
# What 40_custom, os-prober and their like add to the menu: other systems, with words of their own.
OTHER = """tail -n +2 "$0"; exit
menuentry 'Ubuntu (on /dev/nvme1n1p2)' {
	linux /boot/vmlinuz-6.8.0 root=UUID=9999 ro quiet
}
menuentry 'Rescue' {
	loopback loop /rescue.iso
	linux (loop)/vmlinuz iso-scan/filename=/rescue.iso intel_iommu=off
}
"""


@pytest.fixture
def debian(tree):
    return tree.grub()


def test_a_dry_run_shows_the_difference_and_changes_nothing(debian, setup):
    before = debian.state()
    shown = setup("--dry-run")
    assert (shown.status, shown.err) == (0, "")
    assert "kernel command line  change" in shown.out
    assert '+GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX intel_iommu=on"' in shown.out
    assert "generated.refresh" in shown.out
    assert debian.state() == before


def test_the_word_stands_in_every_entry_and_in_a_file_of_our_own(debian, setup):
    shown = setup("--yes")
    assert shown.status == 0, shown.err
    assert all("intel_iommu=on" in words for words in debian.next_words())
    assert "It is done: /etc/default/grub.d/zz-vfioctl.cfg." in shown.out
    assert "restarted" in shown.out + shown.err
    assert (debian.root / OWN).stat().st_mode & 0o777 == 0o644


def test_the_undo_puts_back_every_byte_mode_and_owner(debian, setup):
    (debian.root / "etc/default/grub").chmod(0o640)
    before = debian.state()
    assert setup("--yes").status == 0
    assert debian.state() != before
    shown = setup("--undo", "--yes")
    assert shown.status == 0, shown.err
    assert debian.state() == before
    assert not (debian.root / "var/lib/vfioctl/changes-setup.json").exists()


def test_what_is_done_is_not_done_again_and_waits_for_a_restart(debian, setup):
    assert setup("--yes").status == 0
    before = debian.state()
    shown = setup("--yes")
    assert shown.status == 0
    assert "kernel command line  restart" in shown.out
    assert debian.state() == before


def test_after_the_restart_everything_is_right(debian, setup):
    assert setup("--yes").status == 0
    debian.restart()
    shown = setup()
    assert shown.status == 0
    assert "IOMMU                right" in shown.out
    assert "Nothing is to be changed from here." in shown.out


def test_words_that_were_asked_for_are_added_to_those_that_are_there(debian, setup):
    assert setup("--yes").status == 0
    assert setup("--word", "iommu=pt", "--yes").status == 0
    text = (debian.root / OWN).read_text()
    assert text.endswith('GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX intel_iommu=on iommu=pt"\n')
    assert all({"intel_iommu=on", "iommu=pt"} <= set(words) for words in debian.next_words())


def test_the_undo_of_two_changes_goes_back_to_before_the_first(debian, setup):
    before = debian.state()
    assert setup("--yes").status == 0
    assert setup("--word", "iommu=pt", "--yes").status == 0
    assert setup("--undo", "--yes").status == 0
    assert debian.state() == before


@pytest.mark.parametrize("line", [
    'GRUB_CMDLINE_LINUX_DEFAULT="quiet intel_iommu=off splash"', 'GRUB_CMDLINE_LINUX_DEFAULT="intel_iommu=off quiet"',
    "GRUB_CMDLINE_LINUX_DEFAULT='quiet intel_iommu=off'", 'export GRUB_CMDLINE_LINUX="intel_iommu=off"',
])  # fmt: skip
def test_a_word_that_turns_the_iommu_off_is_taken_away_and_comes_back(debian, setup, line):
    debian.write("etc/default/grub", f"GRUB_TIMEOUT=5\n{line}\n# intel_iommu=off stays in comments\n")
    debian.make("update-grub")
    before = debian.state()
    shown = setup("--yes")
    assert shown.status == 0, shown.err
    assert not [words for words in debian.next_words() if "intel_iommu=off" in words]
    assert "# intel_iommu=off stays" in (debian.root / "etc/default/grub").read_text()
    assert setup("--undo", "--yes").status == 0
    assert debian.state() == before


def test_where_the_directory_is_not_read_a_line_follows_the_settings(tree, setup):
    tree.grub(debian=False)
    before = tree.state()
    shown = setup("--yes")
    assert shown.status == 0, shown.err
    assert "etc/default/grub.d/zz-vfioctl.cfg" not in tree.state()
    assert all("intel_iommu=on" in words for words in tree.next_words())
    assert setup("--undo", "--yes").status == 0
    assert tree.state() == before


@pytest.mark.parametrize("word", ["", "a b", "$(reboot)", "a'b", 'a"b', "-x", "a\nb", "a;b", "`id`"])
def test_what_a_boot_loader_may_take_otherwise_is_refused(debian, setup, word):
    before = debian.state()
    shown = setup("--word", word, "--yes")
    assert (shown.status, "[setup.bad_word]" in shown.err) == (3, True), shown.err
    assert debian.state() == before


def test_on_a_host_whose_iommu_is_on_nothing_is_needed(debian, setup):
    debian.write("sys/class/iommu/dmar0/x")
    shown = setup("--format", "json")
    states = {part["part"]: part["state"] for part in shown.data["parts"]}
    assert (states["IOMMU"], states["kernel command line"]) == ("right", "right")
    assert shown.data["changes"] == []


def test_entries_of_other_systems_say_nothing_about_this_one(debian, setup, vfioctl):
    debian.write("etc/grub.d/40_custom", OTHER)
    debian.make("update-grub")
    assert setup("--yes").status == 0
    assert "kernel command line  restart" in setup("--dry-run").out
    debian.restart()
    assert "Nothing is to be changed from here." in setup().out
    assert "setup.menu_older" not in vfioctl("doctor").out


def test_of_a_menu_without_marks_every_entry_counts(debian, setup):
    assert setup("--yes").status == 0
    menu = debian.root / "boot/grub/grub.cfg"
    menu.write_text("menuentry 'Mine' {\n\tlinux /boot/vmlinuz root=UUID=1234 ro\n}\n")
    assert "kernel command line  by hand" in setup("--dry-run").out


def test_an_iommu_that_stays_off_though_it_is_asked_for_is_a_matter_of_the_firmware(debian, setup):
    assert setup("--yes").status == 0
    debian.restart()
    (debian.root / "sys/class/iommu/dmar0/x").unlink()
    (debian.root / "sys/class/iommu/dmar0").rmdir()
    shown = setup()
    assert "IOMMU                by hand  it is off though the kernel was asked for it" in shown.out
    assert "turn on VT-d" in shown.out
