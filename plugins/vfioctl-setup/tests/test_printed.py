"""Boot loaders whose settings are not changed from here: the exact lines, and where they go."""

from __future__ import annotations

import pytest


def limine(tree):
    tree.write("boot/limine.conf", "timeout: 5\n/Arch\n    cmdline: root=UUID=1234\n")


def fedora(tree):
    tree.grub(debian=False).write("etc/default/grub", "GRUB_ENABLE_BLSCFG=true\n")
    tree.shell("grubby", "#!/bin/sh\n")


OTHERS = {
    "nixos": (lambda tree: tree.write("etc/NIXOS"), 'boot.kernelParams = [ "intel_iommu=on" ];', "configuration.nix"),
    "rpm-ostree": (lambda tree: tree.shell("rpm-ostree", "#!/bin/sh\n"),
                   "rpm-ostree kargs --append-if-missing=intel_iommu=on --delete-if-present=iommu=off", "as root"),
    "kernelstub": (lambda tree: tree.write("etc/kernelstub/configuration", "{}"),
                   'kernelstub --add-options "intel_iommu=on"', "as root"),
    "grubby": (fedora, 'grubby --update-kernel=ALL --args="intel_iommu=on" --remove-args="iommu=off', "as root"),
    "limine": (limine, "cmdline: … intel_iommu=on", "/boot/limine.conf"),
    "extlinux": (lambda tree: tree.write("boot/extlinux/extlinux.conf", "LABEL l0\n"), "APPEND … intel_iommu=on",
                 "/boot/extlinux/extlinux.conf"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_the_lines_are_printed_with_where_they_go_and_nothing_is_changed(tree, setup, name):
    make, line, where = OTHERS[name]
    make(tree)
    before = tree.state()
    shown = setup("--yes")
    assert shown.status == 0, shown.err
    assert line in shown.out
    assert where in shown.out
    assert tree.state() == before


def test_an_unknown_boot_loader_is_named_as_such_and_nothing_is_changed(tree, setup):
    before = tree.state()
    shown = setup("--yes")
    assert (shown.status, "[setup.boot_loader_unknown]" in shown.err) == (3, True)
    assert "What to set: intel_iommu=on" in shown.err
    assert tree.state() == before


def test_one_that_is_not_there_cannot_be_chosen(tree, setup):
    tree.grub()
    shown = setup("--boot-loader", "limine")
    assert (shown.status, "limine is not on this host; found: grub." in shown.err) == (3, True)


@pytest.mark.parametrize(("system", "command"), [
    ('ID=debian\n', "apt install qemu-system-x86"), ('ID=ubuntu\nID_LIKE=debian\n', "apt install"),
    ('ID=fedora\n', "dnf install qemu-kvm"), ('ID=cachyos\nID_LIKE=arch\n', "pacman -S --needed qemu-base"),
    ('ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n', "zypper install"), ("ID=void\n", "install QEMU, libvirt"),
])  # fmt: skip
def test_what_is_not_installed_comes_with_the_command_of_the_distribution(tree, setup, system, command):
    tree.grub().write("etc/os-release", system)
    assert command in setup("--dry-run").out


def test_the_qemu_of_red_hat_is_found_outside_of_the_path(tree, setup):
    tree.grub().write("usr/libexec/qemu-kvm").chmod(0o755)
    for name in ("libvirtd", "virsh"):
        tree.shell(name, "#!/bin/sh\n")
    tree.write("usr/share/qemu/firmware/50-ovmf.json", "{}")
    assert "right    QEMU, libvirt and UEFI firmware are there" in setup("--dry-run").out
    (tree.root / "usr/libexec/qemu-kvm").chmod(0o644)
    assert "not there: QEMU" in setup("--dry-run").out


def test_who_may_manage_guests_is_looked_up(tree, setup):
    tree.grub().write("etc/group", "root:x:0:\nlibvirt:x:113:anna,bob\n")
    tree.write("etc/passwd", "anna:x:1000:1000::/home/anna:/bin/sh\neve:x:1001:1001::/home/eve:/bin/sh\n")
    assert "right    anna is in libvirt" in setup("--dry-run", "--user", "anna").out
    assert "usermod --append --groups libvirt eve" in setup("--dry-run", "--user", "eve").out


def test_a_user_that_nobody_knows_is_refused(tree, setup):
    tree.grub().write("etc/passwd", "anna:x:1000:1000::/home/anna:/bin/sh\n")
    shown = setup("--dry-run", "--user", "nosuch")
    assert (shown.status, "[setup.no_user]" in shown.err) == (3, True), shown.err


def test_a_word_to_take_off_that_is_not_there_is_said_to_be_absent(tree, setup):
    tree.write("sys/class/iommu/dmar0")
    assert "nosuch is not on it" in setup("--dry-run", "--without", "nosuch").out


def test_the_iommu_of_arm_is_turned_on_as_its_smmu(tree, setup):
    (tree.root / "sys/firmware/acpi/tables/DMAR").unlink()
    tree.grub().write("proc/cpuinfo", "Features\t: fp asimd\nCPU implementer\t: 0x41\n")
    assert "turn on the SMMU" in setup("--dry-run").out


def test_an_iommu_that_is_off_where_nothing_was_asked_for_it_is_not_said_to_be_asked_for(tree, setup):
    (tree.root / "sys/firmware/acpi/tables/DMAR").unlink()
    tree.grub().write("proc/cpuinfo", "vendor_id\t: AuthenticAMD\n")
    out = setup("--dry-run").out
    assert "it is off and nothing on the kernel's command line says so" in out
