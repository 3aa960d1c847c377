"""The checks that run inside the booted machine, in order; the first that fails ends the run.

    python -I -B tests/lab/inside --venv DIR [--floor]

No units run here, so what is exercised is vfioctl's detached helper; transient units are proven by fakes.
"""

from __future__ import annotations

import argparse
import os
import sys

import card
import daemons
import floor
import guest
import managed
import troubles
from report import CheckError, Report, eventually, expect


def versions() -> dict[str, str]:
    qemu = daemons.must(["qemu-system-x86_64", "--version"]).split("(")[0].split()[-1]
    libvirt = daemons.must(["libvirtd", "--version"]).split()[-1]
    return {"kernel": os.uname().release, "QEMU": qemu, "libvirt": libvirt}


def machine_is_right(report: Report) -> card.Snapshot:
    with report.check("before: the card is on its own drivers, in one group, with a console") as said:
        for address, name in card.HOME.items():
            expect(truth=card.driver(address) == name, otherwise=f"{address} is on {card.driver(address)!r}")
        groups = os.listdir(f"/sys/kernel/iommu_groups/{card.group()}/devices")
        expect(truth={card.GPU, card.SOUND} <= set(groups), otherwise=f"the group holds {groups}")
        expect(truth=card.consoles().get(guest.FRAMEBUFFER) == "1", otherwise=f"consoles {card.consoles()}")
        expect(truth=os.path.exists("/dev/dri/card0"), otherwise="there is no /dev/dri/card0")
        said.append(f"{card.driver(card.GPU)}, {card.driver(card.SOUND)}, group of {sorted(groups)}")
    return card.snapshot()


def rounds(report: Report, before: card.Snapshot, vfioctl: managed.Vfioctl | None) -> None:
    """Twice as managed='no', then as 'yes' in the same daemon: libvirt itself would not give the card back then."""
    for label, mode in (("first", "no"), ("second", "no"), ("managed='yes'", "yes")):
        guest.define(mode)
        guest.start(report, label)
        if vfioctl:
            vfioctl.says_given(report, label)
        guest.stop(report, label)
        if vfioctl:
            vfioctl.has_finished(report, label)
        as_before(report, label, before)


def as_before(report: Report, label: str, before: card.Snapshot) -> None:
    """udev makes its links, and snd_hda_intel finds its codec, some time after the bind has returned."""
    with report.check(f"{label}: the machine is as it was before"):
        try:
            eventually(lambda: not card.differences(before, card.snapshot()), 20, "")
        except CheckError:
            raise CheckError("; ".join(card.differences(before, card.snapshot()))) from None


def all_checks(report: Report, options: argparse.Namespace) -> None:
    report.tell("versions", data=versions())
    before = machine_is_right(report)
    with report.check("dbus, virtlogd and libvirtd run"):
        daemons.prepare_host()
        libvirtd = daemons.Libvirtd()
        libvirtd.restart()
        guest.define("yes")
    if options.floor:
        floor.install()
        vfioctl = None
    else:
        vfioctl = managed.Vfioctl(os.path.join(options.venv, "bin", "vfioctl"))
        vfioctl.set_up(report, guest.NAME)
        guest.define("no")
    libvirtd.restart()  # libvirtd looks for hooks once, when it starts
    if vfioctl:
        vfioctl.shows_facts(report)
    troubles.refused_under_x(report, vfioctl)
    rounds(report, before, vfioctl)
    if vfioctl:
        in_trouble(report, options.venv, before, vfioctl, libvirtd)
        report.tell("history", data=vfioctl.times())


def in_trouble(
    report: Report, venv: str, before: card.Snapshot, vfioctl: managed.Vfioctl, libvirtd: daemons.Libvirtd
) -> None:
    scenarios = {
        "open sound node": lambda: troubles.refused_under_sound(report),
        "broken Python": lambda: troubles.broken_python(report, vfioctl, venv),
        "libvirtd and QEMU killed": lambda: troubles.all_killed(report, vfioctl, libvirtd),
        "libvirtd killed in mid-prepare": lambda: troubles.killed_in_prepare(report, vfioctl, libvirtd),
    }
    for label, scenario in scenarios.items():
        if report.has_time_for(label):
            scenario()
            as_before(report, label, before)


def show_logs() -> None:
    """On stderr, which the outside keeps and prints when a check failed."""
    logs = ("libvirt/libvirtd.log", f"libvirt/qemu/{guest.NAME}.log", "xorg.out")
    for path in (f"/var/log/{name}" for name in logs):
        sys.stderr.write(f"--- {path}\n{card.read(path)[-3000:]}\n")
    for directory, _, names in os.walk("/var/log/vfioctl"):
        for name in names:
            path = os.path.join(directory, name)
            sys.stderr.write(f"--- {path}\n{card.read(path)[-6000:]}\n")
    sys.stderr.write(f"--- dmesg\n{daemons.run(['dmesg']).stdout[-4000:]}\n")
    for key, value in card.snapshot().items():
        sys.stderr.write(f"{key}: {value}\n")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--venv", required=True)
    parser.add_argument("--floor", action="store_true")
    parser.add_argument("--patience", type=float, default=1.0)
    options = parser.parse_args()
    report = Report(options.patience)
    try:
        all_checks(report, options)
    except CheckError:
        show_logs()
    report.tell("times", data={name: round(seconds, 2) for name, seconds in report.times.items()})
    report.tell("end", data=True)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
