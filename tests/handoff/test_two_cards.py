"""Two guests with one NVIDIA card each, on one module: each card comes home, whatever the other guest did to it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from turns import in_turn

from vfioctl.handoff.notes import guest_lock
from vfioctl.host.host import Host
from vfioctl.proc import Completed
from vfioctl.testing import scenarios
from vfioctl.testing.crash import boundaries, crash_at
from vfioctl.testing.domains import UUID, domain
from vfioctl.testing.host import FakeHost
from vfioctl.testing.libvirt import FakeLibvirt
from vfioctl.txn.journal import open_uuids, read_both
from vfioctl.txn.resources import Ledger
from vfioctl.wait import until

MODULES = ("nvidia", "nvidia_modeset", "nvidia_uvm", "nvidia_drm")


@dataclass(frozen=True, slots=True)
class Guest:
    name: str
    uuid: str
    addresses: tuple[str, str]

    @property
    def card(self) -> str:
        return self.addresses[0]

    @property
    def xml(self) -> bytes:
        return domain(self.name, uuid=self.uuid, hostdevs=self.addresses).encode()


A = Guest("a", UUID, ("0000:10:00.0", "0000:10:00.1"))
B = Guest("b", "7f1c2a34-5b6d-4e7f-8a90-b1c2d3e4f507", ("0000:11:00.0", "0000:11:00.1"))


class Rack:
    """A server with two cards on nvidia, and what libvirt does to the two guests."""

    def __init__(self, host: FakeHost) -> None:
        self.host, self.libvirt = host, FakeLibvirt(host)
        self.libvirt.install()
        for guest in (A, B):
            self.libvirt.manage(guest.name)
        self.before = self.state()

    def give(self, guest: Guest) -> int:
        return self.libvirt.start(guest.name, guest.uuid, guest.xml, addresses=guest.addresses).status

    def take(self, guest: Guest) -> None:
        assert self.libvirt.stop(guest.name, guest.xml).status == 0
        assert self.at_rest(guest)

    def at_rest(self, guest: Guest) -> bool:
        """Whether nobody works on the guest any more, be it home or not."""
        lock, unit = guest_lock(self.host.paths, guest.uuid), f"system/vfioctl-finish-{guest.uuid}.service"
        return until(lambda: unit not in self.host.kernel.units() and not lock.is_held_elsewhere(), 40)

    def has_passed(self, boundary: int) -> bool:
        return len(boundaries(self.host.root)) >= boundary

    def driver(self, guest: Guest) -> str | None:
        link = self.host.paths.pci(guest.card, "driver")
        return os.path.basename(os.readlink(link)) if os.path.lexists(link) else None

    def loaded(self) -> tuple[str, ...]:
        return tuple(name for name in MODULES if os.path.exists(self.host.paths.at("sys/module", name)))

    def recover(self) -> Completed:
        return self.command("recover")

    def command(self, *arguments: str) -> Completed:
        return self.host.programs.run((*self.host.argv, *arguments), deadline=60)

    def last(self, guest: Guest) -> dict[str, object]:
        return json.loads(Path(self.host.paths.last(guest.name)).read_text())

    def state(self) -> dict[str, object]:
        """What a hand-off changes. Not the numbers of DRM cards: who comes home first has the first."""
        paths, host = self.host.paths, Host(self.host.paths, self.host.programs)
        home = [guest.card for guest in (A, B) if self.driver(guest) == "nvidia"]
        return {
            "devices": [host.device(address) for guest in (A, B) for address in guest.addresses],
            "screens": [len(os.listdir(paths.pci(card, "drm"))) for card in home],
            "modules": self.loaded(), "open": open_uuids(paths), "ledger": Ledger(paths).entries(),
        }  # fmt: skip

    def is_as_before(self) -> bool:
        assert self.state() == self.before
        return True


@pytest.fixture
def rack(tmp_path):
    with FakeHost(scenarios.rack(2), tmp_path) as host:
        yield Rack(host)


def both_given(rack: Rack, *order: Guest) -> None:
    for guest in order:
        assert rack.give(guest) == 0
    assert rack.loaded() == (), "the last card takes the module with it"


@pytest.mark.parametrize("given", [(A, B), (B, A)], ids=["a-then-b", "b-then-a"])
@pytest.mark.parametrize("back", [(A, B), (B, A)], ids=["a-home-first", "b-home-first"])
def test_the_cards_come_home_in_any_order(rack, given, back):
    both_given(rack, *given)
    for guest in back:
        rack.take(guest)
        assert rack.driver(guest) == "nvidia"
        assert rack.loaded() == MODULES, "without nvidia_drm the card has no screen"
    assert rack.is_as_before()


def test_the_card_of_the_guest_that_still_runs_is_not_disturbed(rack):
    both_given(rack, A, B)
    rack.take(A)
    assert (rack.driver(A), rack.driver(B)) == ("nvidia", "vfio-pci")
    rack.take(B)
    assert rack.is_as_before()


def test_a_guest_may_start_again_before_the_other_one_stops(rack):
    both_given(rack, A, B)
    rack.take(A)
    assert rack.give(A) == 0
    rack.take(B)
    assert (rack.driver(A), rack.driver(B)) == ("vfio-pci", "nvidia")
    rack.take(A)
    assert rack.is_as_before()


BOUNDARIES = in_turn(range(1, 13, 2), always=[1, 7])  # as in the matrix of all crashes


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("first", [A, B], ids=["a", "b"])
def test_a_return_that_is_killed_brings_the_card_home_all_the_same(rack, first, boundary):
    """The shim runs undo.sh after a hook that was killed; what was killed after it is finished by `recover`."""
    both_given(rack, A, B)
    crash_at(rack.host.root, boundary)
    rack.libvirt.stop(first.name, first.xml)
    assert until(lambda: rack.has_passed(boundary) or first.uuid not in open_uuids(rack.host.paths), 30)
    crash_at(rack.host.root, None)
    assert rack.at_rest(first)
    assert rack.recover().ok
    assert (rack.driver(first), rack.loaded()) == ("nvidia", MODULES)
    rack.take(B if first is A else A)
    assert rack.is_as_before()


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_start_that_is_killed_after_the_module_went_keeps_no_card_from_home(rack, boundary):
    assert rack.give(A) == 0
    crash_at(rack.host.root, boundary)
    rack.give(B)
    crash_at(rack.host.root, None)
    rack.take(A)
    assert rack.recover().ok
    assert (rack.driver(A), rack.driver(B)) == ("nvidia", "nvidia")
    assert rack.is_as_before()


def test_undo_sh_loads_the_modules_that_the_other_guest_has_unloaded(rack):
    both_given(rack, A, B)
    rack.libvirt.end("a")
    script = os.path.join(rack.host.paths.guest_markers("a"), "undo.sh")
    assert rack.host.programs.run(("/bin/sh", script), deadline=60).ok
    assert (rack.driver(A), rack.loaded()) == ("nvidia", MODULES)


def test_a_start_waits_for_nobody_but_the_cards_on_its_module(rack):
    assert rack.give(A) == 0
    story = read_both(rack.host.paths, A.uuid)
    assert story
    assert "module:nvidia" in story.plan.resources
    assert not any(name.startswith("module:snd") for name in story.plan.resources)


# A card that is not at its driver


def lost(rack: Rack) -> None:
    """A's card is back, and its module cannot be loaded."""
    both_given(rack, A, B)
    rack.host.kernel.fail_module("nvidia", count=-1)
    rack.take(A)


def test_a_card_without_its_driver_is_a_failed_return(rack):
    lost(rack)
    assert rack.driver(A) is None
    last = rack.last(A)
    assert (last["ok"], last["code"]) == (False, "return.unfinished")
    assert "The module nvidia could not be loaded" in str(last["message"])
    assert "FAILED: release of a" in rack.command("status").stdout
    assert "failed" in rack.command("history").stdout


def test_recover_says_so_and_finishes_it_once_the_module_can_be_loaded(rack):
    lost(rack)
    ended = rack.recover()
    assert not ended.ok
    assert "not everything came home" in ended.stderr
    rack.host.kernel.release()
    ended = rack.recover()
    assert ended.ok, ended.stderr
    assert "everything is home" in ended.stdout
    assert (rack.driver(A), rack.loaded()) == ("nvidia", MODULES)
    assert rack.last(A)["ok"]
    rack.take(B)
    assert rack.is_as_before()


def test_the_return_of_the_other_guest_does_not_finish_it_and_is_not_kept_from_home(rack):
    lost(rack)
    rack.host.kernel.release()
    rack.take(B)
    assert rack.driver(B) == "nvidia"
    assert rack.recover().ok
    assert rack.is_as_before()


def test_a_card_that_somebody_put_on_another_driver_is_told_once_and_then_accepted(rack):
    assert rack.give(A) == 0
    rack.libvirt.end("a")
    for name, text in (("driver_override", "e1000e\n"), ("driver/unbind", A.card)):
        Path(rack.host.paths.pci(A.card, name)).write_text(text)
    Path(rack.host.paths.at("sys/bus/pci/drivers_probe")).write_text(A.card)
    assert rack.driver(A) == "e1000e"
    rack.libvirt.gone("a", A.xml)
    assert rack.at_rest(A)
    last = rack.last(A)
    assert not last["ok"]
    assert f"{A.card} is on e1000e, not on nvidia" in str(last["message"])
    ended = rack.recover()
    assert ended.ok, ended.stderr
    assert "everything is home; not seen" in ended.stdout
    assert open_uuids(rack.host.paths) == ()
