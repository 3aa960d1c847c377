"""`vfioctl setup` where systemd-boot starts the host: with kernel-install, and with entries that somebody wrote."""

from __future__ import annotations

import pytest
from boot_trees import MACHINE_WORD, RELEASE, ROOT_WORDS


def without_made_entries(tree):
    """As where another machine has made them, or each kernel is an image by itself."""
    for path in tree.root.glob("boot/efi/loader/entries/*.conf"):
        path.unlink()


@pytest.mark.parametrize("command_line", [ROOT_WORDS, None, f"{ROOT_WORDS} intel_iommu=off"])
def test_each_kernel_is_installed_anew_with_the_word_and_all_of_it_comes_back(tree, setup, command_line):
    tree.systemd_boot(command_line=command_line)
    before = tree.state()
    shown = setup("--yes")
    assert shown.status == 0, shown.err
    assert tree.next_words() == [[*ROOT_WORDS.split(), "intel_iommu=on", MACHINE_WORD]]
    assert setup("--undo", "--yes").status == 0
    assert tree.state() == before


def restarted_without_a_command_line_of_its_own(tree, setup):
    """A host whose entries have the words of the running kernel, which by now are those of the set-up."""
    tree.write("proc/cmdline", f"BOOT_IMAGE=/boot/vmlinuz-{RELEASE} {ROOT_WORDS} intel_iommu=off\n")
    tree.systemd_boot(command_line=None)
    assert setup("--yes").status == 0
    tree.restart()


def test_the_words_of_the_running_kernel_do_not_outlive_the_undo(tree, setup):
    restarted_without_a_command_line_of_its_own(tree, setup)
    shown = setup("--undo", "--yes")
    assert shown.status == 0, shown.err
    assert tree.next_words() == [[*ROOT_WORDS.split(), "intel_iommu=off", MACHINE_WORD]]
    assert (tree.root / "etc/kernel/cmdline").read_text() == f"{ROOT_WORDS} intel_iommu=off\n"
    assert "/etc/kernel/cmdline stays, with the words of before" in shown.out


def test_they_do_not_outlive_it_either_where_somebody_has_removed_the_file(tree, setup):
    restarted_without_a_command_line_of_its_own(tree, setup)
    (tree.root / "etc/kernel/cmdline").unlink()
    assert setup("--undo", "--yes").status == 0
    assert tree.next_words() == [[*ROOT_WORDS.split(), "intel_iommu=off", MACHINE_WORD]]


def test_a_command_line_of_a_package_that_came_since_counts(tree, setup):
    restarted_without_a_command_line_of_its_own(tree, setup)
    tree.write("usr/lib/kernel/cmdline", f"{ROOT_WORDS} splash\n")
    assert setup("--undo", "--yes").status == 0
    assert tree.next_words() == [[*ROOT_WORDS.split(), "splash", MACHINE_WORD]]
    assert not (tree.root / "etc/kernel/cmdline").exists()


def test_a_command_line_that_somebody_has_edited_is_left_as_it_is(tree, setup):
    restarted_without_a_command_line_of_its_own(tree, setup)
    tree.write("etc/kernel/cmdline", f"{ROOT_WORDS} debug\n")
    shown = setup("--undo", "--leave-edited", "--yes")
    assert shown.status == 0, shown.err
    assert tree.next_words() == [[*ROOT_WORDS.split(), "debug", MACHINE_WORD]]
    assert "with the words of before" not in shown.out


NEWER = "6.1.0-57-amd64"


def a_newer_kernel_takes_the_place_of(tree, release):
    """As its package and that of the older one have it done."""
    tree.write(f"boot/vmlinuz-{NEWER}", "newer kernel")
    tree.make("kernel-install", "add", NEWER, f"/boot/vmlinuz-{NEWER}")
    for path in (*tree.root.glob(f"boot/efi/loader/entries/*-{release}.conf"), tree.root / f"boot/vmlinuz-{release}"):
        path.unlink()


def test_the_undo_makes_the_entries_of_the_kernels_that_there_are_by_then(tree, setup):
    tree.systemd_boot()
    assert setup("--yes").status == 0
    a_newer_kernel_takes_the_place_of(tree, RELEASE)
    shown = setup("--undo", "--yes")
    assert shown.status == 0, shown.err
    assert tree.next_words() == [[*ROOT_WORDS.split(), MACHINE_WORD]]


def test_an_undo_that_fails_leaves_the_entries_of_these_kernels_with_the_word(tree, setup):
    tree.systemd_boot()
    assert setup("--yes").status == 0
    a_newer_kernel_takes_the_place_of(tree, RELEASE)
    before, program = tree.state(), (tree.root / "usr/sbin/kernel-install").read_text()
    shebang, _, text = program.partition("\n")
    once = 'import pathlib, os\nmark = pathlib.Path(os.environ["ROOT"], "failed")\nif not mark.exists():\n'
    tree.shell("kernel-install", f"{shebang}\n{once}    mark.touch()\n    raise SystemExit(1)\n{text}")
    shown = setup("--undo", "--yes")
    assert (shown.status, "Everything was put back." in shown.err) == (1, True), shown.err
    (tree.root / "failed").unlink()
    tree.shell("kernel-install", program)
    assert tree.state() == before


def test_an_undo_to_which_no_entry_is_visible_says_that_it_makes_none(tree, setup):
    tree.systemd_boot()
    assert setup("--yes").status == 0
    without_made_entries(tree)
    for arguments in (("--dry-run",), ("--yes",)):
        shown = setup("--undo", *arguments)
        assert shown.status == 0, shown.err
        assert "kernel-install: not run, since it is gone, or nothing is to be seen" in shown.out + shown.err


COMMENTED = "# rescue: systemd.unit=rescue.target\nroot=UUID=1234 ro\n\n  # quiet\nquiet intel_iommu=off  splash\n# end"


@pytest.mark.parametrize("place", ["etc/kernel/cmdline", "usr/lib/kernel/cmdline"])
def test_comments_stay_lines_of_their_own_and_every_word_stays_in_the_entry(tree, setup, place):
    tree.systemd_boot(command_line=None, systemd=257).write(place, f"{COMMENTED}\n")
    tree.make("kernel-install", "add", RELEASE, f"/boot/vmlinuz-{RELEASE}")
    before = tree.state()
    shown = setup("--yes")
    assert shown.status == 0, shown.err
    written = COMMENTED.replace(" intel_iommu=off  splash", "  splash intel_iommu=on")
    assert (tree.root / "etc/kernel/cmdline").read_text() == f"{written}\n"
    assert tree.next_words() == [[*ROOT_WORDS.split(), "splash", "intel_iommu=on", MACHINE_WORD]]
    assert setup("--undo", "--yes").status == 0
    assert tree.state() == before


@pytest.mark.parametrize(("systemd", "word"), [(252, "#"), (257, MACHINE_WORD)])
def test_a_file_of_comments_alone_gets_a_line_behind_them(tree, setup, systemd, word):
    tree.systemd_boot(command_line="# intel_iommu=on", systemd=systemd)
    before = tree.state()
    assert setup("--word", "iommu=pt", "--yes").status == 0
    assert (tree.root / "etc/kernel/cmdline").read_text() == "# intel_iommu=on\nintel_iommu=on iommu=pt\n"
    assert {word, "intel_iommu=on", "iommu=pt"} <= set(tree.next_words()[0])
    assert setup("--undo", "--yes").status == 0
    assert tree.state() == before


def test_the_initramfs_goes_along_where_there_is_one(tree, setup):
    tree.initramfs_tools().systemd_boot()
    shown = setup("--dry-run", "--format", "json")
    programs = [step["resource"] for step in shown.data["steps"] if step["kind"] == "generated.refresh"]
    assert programs[-1] == (
        f"generated:kernel-install add {RELEASE} /boot/vmlinuz-{RELEASE} /boot/initrd.img-{RELEASE}"
    )


def test_an_entry_that_somebody_wrote_is_changed_itself_and_others_are_left_alone(tree, setup):
    tree.entries_by_hand()
    before = tree.state()
    shown = setup("--yes")
    assert shown.status == 0, shown.err
    assert tree.next_words() == [[*ROOT_WORDS.split(), "intel_iommu=on"]]
    windows = "boot/loader/entries/windows.conf"
    assert tree.state()[windows] == before[windows]
    assert setup("--undo", "--yes").status == 0
    assert tree.state() == before


def test_beside_a_command_line_for_kernel_install_an_entry_that_somebody_wrote_is_changed_itself(tree, setup):
    without_made_entries(tree.systemd_boot().entries_by_hand())
    assert setup("--yes").status == 0
    assert tree.next_words() == [[*ROOT_WORDS.split(), "intel_iommu=on"]]


def test_without_an_entry_the_lines_are_printed(tree, setup):
    without_made_entries(tree.systemd_boot())
    before = tree.state()
    shown = setup("--yes")
    assert f"write into /etc/kernel/cmdline: {ROOT_WORDS} intel_iommu=on" in shown.out
    assert "kernel-install add VERSION" in shown.out
    assert tree.state() == before


def test_without_an_entry_each_line_is_printed_as_one(tree, setup):
    without_made_entries(tree.systemd_boot(command_line=f"# mine\n{ROOT_WORDS}"))
    assert f"    write into /etc/kernel/cmdline: # mine\n    {ROOT_WORDS} intel_iommu=on\n" in setup("--yes").out


def firmware_says(tree, loader):
    """The loader told the firmware its name, in UTF-16 behind the attributes of the variable."""
    said = tree.write("sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f")
    said.write_bytes(b"\6\0\0\0" + f"{loader}\0".encode("utf-16-le"))


@pytest.mark.parametrize(("said", "title"), [("systemd-boot 252", "systemd-boot"), ("GRUB 2.12-9", "GRUB")])
def test_of_two_boot_loaders_the_one_counts_that_the_firmware_names(tree, setup, said, title):
    tree.grub().entries_by_hand()
    firmware_says(tree, said)
    assert f"{title}: intel_iommu=on" in setup("--dry-run").out


@pytest.mark.parametrize("said", ["systemd-boot 252.39", "rEFInd 0.14.2"])
def test_where_another_one_started_the_host_than_those_that_are_found_it_is_asked_for(tree, setup, vfioctl, said):
    tree.grub()
    firmware_says(tree, said)
    before = tree.state()
    shown = setup("--yes")
    assert (shown.status, "[setup.boot_loader_unclear]" in shown.err) == (3, True), shown.err
    assert f"The firmware was told that {said} started this host" in shown.err
    assert "vfioctl setup --boot-loader grub" in shown.err
    assert tree.state() == before
    assert setup("--boot-loader", "grub", "--yes").status == 0
    assert "setup.boot_loader_unclear" not in vfioctl("doctor").out


@pytest.mark.parametrize("said", ["", "GRUB 2.12"])
def test_the_only_boot_loader_counts_where_nothing_speaks_against_it(tree, setup, said):
    tree.grub()
    firmware_says(tree, said)
    assert "GRUB: intel_iommu=on" in setup("--dry-run").out


def test_where_nothing_says_which_boot_loader_counts_it_is_asked_for(tree, setup):
    tree.grub().entries_by_hand()
    before = tree.state()
    shown = setup("--yes")
    assert (shown.status, "[setup.boot_loader_unclear]" in shown.err) == (3, True)
    assert "vfioctl setup --boot-loader grub" in shown.err
    assert tree.state() == before
    assert setup("--boot-loader", "systemd-boot", "--yes").status == 0
    assert tree.state()["boot/grub/grub.cfg"] == before["boot/grub/grub.cfg"]
