"""libvirt that calls no drop-in hooks, versions that nobody has tried, and a host without QEMU."""

from __future__ import annotations

import pytest
from doctored import found, says

from vfioctl.doctor import versions


def test_proven_versions_are_well(tree):
    assert found(versions.findings, tree) == {}


@pytest.mark.parametrize(("program", "said", "code", "severity"), [
    ("libvirtd", "libvirtd (libvirt) 6.4.0", "libvirt.no_drop_ins", "block"),
    ("libvirtd", "libvirtd (libvirt) 6.5.0", "libvirt.unproven", "info"),
    ("virtqemud", "virtqemud (libvirt) 8.10.0", "libvirt.unproven", "info"),
    ("qemu-system-x86_64", "QEMU emulator version 5.2.0 (Debian 1:5.2+dfsg-11)", "qemu.unproven", "info"),
])  # fmt: skip
def test_an_old_version_is_found(tree, program, said, code, severity):
    tree.program(program, f"echo '{said}'")
    says(found(versions.findings, tree), code, severity, f"{program} --version")


def test_a_host_without_qemu_is_told_so(tree):
    (tree.root / "usr/bin/qemu-system-x86_64").unlink()
    says(found(versions.findings, tree), "qemu.missing", "warn", "/usr/libexec/qemu-kvm")


def test_the_qemu_of_fedora_counts(tree):
    (tree.root / "usr/bin/qemu-system-x86_64").unlink()
    tree.write("usr/libexec/qemu-kvm", "#!/bin/sh\necho 'QEMU emulator version 9.1.0'\n").chmod(0o755)
    assert found(versions.findings, tree) == {}


def test_a_program_that_says_nothing_says_no_version(tree):
    tree.program("libvirtd", "exit 1")
    tree.program("qemu-system-x86_64", "echo broken")
    assert found(versions.findings, tree) == {}
