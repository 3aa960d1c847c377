"""`vfioctl setup --early` on a machine whose own loader and initramfs boot it: vfio-pci comes before the driver."""

from __future__ import annotations

from pathlib import Path

from tests.lab.inside import card, filesystem, guest, managed, programs, settle
from tests.lab.inside.checks import expect
from tests.lab.inside.lab import Lab

FILES = Path("/lab/files")
DRIVER = "xhci_hcd"
SETTINGS = "/etc"
DEADLINE = 600.0


def begin(lab: Lab) -> None:
    """The host gets its loader's menu and vfioctl, and is told to leave its USB controller alone."""
    settle.run(lab)
    (package,) = FILES.glob("*.deb")
    with lab.check("vfioctl is installed"):
        programs.must(["sh", "-c", lab.memory["menu"]], DEADLINE)
        programs.must(["apt", "install", "-y", str(package)], DEADLINE)
    with lab.check("its own driver has the controller"):
        expect(truth=card.driver(guest.USB) == DRIVER, otherwise=card.driver(guest.USB))
    before = filesystem.listing(SETTINGS)
    with lab.check(f"vfioctl setup --early {guest.USB}") as said:
        said.append(programs.must(["vfioctl", "setup", "--early", guest.USB, "--yes"], DEADLINE))
    lab.shut_down(after_setup, before=before)


def after_setup(lab: Lab) -> None:
    settle.run(lab)
    with lab.check("vfio-pci has had it since the boot") as said:
        expect(truth=card.driver(guest.USB) == "vfio-pci", otherwise=card.driver(guest.USB))
        told = [line for line in programs.must(["dmesg"]).splitlines() if guest.USB in line]
        expect(truth=not any(DRIVER in line for line in told), otherwise="\n".join(told))
        said.extend(told)
    with lab.check("vfioctl setup finds nothing to do"):
        shown = managed.run("setup", "--early", guest.USB, "--dry-run")
        expect(truth="Nothing is to be changed from here." in shown, otherwise=shown)
    with lab.check("vfioctl setup --undo"):
        programs.must(["vfioctl", "setup", "--undo", "--yes"], DEADLINE)
    with lab.check("every file of the settings is as before"):
        found = filesystem.differences(lab.memory["before"], filesystem.listing(SETTINGS))
        expect(truth=not found, otherwise="\n".join(found))
    lab.shut_down(after_undo)


def after_undo(lab: Lab) -> None:
    settle.run(lab)
    with lab.check("its own driver has it again"):
        expect(truth=card.driver(guest.USB) == DRIVER, otherwise=card.driver(guest.USB))
