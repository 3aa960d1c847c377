"""What is taken out of a report: everything that tells whose host it is, each thing by one name; and what stays."""

from __future__ import annotations

import pytest

from vfioctl.actions.redaction import Redactor

KNOWN = {"alice": "user", "win11": "guest", "win11-games": "guest", "desk": "host"}


@pytest.mark.parametrize(("text", "wanted"), [
    ("6f1c2a34-5b6d-4e7f-8a90-b1c2d3e4f506", "uuid-1"),
    ("GPU-6f1c2a34-5b6d-4e7f-8a90-b1c2d3e4f506", "GPU-uuid-1"),
    ("root=UUID=1A2B-3C4D ro", "root=UUID=serial-1 ro"),
    ("52:54:00:ab:cd:ef is up", "mac-1 is up"),
    ("/dev/disk/by-id/nvme-Samsung_980_S649NX0T123456A-part2", "/dev/disk/by-serial-1"),
    ("/dev/input/by-id/usb-Logitech_G502_1388355F-event-mouse", "/dev/input/by-id/serial-1"),
    ("serial=S649NX0T123456A,", "serial=serial-1,"),
    ("user alice of desk starts win11-games, not win11", "user user-1 of host-1 starts guest-1, not guest-2"),
    ("/home/alice/vm.qcow2 /home/bob/x", "/home/user-1/vm.qcow2 /home/user-2/x"),
    ("ip=192.168.1.20 via fe80::5054:ff:fe12, 2001:db8:0:0:1:2:3:4", "ip=address-1 via address-2, address-3"),
    ("alice, alice", "user-1, user-1"),
])  # fmt: skip
def test_what_tells_whose_it_is_is_taken_out(text, wanted):
    assert Redactor(KNOWN).text(text) == wanted


@pytest.mark.parametrize("text", [
    "0000:01:00.0 [10de:2684] on nvidia 595.45.04, kernel 6.1.0-56-amd64", "malice and alice2 stay",
    "/var/lib/libvirt/images", "10de:2206:1458:403f", "/sys/bus/pci/devices/0000:01:00.0/driver",
    "1:7.2+dfsg-7+deb12u18", "at 12:30:45, 10:20",
])  # fmt: skip
def test_what_a_hand_off_is_about_stays(text):
    assert Redactor(KNOWN).text(text) == text


def test_keys_stay_and_every_text_below_is_looked_at():
    redactor = Redactor({"guest": "guest"})
    assert redactor.value({"guest": ["guest", {"n": 1, "x": ("guest", None)}]}) == {
        "guest": ["guest-1", {"n": 1, "x": ["guest-1", None]}]}  # fmt: skip


def test_it_counts_what_it_took_out():
    redactor = Redactor(KNOWN)
    redactor.text("alice alice /home/bob/ 52:54:00:ab:cd:ef")
    assert redactor.counts() == {"mac": 1, "user": 2}
