"""The shell on a simulated machine: what runs in it, what it ends with, and what its virsh does not know."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vfioctl.testing.pytest_plugin import can_mount
from vfioctl.testing.virsh import Call, parse

UNMANAGED = "Unmanaged PCI device 0000:01:00.0 must be manually detached from the host"
needs_fuse = pytest.mark.skipif(not can_mount(), reason="/dev/fuse cannot be used here")


def shell(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-m", "vfioctl.testing.shell", *argv],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_an_unknown_machine_is_answered_with_the_known_ones() -> None:
    ended = shell("mainframe")
    assert ended.returncode == 2
    assert "two-nvidia, laptop" in ended.stderr


def test_help_shows_the_usage_and_the_machines() -> None:
    ended = shell("--help")
    assert ended.returncode == 0
    assert "vfioctl.testing.shell [MACHINE [COMMAND…]]" in ended.stderr
    assert "two-nvidia, laptop" in ended.stderr


@needs_fuse
def test_its_status_is_that_of_what_ran_in_it() -> None:
    assert shell("generic-nic", "sh", "-c", "exit 7").returncode == 7


@needs_fuse
def test_the_guest_gets_the_card_of_the_machine_and_gives_it_back() -> None:
    driver = "readlink sys/bus/pci/devices/0000:01:00.0/driver"
    ended = shell("generic-nic", "sh", "-ec", f"touch etc/vfioctl/guests/win11.toml; virsh start win11; {driver}; "
                  f"virsh destroy win11; {driver}")  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert [line.rpartition("/")[2] for line in ended.stdout.split("\n") if "/" in line] == ["vfio-pci", "igb"]


@pytest.mark.parametrize("uri", ["-c qemu:///system", "--connect qemu:///system", "--connect=qemu:///system"])
def test_the_uri_of_its_virsh_may_stand_behind_an_equals_sign(uri: str) -> None:
    assert parse([*uri.split(), "list", "--all"]) == Call("list", (), frozenset({"--all"}))


@needs_fuse
def test_its_virsh_answers_as_virsh_does() -> None:
    ended = shell("generic-nic", "sh", "-c", "; ".join((
        "virsh list --all --name", "virsh start win11", "touch etc/vfioctl/guests/win11.toml", "virsh start win11",
        "virsh start win11", "virsh list", "virsh domstate win11", "virsh shutdown win11", "virsh list --all",
        "virsh destroy win11", "virsh -c qemu:///system dumpxml --inactive --domain=win11 | head -n 1",
        "virsh start nosuch", "virsh nosuch", "virsh start",
    )))  # fmt: skip
    assert ended.stdout.split("\n") == [
        "win11", "", "Domain 'win11' started", "", " Id   Name    State", "-----------------------",
        " 1    win11   running", "", "running", "", "Domain 'win11' is being shutdown", "", " Id   Name    State",
        "------------------------", " -    win11   shut off", "", "<domain type=\"kvm\">", "",
    ]  # fmt: skip
    said = [line for line in ended.stderr.split("\n") if line.startswith("error: ")]
    assert said == [
        "error: Failed to start domain 'win11'",
        f"error: Requested operation is not valid: {UNMANAGED}",
        "error: Domain is already active",
        "error: Failed to destroy domain 'win11'",
        "error: Requested operation is not valid: domain is not running",
        "error: failed to get domain 'nosuch'",
        "error: unknown command: 'nosuch'",
        "error: the simulated virsh knows: list, domstate, dumpxml, define, start, shutdown, destroy",
        "error: command 'start' requires <domain> option",
    ]


@needs_fuse
def test_a_changed_domain_is_defined_and_read_by_the_commands_without_a_file() -> None:
    ended = shell("generic-nic", "sh", "-ec", "virsh dumpxml win11 | sed s/win11/other/ >other.xml; "
                  "virsh define other.xml; vfioctl enable other >/dev/null; vfioctl plan other | sed q")  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split("\n")[0] == "Domain 'other' defined from other.xml"
    assert ended.stdout.split("\n")[2].startswith("other (")


@needs_fuse
def test_without_the_hook_a_start_ends_as_libvirt_ends_it() -> None:
    ended = shell("generic-nic", "sh", "-c", "touch etc/vfioctl/guests/win11.toml; rm etc/libvirt/hooks/qemu.d/*; "
                  "virsh start win11")  # fmt: skip
    assert ended.returncode == 1
    assert "must be manually detached from the host" in ended.stderr
    assert "Traceback" not in ended.stderr
