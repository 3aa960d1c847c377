"""The desktop's card on the stand-in named amdgpu: console first, unbound alone, kept awake, its settings put back."""

from __future__ import annotations

from tests.lab.inside import card, desktop, guest, managed, programs, standins
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.guests import Guest
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario

BASE = f"/sys/bus/pci/devices/{card.GPU}"
MACHINE = Guest("gamer", 1, guest.CARD)


@scenario(seconds=80, standins=True)
def desktop_card(lab: Lab) -> None:
    """Console off first, then the one card; awake meanwhile; runtime power management is as before, and the picture."""
    _move_desktop(lab)
    with lab.check("the card may sleep, as on a real host"):
        for address in guest.CARD:
            standins.write(f"/sys/bus/pci/devices/{address}/power/control", "auto")
            standins.write(f"/sys/bus/pci/devices/{address}/d3cold_allowed", "1")
    before = card.snapshot()
    MACHINE.define()
    with lab.check("the plan takes the console off first, and leaves the module loaded") as said:
        steps = [step["id"] for step in managed.data("plan", MACHINE.name)["plan"]["steps"]]
        console, awake, bind = (
            next((number for number, name in enumerate(steps) if name.startswith(word)), -1)
            for word in ("vtconsole.unbind", f"sysfs.write:{BASE}", f"driver.bind:{card.GPU}")
        )
        expect(truth=0 <= console < awake < bind, otherwise=f"{steps}")
        expect(truth=not any(name.startswith("module.unload") for name in steps), otherwise=f"{steps}")
        said.extend(steps)
    for label in ("first", "second"):
        MACHINE.start(lab)
        with lab.check(f"{label}: the card is kept out of D3cold, the module stays with nobody on it") as said:
            for address in guest.CARD:
                allowed = card.read(f"/sys/bus/pci/devices/{address}/d3cold_allowed")
                expect(truth=allowed == "0", otherwise=f"d3cold_allowed of {address} is {allowed}")
            expect(truth=standins.refcount("amdgpu") == "0", otherwise=f"amdgpu {standins.refcount('amdgpu')}")
            expect(truth=card.FRAMEBUFFER not in card.consoles(), otherwise=f"consoles {card.consoles()}")
            said.append(f"power/control {card.read(f'{BASE}/power/control')}, consoles {card.consoles()}")
        MACHINE.destroy(lab)
        guest.comes_home(lab, label, before)
        managed.has_finished(lab, label)


@scenario(seconds=60, standins=True)
def vendor_reset(lab: Lab) -> None:
    """With vendor_reset the card is resettable meanwhile; the kernel refuses the method from before, which is told."""
    _move_desktop(lab)
    with lab.check("vendor_reset is loaded") as said:
        programs.must(["modprobe", "vendor_reset"])
        said.append(f"reset_method {card.read(f'{BASE}/reset_method')}")
    before = card.snapshot()
    MACHINE.define()
    MACHINE.start(lab)
    with lab.check("reset_method is device_specific"):
        chosen = card.read(f"{BASE}/reset_method")
        expect(truth=chosen == "device_specific", otherwise=f"reset_method is {chosen!r}")
    MACHINE.destroy(lab)
    # "bus" was found before the kernel knew of the sound function; with it there, it takes "bus" from nobody.
    before[f"{card.GPU} reset_method"] = "device_specific"
    guest.comes_home(lab, "returned", before)
    managed.has_finished(lab, "returned")
    with lab.check("history says what could not be put back") as said:
        shown = managed.run("history", "--format", "json")
        expect(truth="reset_method" in shown and "bus" in shown, otherwise=shown[-3000:])


@scenario(seconds=60, standins=True)
def kernel_refuses(lab: Lab) -> None:
    """A write that the kernel refuses in mid-hand-off: undone, the desktop comes back, and the reason is told.

    The text console cannot be bound again by hand after a BIOS boot; it comes back with the next hand-off.
    """
    _move_desktop(lab)
    with lab.check("vendor_reset is loaded, but knows no such card"):
        programs.must(["modprobe", "vendor_reset", "vendor=0"])
    before = card.snapshot()
    MACHINE.define()
    MACHINE.is_refused(lab, "reset_method", "Invalid argument")
    with lab.check("the greeter is on the card, the picture equal; the console is off") as said:
        eventually(desktop.shows_greeter, 60, desktop.what_runs)
        lab.same_picture(guest.PICTURE)
        changed = card.differences(before, card.snapshot())
        expect(truth=all(line.startswith("console ") for line in changed), otherwise="; ".join(changed))
        said.extend(changed)
    managed.has_finished(lab, "refused")
    with lab.check("vendor_reset knows the card now"):
        programs.must(["modprobe", "-r", "vendor_reset"])
        programs.must(["modprobe", "vendor_reset"])
    MACHINE.start(lab)
    MACHINE.destroy(lab)
    before[f"{card.GPU} reset_method"] = "device_specific"
    guest.comes_home(lab, "returned", before)
    managed.has_finished(lab, "returned")


def _move_desktop(lab: Lab) -> None:
    standins.install(lab)
    with lab.check("the desktop leaves bochs"):
        programs.must(["systemctl", "stop", desktop.MANAGER])
    standins.move(lab, (card.GPU,), standins.AMD, "amdgpu", "amdgpu")
    card.HOME[card.GPU] = "amdgpu"
    with lab.check("the desktop and the console are on amdgpu") as said:
        programs.must(["systemctl", "start", desktop.MANAGER])
        eventually(desktop.shows_greeter, 60, desktop.what_runs)
        lab.channel.ask("still_picture")
        expect(truth=card.consoles().get(card.FRAMEBUFFER) == "1", otherwise=f"consoles {card.consoles()}")
        said.append(card.read("/proc/fb"))
    lab.picture(guest.PICTURE)
