"""The whole way of a newcomer, by the commands that a tutorial prints: from a bare host to a guest with its card, and
back. What is typed besides only makes the host that the tutorial begins with, and gives a slow machine its time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.lab.inside import card, desktop, filesystem, guest, managed, programs, settle, tutorial
from tests.lab.inside.checks import eventually, expect
from tests.lab.inside.lab import Lab

FILES = Path("/lab/files")
PAGE = FILES / "first-card.md"
HOME = Path("/root")
BEFORE = Path("/var/log/before.json")  # which lasts over a boot, and is not compared
NAME = "win11"
RESTART = "systemctl reboot"
DOCTOR = "vfioctl doctor"
DEADLINE = 300.0


def begin(lab: Lab) -> None:
    """The host of the tutorial: its loader's menu, a guest without a card, the package at hand. Then it is listed."""
    settle.run(lab)
    with lab.check("the host that the tutorial begins with") as said:
        said.append(programs.must(["sh", "-c", lab.memory["menu"]], DEADLINE))
        shutil.copy(FILES / "disk.raw", guest.DISK)
        shutil.chown(guest.DISK, "libvirt-qemu", "libvirt-qemu")  # as libvirt leaves a shareable one
        guest.define("no", (), NAME)
        (package,) = FILES.glob("*.deb")
        shutil.copy(package, HOME)
    with lab.check("the IOMMU is off") as said:
        expect(truth=_words() == ["intel_iommu=off"] and not _iommus(), otherwise=f"{_words()}, {_iommus()}")
        said.append(card.read("/proc/cmdline"))
    lab.picture(guest.PICTURE)
    with lab.check("every file is listed") as said:
        BEFORE.write_text(json.dumps({"files": filesystem.listing(), "card": card.snapshot()}))
        said.append(f"{len(_before()['files'])} of them")
    _type(lab, 0)


def after_restart(lab: Lab) -> None:
    settle.run(lab)
    lab.same_picture(guest.PICTURE)
    _type(lab, lab.memory["next"])


def _type(lab: Lab, first: int) -> None:
    """The commands of the page from this one on; what each is to have done is looked at before the next."""
    typed = tutorial.commands(PAGE.read_text())
    unknown = [command for command in THEN if command not in typed]
    expect(truth=not unknown, otherwise=f"the page has no {unknown}")
    for number, command in enumerate(typed[first:], first):
        if command == RESTART:
            lab.shut_down(after_restart, next=number + 1)
        said = _obey(lab, command)
        for look in THEN.get(command, ()):
            look(lab, said)
    _is_as_before(lab)


def _obey(lab: Lab, command: str) -> str:
    """What it says. doctor alone may fail: it says by its status whether it has found an error."""
    with lab.check(f"$ {command}"):
        done = programs.run(["sh", "-c", f"cd {HOME} && {command} 2>&1"], DEADLINE)
        lab.channel.tell("typed", command=command, said=done.stdout)
        bad = done.returncode and command != DOCTOR
        expect(truth=not bad, otherwise=f"it ended with {done.returncode}: {done.stdout}")
    return done.stdout


def _has_time(*_: object) -> None:
    """A plan and a prepare may take longer here: the machine is emulated, and many times slower than hardware."""
    for deadline in ("deadlines.plan", "deadlines.prepare"):
        managed.run("config", "set", deadline, "240")


def _tells_whether_iommu_is_off(lab: Lab, said: str) -> None:
    with lab.check("doctor says that the IOMMU is off, as long as it is"):
        expect(truth=("[iommu.kernel_off]" in said) == (not _iommus()), otherwise=said)


def _has_no_card_yet(lab: Lab, _: str) -> None:
    with lab.check("the card is where it was"):
        expect(truth=card.is_home() and desktop.shows_greeter(), otherwise=card.where())


def _has_iommu(lab: Lab, _: str) -> None:
    with lab.check("the IOMMU is on by the loader's own menu") as said:
        expect(truth=_words() == ["intel_iommu=on"] and bool(_iommus()), otherwise=f"{_words()}, {_iommus()}")
        said.append(card.read("/proc/cmdline"))
    lab.memory["card"] = card.snapshot()


def _runs_with_card(lab: Lab, _: str) -> None:
    with lab.check("the guest has the card"):
        guest.has_card()


def _card_is_back(lab: Lab, _: str) -> None:
    with lab.check("the guest is off"):
        eventually(lambda: guest.state(NAME) == "shut off", 60, lambda: guest.state(NAME))
    guest.comes_home(lab, "stopped", lab.memory["card"])
    managed.has_finished(lab, "stopped")


def _files_are_as_before(lab: Lab, _: str) -> None:
    with lab.check("the file system is the first one") as said:
        before = _before()["files"]
        before.pop("/opt", None)  # which dpkg removes when it is empty: base-files makes it, but it is no package's
        found = filesystem.differences(before, filesystem.listing())
        expect(truth=not found, otherwise="\n".join(found))
        said.append(f"but for {', '.join(filesystem.CHANGES_BY_ITSELF)}")


def _is_as_before(lab: Lab) -> None:
    with lab.check("the IOMMU is off as it was"):
        expect(truth=_words() == ["intel_iommu=off"] and not _iommus(), otherwise=f"{_words()}, {_iommus()}")
    with lab.check("the card and the desktop are as before"):
        differ = card.differences(_before()["card"], card.snapshot())
        expect(truth=not differ and desktop.shows_greeter(), otherwise="; ".join(differ))
    lab.same_picture(guest.PICTURE)


def _words() -> list[str]:
    """What the kernel's command line says of the IOMMU; the rest stands in files, which are compared."""
    return [word for word in card.read("/proc/cmdline").split() if "iommu" in word]


def _iommus() -> list[str]:
    return sorted(path.name for path in Path("/sys/class/iommu").iterdir())


def _before() -> dict[str, dict[str, str]]:
    kept: dict[str, dict[str, str]] = json.loads(BEFORE.read_text())
    return kept


THEN: dict[str, tuple[Callable[[Lab, str], None], ...]] = {
    "apt install ./vfioctl_*_all.deb": (_has_time,),
    DOCTOR: (_tells_whether_iommu_is_off,),
    "vfioctl gpu list": (_has_iommu,),
    f"vfioctl enable {NAME} --gpu first-free --yes": (_has_no_card_yet,),
    f"vfioctl guest start {NAME}": (_runs_with_card,),
    f"vfioctl guest stop {NAME}": (_card_is_back,),
    "apt purge -y vfioctl": (_files_are_as_before,),
}
