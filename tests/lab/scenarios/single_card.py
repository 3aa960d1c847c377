"""One card with the desktop on it: every way a guest can end brings both home, pixel by pixel."""

from __future__ import annotations

import os

from tests.lab.inside import card, desktop, guest, managed, programs, users
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario


@scenario(seconds=45)
def ways_to_end(lab: Lab) -> None:
    """The guest powers off from inside, and QEMU gets SIGKILL: after both, card, desktop and picture are as before."""
    before = guest.remember(lab)
    for label, end in (("power-off from inside", guest.power_off_inside), ("SIGKILL of QEMU", guest.kill_qemu)):
        guest.start(lab, label)
        with lab.check(f"{label}: the guest is off"):
            end()
            eventually(lambda: guest.state() == "shut off", 60, guest.state)
        guest.comes_home(lab, label, before)
        managed.has_finished(lab, label)


@scenario(seconds=100)
def managed_yes(lab: Lab) -> None:
    """managed='yes' in a fresh daemon, then 'no', then 'yes' again: the card comes home each time."""
    before = guest.remember(lab)
    for label, mode in (("'yes', fresh daemon", "yes"), ("'no' after 'yes'", "no"), ("'yes' after 'no'", "yes")):
        guest.define(mode)
        guest.start(lab, label)
        guest.destroy(lab, label)
        guest.comes_home(lab, label, before)
        managed.has_finished(lab, label)


@scenario(seconds=27)
def usb_controller(lab: Lab) -> None:
    """A USB controller goes with the card, and comes back with it."""
    before = guest.remember(lab)
    with lab.check("the host drives it"):
        expect(truth=card.driver(guest.USB) == "xhci_hcd", otherwise=f"it is on {card.driver(guest.USB)!r}")
        buses = usb_buses()
    guest.define("no", (*guest.CARD, guest.USB))
    guest.start(lab)
    with lab.check("the guest has the controller, too"):
        expect(truth=card.driver(guest.USB) == "vfio-pci", otherwise=f"it is on {card.driver(guest.USB)!r}")
    guest.destroy(lab)
    guest.comes_home(lab, "both", before)
    with lab.check("its driver and its buses are back"):
        eventually(lambda: card.driver(guest.USB) == "xhci_hcd", 30, f"it is on {card.driver(guest.USB)!r}")
        eventually(lambda: usb_buses() == buses, 30, lambda: f"{buses} became {usb_buses()}")
    managed.has_finished(lab, "both")


def usb_buses() -> list[str]:
    """USB buses of the controller, without their numbers."""
    return sorted(
        name.rstrip("0123456789") for name in os.listdir(f"/sys/bus/pci/devices/{guest.USB}") if "usb" in name
    )


@scenario(seconds=15)
def session_is_kept(lab: Lab) -> None:
    """A logged-in user's session on the card refuses the start by default: user and session are named, it lives on."""
    users.log_in(lab)
    lab.picture("desktop")
    with lab.check("virsh start is refused and names the user") as said:
        done = programs.run(["virsh", "start", guest.NAME])
        expect(truth=done.returncode != 0, otherwise="the guest started")
        expect(truth=users.NAME in done.stderr, otherwise=f"no {users.NAME} in: {done.stderr.strip()}")
        said.append(done.stderr.strip().rpartition("exit status")[2])
    with lab.check("the session lives on, the picture is the same"):
        expect(truth=card.is_home(), otherwise=card.where())
        expect(truth=users.has_desktop(), otherwise=users.what_runs())
        lab.same_picture("desktop", 10)
    managed.has_finished(lab, "refused")


@scenario(seconds=45)
def session_is_ended(lab: Lab) -> None:
    """With session = "end" the user's desktop ends, the user's SSH session survives, and the desktop comes back."""
    users.log_in(lab)
    lab.picture("desktop")
    before = card.snapshot()
    with lab.check("the user has an SSH session as well"):
        rescue = users.ssh()
    managed.run("config", "set", "session", "end", "--guest", guest.NAME)
    guest.start(lab)
    with lab.check("the desktop's session has ended, the one over SSH lives"):
        expect(truth=not users.has_desktop(), otherwise=users.what_runs())
        expect(truth=rescue.poll() is None, otherwise="the SSH session has ended")
    guest.destroy(lab)
    with lab.check("card and desktop are back, with the picture from before"):
        eventually(lambda: not card.differences(before, card.snapshot()), 60, card.where)
        eventually(users.has_desktop, 60, users.what_runs)
        expect(truth="Xorg" in card.openers(desktop.NODE).values(), otherwise=desktop.what_runs())
        lab.same_picture("desktop")
    with lab.check("the SSH session still lives"):
        expect(truth=rescue.poll() is None, otherwise="the SSH session has ended")
    managed.has_finished(lab, "returned")
