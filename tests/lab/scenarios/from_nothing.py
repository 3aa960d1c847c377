"""A guest that is made from nothing: with one command it has a disk and the card, and with one it is gone again."""

from __future__ import annotations

import glob
import os

from tests.lab.inside import card, desktop, guest, managed, programs
from tests.lab.inside.checks import expect
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario

NAME = "fresh"
IMAGES = "/var/lib/libvirt/images"
WISH = ("guest", "create", NAME, "--memory", "256M", "--disk", "16M", "--gpu", "first-free")


@scenario(seconds=120)
def gpu(lab: Lab) -> None:
    """guest create --gpu, start, stop, delete: the guest has the card, then card, desktop and files are as before."""
    _make_room(lab)
    before, files = guest.remember(lab), _files()
    with lab.check("a dry run shows both functions and the guest file, and makes nothing") as said:
        shown = managed.data(*WISH, "--dry-run")
        expect(truth=shown["guest"]["devices"] == list(guest.CARD), otherwise=f"it names {shown['guest']['devices']}")
        expect(truth=_files() == files and not _is_known(), otherwise=f"there are {_files()}")
        said.append(", ".join(step["kind"] for step in shown["steps"]))
    with lab.check("guest create makes guest, disk, guest file and pin; the card stays where it is"):
        made = managed.data(*WISH)["guest"]
        expect(truth=card.is_home() and desktop.shows_greeter(), otherwise=card.where())
        for path in (f"/etc/vfioctl/guests/{NAME}.toml", f"/var/lib/vfioctl/identity/{made['uuid']}.json"):
            expect(truth=os.path.exists(path), otherwise=f"there is no {path}")
    with lab.check("the same card is not free for a second one"):
        refused = programs.run(["vfioctl", *WISH[:2], "second", *WISH[3:], "--dry-run"])
        expect(truth=refused.returncode != 0 and NAME in refused.stderr, otherwise=refused.stdout + refused.stderr)
    with lab.check("guest start: the guest has the card"):
        lab.time("guest start", _timed("guest", "start", NAME))
        guest.has_card()
    with lab.check("guest stop"):
        lab.time("guest stop", _timed("guest", "stop", NAME, "--force"))
    guest.comes_home(lab, "stopped", before)
    managed.has_finished(lab, "stopped")
    with lab.check("guest delete takes everything along, and the card is where it was"):
        managed.run("guest", "delete", NAME, "--yes")
        expect(truth=_files() == files, otherwise=f"left: {sorted(set(_files()) - set(files))}")
        expect(truth=not _is_known() and card.is_home(), otherwise=card.where())


def _make_room(lab: Lab) -> None:
    """The lab's own guest has the card in its domain."""
    managed.bind()
    with lab.check("the card is nobody's, and there is a pool"):
        for deadline in ("deadlines.prepare", "deadlines.plan"):  # a slow machine has its time: this is about the guest
            managed.run("config", "set", deadline, "240")
        managed.run("disable", guest.NAME)
        programs.must(["virsh", "undefine", guest.NAME])
        managed.run("pool", "create", "default", "--path", IMAGES)


def _timed(*words: str) -> float:
    done, seconds = programs.timed(["vfioctl", *words])
    expect(truth=done.returncode == 0, otherwise=done.stdout + done.stderr)
    return seconds


def _files() -> list[str]:
    """What is kept for guests: their files, pins, what `enable` found, their disks."""
    places = ("/etc/vfioctl/guests", "/var/lib/vfioctl/identity", "/var/lib/vfioctl/domains", IMAGES)
    return sorted(path for place in places for path in glob.glob(f"{place}/*"))


def _is_known() -> bool:
    return NAME in programs.must(["virsh", "list", "--all", "--name"]).split()
