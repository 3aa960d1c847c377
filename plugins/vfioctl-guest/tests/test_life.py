"""What the verbs of a guest's life do without libvirt: pictures, lines, and what a guest that has a card may not."""

from __future__ import annotations

import struct
import zlib

import pytest
from vfioctl_guest import life_views
from vfioctl_guest.life import Subject, must_keep_nothing_of_the_host, must_not_be_saved
from vfioctl_guest.picture import PNG, as_png

from vfioctl.plugin import Guest, Refused, VfioctlError

CARD = "<domain><devices><hostdev mode='subsystem' type='pci'/></devices></domain>"


def subject(*, state: str = "running", saved: bool = False, xml: str = "<domain/>", node: str = "local") -> Subject:
    guest = Guest("3f0c9a52-0000-4000-8000-000000000001", "win11", state, persistent=True, saved=saved, xml=xml)
    uri = "qemu:///system" if node == "local" else f"qemu+ssh://{node}/system"
    return Subject(guest, node, uri, node == "local", managed=False)


def test_a_guest_with_a_device_of_its_host_is_not_saved():
    must_keep_nothing_of_the_host(subject())
    with pytest.raises(Refused) as caught:
        must_keep_nothing_of_the_host(subject(xml=CARD))
    assert caught.value.code == "guest.host_devices"


def test_what_is_typed_next_names_the_node_where_that_is_another_one():
    with pytest.raises(Refused) as caught:
        must_not_be_saved(subject(state="saved", saved=True, node="rack7"))
    assert caught.value.hints == (
        "Start it with: vfioctl guest start win11 --node rack7",
        "Or give its memory up: vfioctl guest discard-saved win11 --node rack7",
    )


# Pictures


def decoded(png: bytes) -> tuple[int, int, bytes]:
    """Width, height and pixels of a PNG without filters."""
    width, height = struct.unpack(">II", png[16:24])
    start = png.index(b"IDAT")
    length = struct.unpack(">I", png[start - 4 : start])[0]
    lines = zlib.decompress(png[start + 4 : start + 4 + length])
    rows = [lines[at + 1 : at + 1 + 3 * width] for at in range(0, len(lines), 3 * width + 1)]
    return width, height, b"".join(rows)


def test_a_png_stays_as_it_is():
    assert as_png(PNG + b"rest", "image/png") == PNG + b"rest"


def test_a_ppm_becomes_a_png_of_the_same_pixels():
    pixels = bytes(range(2 * 3 * 3))
    assert decoded(as_png(b"P6\n2 3\n255\n" + pixels, "image/x-portable-pixmap")) == (2, 3, pixels)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"P6\n2 3\n255\nshort"])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(VfioctlError) as caught:
        as_png(data, "image/x")
    assert caught.value.code == "guest.no_picture"


# Lines

FIGURES = {
    "guest": "win11", "node": "local", "state": "running", "cpus": 2, "cpu_time": 12.34, "memory": 2 << 30,
    "resident": 1 << 30, "unused": None, "disk_read": 3 << 20, "disk_written": 0, "disk_requests": 7,
    "received": 1024, "sent": 0,
}  # fmt: skip


def test_figures_are_a_line_each():
    assert list(life_views.stats({"stats": FIGURES})) == [
        "win11 on local: running",
        "  processor  12.3 s of 2 CPUs",
        "  memory     2.0 GiB, 1.0 GiB of the host",
        "  disks      3.0 MiB read, 0 B written, 7 requests",
        "  network    1 KiB received, 0 B sent",
    ]


def test_rates_are_what_was_used_between_two_looks():
    now = {**FIGURES, "cpu_time": 14.34, "disk_read": 5 << 20}
    line = life_views.rates(FIGURES, now, 2.0, head=False)
    assert line.split()[:5] == ["100%", "2.0", "GiB", "1.0", "MiB"]
    assert life_views.rates(FIGURES, now, 2.0, head=True).splitlines()[1] == line


def test_what_was_done_is_a_sentence_and_nothing_to_do_says_nothing():
    said = {"guest": "win11", "dry_run": False, "steps": [], "operation": {"operation": "guest stop", "ok": True}}
    assert list(life_views.changed(said)) == ["Guest win11 is off."]
    assert list(life_views.changed({**said, "operation": None})) == []
    step = {"kind": "domain.stop", "resource": "domain:x", "reason": "it is asked"}
    assert len(list(life_views.changed({**said, "dry_run": True, "steps": [step]}))) == 2


def test_addresses_stand_below_each_other():
    rows = [{"address": one, "mac": "52:54:00:00:00:01", "source": "lease"} for one in ("10.0.0.1", "2001:db8::1")]
    assert list(life_views.addresses({"addresses": rows})) == [
        "10.0.0.1     52:54:00:00:00:01  lease", "2001:db8::1  52:54:00:00:00:01  lease",
    ]  # fmt: skip
