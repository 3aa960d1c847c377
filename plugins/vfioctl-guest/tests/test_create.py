"""What speaks against a new guest, and its steps in their order."""

from __future__ import annotations

from typing import Any

import pytest
from vfioctl_guest.create import Wish, draft, handed_over
from vfioctl_guest.site import Blank, Image, Site

from vfioctl.frozen import replace
from vfioctl.plugin import ChosenCard, Enabling, Finding, Severity, StepProposal
from vfioctl.virt.capabilities import Capabilities
from vfioctl.virt.networks import Network
from vfioctl.virt.nodes import LOCAL, Node

UUID = "9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11"
NODE = Capabilities(
    "kvm", "x86_64", "pc-q35-7.2", "/usr/bin/qemu-system-x86_64", 8, 4 << 30, frozenset({"bios"}), frozenset({"vga"}),
    frozenset(), frozenset({"host-passthrough"}),
)  # fmt: skip
SITE = Site(LOCAL.uri, LOCAL, NODE)
WISH = Wish("web", UUID, 1 << 30, 2)
DISK = Image("/images/web.qcow2", "qcow2")


def codes(wish: Wish = WISH, *disks: Image) -> list[str]:
    return [one.code for one in draft(wish, SITE, disks or (DISK,), ()).findings]


def test_a_guest_that_fits_is_defined_and_nothing_else() -> None:
    made = draft(WISH, SITE, (DISK,), ())
    assert (made.findings, [one.kind for one in made.steps]) == ((), ["domain.define"])
    assert made.steps[0].params["blob"] in made.contents


def test_its_empty_disk_comes_before_it_and_its_start_at_last() -> None:
    empty = replace(DISK, blank=Blank("p", "web.qcow2", 1 << 30, marked=True))
    made = draft(replace(WISH, autostart=True, start=True), SITE, (empty,), ())
    assert [one.kind for one in made.steps] == ["volume.create", "domain.define", "domain.autostart", "domain.start"]
    assert made.steps[1].after == (made.steps[0].id,)
    assert made.notes == {"expects": [f"domain:{UUID}"]}


@pytest.mark.parametrize(("changes", "code"), [
    ({"memory": 8 << 30}, "guest.too_much_memory"), ({"cpus": 9}, "guest.too_many_cpus"),
    ({"firmware": "uefi"}, "guest.no_firmware"), ({"tpm": True}, "guest.no_tpm"),
])  # fmt: skip
def test_what_the_node_does_not_have_is_refused(changes: dict[str, Any], code: str) -> None:
    assert codes(replace(WISH, **changes)) == [code]


def test_a_disk_of_another_one_and_a_cd_are_no_disk() -> None:
    assert codes(WISH, replace(DISK, users=("db",)), replace(DISK, format="iso")) == [
        "guest.disk_in_use", "guest.iso_as_disk",
    ]  # fmt: skip


def test_more_disks_than_there_are_names_for_are_refused_with_the_seed_among_them() -> None:
    disks = tuple(replace(DISK, path=f"/images/{number}.qcow2") for number in range(26))
    assert codes(WISH, *disks) == []
    assert codes(WISH, *disks, DISK) == ["guest.full"]
    seed = replace(DISK, path="/images/seed.iso")
    assert [one.code for one in draft(WISH, SITE, disks, (), seed).findings] == ["guest.full"]


def test_without_anything_to_boot_from_it_is_refused() -> None:
    assert [one.code for one in draft(WISH, SITE, (), ()).findings] == ["guest.nothing_to_boot"]


def test_what_lets_vfioctl_manage_it_comes_after_it_and_before_its_start() -> None:
    files = (
        StepProposal(id="pins", kind="file.write", params={}, reason="r"),
        StepProposal(id="file", kind="file.write", params={}, reason="r", after=("pins",)),
    )
    card = ChosenCard(("0000:01:00.0",), (Finding("card.shared", "It is."),))
    made = handed_over(
        draft(replace(WISH, start=True, hostdevs=card.functions), SITE, (DISK,), ()), card,
        Enabling(files, {"content": b"x"}, (Finding("group.unviable", "It is."),)),
    )  # fmt: skip
    steps = {one.id: one for one in made.steps}
    assert (steps["pins"].after, steps["file"].after) == (("guest:define",), ("pins",))
    assert steps["guest:start"].after == ("guest:define", "file")
    assert "content" in made.contents
    assert [one.code for one in made.findings] == ["card.shared", "group.unviable"]


def test_to_boot_from_a_network_it_must_be_on_one() -> None:
    assert codes(replace(WISH, network_boot=True)) == ["guest.no_boot_network"]


def test_windows_on_a_node_without_its_interfaces_is_made_and_that_is_said() -> None:
    (found,) = draft(replace(WISH, windows=True), SITE, (DISK,), ()).findings
    assert (found.code, found.severity) == ("guest.no_hyperv", Severity.WARN)


def test_what_it_needs_of_its_node_is_started_before_everything_else() -> None:
    empty = replace(DISK, blank=Blank("p", "web.qcow2", 1 << 30, marked=True, later=True))
    started = StepProposal(id="pool", kind="pool.start", params={}, reason="r")
    found = Finding("network.address_in_use", "It is.")
    made = draft(replace(WISH, start=True), SITE, (empty,), ()).after((started,), (found,))
    assert [one.kind for one in made.steps] == ["pool.start", "volume.create", "domain.define", "domain.start"]
    assert all("pool" in one.after for one in made.steps[1:])
    assert made.steps[1].params["later"] is True
    assert made.findings == (found,)


def test_a_network_that_is_not_active_stands_in_the_way_unless_it_is_started() -> None:
    off = Network("u", "idle", active=False, persistent=True, autostart=False, kind="isolated")
    wish, place = replace(WISH, macs=("52:54:00:00:00:01",)), replace(SITE, networks=(off,))
    assert [one.code for one in draft(wish, place, (DISK,), ()).findings] == ["guest.network_off"]
    far = replace(place, node=Node("b", "qemu+ssh://b/system"))
    assert draft(wish, far, (DISK,), ()).findings[-1].hint == "Start it with: vfioctl network start idle --node b"
    assert draft(replace(wish, start=True), place, (DISK,), ()).findings == ()
