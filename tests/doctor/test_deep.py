"""A guest that really runs for a moment, and what is said where KVM, or QEMU, does not work."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from doctored import found, says

from vfioctl.doctor import deep

QEMU = "qemu-system-x86_64"
SPEAKS = f"echo {deep.WORD}; exit {deep.LEFT}"
ONLY_EMULATED = f"""
    case $* in *accel=kvm*) echo 'Could not access KVM kernel module: Permission denied' >&2; exit 1;; esac; {SPEAKS}
"""

pytestmark = pytest.mark.skipif(os.uname().machine != deep.ARCHITECTURE, reason="the guest is one of PCs")


def test_the_guest_is_a_boot_sector_whose_word_lies_behind_the_code():
    sector = deep.boot_sector()
    assert (len(sector), sector[-2:], sector[0x1B:].startswith(deep.WORD.encode())) == (512, b"\x55\xaa", True)


@pytest.mark.skipif(shutil.which(QEMU) is None, reason="there is no QEMU")
def test_the_guest_runs_in_a_real_qemu(tree):
    (tree.root / "usr/bin" / QEMU).unlink()
    (tree.root / "usr/bin" / QEMU).symlink_to(Path(str(shutil.which(QEMU))))
    tried = deep._try(tree.host(), str(tree.root / "usr/bin" / QEMU), "tcg")  # with KVM it depends on the machine
    assert (tried.spoke, tried.why, 0 < tried.seconds < deep.DEADLINES["tcg"]) == (True, "", True)


@pytest.mark.parametrize(("script", "code", "severity", "evidence"), [
    (SPEAKS, "deep.ran", "info", "accel=kvm said 'vfioctl'"),
    (ONLY_EMULATED, "deep.emulated", "warn", "accel=tcg said 'vfioctl'"),
    ("echo 'could not load PC BIOS' >&2; exit 1", "deep.failed", "block", "accel=kvm, then accel=tcg"),
    (f"echo nothing; exit {deep.LEFT}", "deep.failed", "block", "accel=tcg"),
    (f"echo {deep.WORD}; exit 0", "deep.failed", "block", "accel=tcg"),
])  # fmt: skip
def test_it_says_how_the_guest_fared(tree, script, code, severity, evidence):
    tree.program(QEMU, script)
    told = found(deep.findings, tree)
    assert (set(told), told[code].severity, evidence in told[code].evidence) == ({code}, severity, True)


def test_the_words_of_kvm_are_passed_on(tree):
    tree.program(QEMU, ONLY_EMULATED)
    message = found(deep.findings, tree)["deep.emulated"].message
    assert "Could not access KVM kernel module: Permission denied." in message


def test_a_guest_that_says_nothing_is_not_waited_for(tree, monkeypatch):
    monkeypatch.setattr(deep, "DEADLINES", {"kvm": 0.2, "tcg": 0.2})
    tree.program(QEMU, "while :; do :; done")
    assert "it said nothing within" in found(deep.findings, tree)["deep.failed"].message


def test_without_qemu_nothing_is_run(tree):
    (tree.root / "usr/bin" / QEMU).unlink()
    says(found(deep.findings, tree), "deep.skipped", "info", "uname -m")
