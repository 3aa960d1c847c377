"""With AppArmor on, where libvirt confines its daemon, its hooks and its guests: a hand-off, and snapshots."""

from __future__ import annotations

from tests.lab.inside import card, guest, managed, programs
from tests.lab.inside.checks import expect
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario
from tests.lab.scenarios.refusals import rests

ON = "apparmor=1 security=apparmor"
KEPT, KEPT_UUID = "kept", "22222222-2222-4333-8444-555555555555"
DISK = "/var/lib/libvirt/images/kept.qcow2"
DEVICE = "/machine/peripheral/virtio-disk0/virtio-backend"
PLACE = "1M 64k"


@scenario(seconds=90, start="boot", append=ON)
def hand_off(lab: Lab) -> None:
    """Daemon and guest are confined by their profiles; the card goes and comes home, and nothing of ours is denied."""
    rests(lab)
    with lab.check("libvirt's driver for AppArmor is on, and confines the daemon") as said:
        expect(truth="<model>apparmor</model>" in programs.must(["virsh", "capabilities"]), otherwise="it is off")
        profile = _profile(int(programs.unit("libvirtd", "MainPID")))
        expect(truth=profile.startswith("libvirtd"), otherwise=f"libvirtd is {profile!r}")
        said.append(profile)
    before = guest.remember(lab)
    guest.start(lab)
    with lab.check("the guest is confined") as said:
        (pid,) = guest.qemus()
        expect(truth=_profile(pid).startswith("libvirt-"), otherwise=f"QEMU is {_profile(pid)!r}")
        said.append(_profile(pid))
    guest.destroy(lab)
    guest.comes_home(lab, "returned", before)
    managed.has_finished(lab, "returned")
    with lab.check("nothing that vfioctl does was denied") as said:
        denied = [line for line in _log() if 'apparmor="DENIED"' in line]
        ours = [line for line in denied if "vfioctl" in line or "/sys/bus/pci" in line]
        expect(truth=not ours, otherwise="; ".join(ours))
        said.append(f"{len(denied)} other denials")


@scenario(seconds=150, start="boot", append=ON)
def snapshots(lab: Lab) -> None:
    """A confined guest boots and writes through the overlays of its snapshots, made while it is off and running."""
    rests(lab)
    managed.bind()
    _define()
    with lab.check("a snapshot is made while the guest is off, and the guest runs on its overlay, confined") as said:
        managed.run("snapshot", "create", KEPT, "off")
        programs.must(["virsh", "start", KEPT])
        profile = _profile(int(card.read(f"/run/libvirt/qemu/{KEPT}.pid")))
        expect(truth=profile.startswith(f"libvirt-{KEPT_UUID}"), otherwise=f"QEMU is {profile!r}")
        said.append(f"{profile}: {_disk()}")
    with lab.check("it boots from the image below, and its QEMU writes to the overlay"):
        _write(0x22)
        guest.power_off_inside(KEPT)
        _has(0x22)
    with lab.check("a snapshot is made while it runs, and it goes on in the new overlay") as said:
        programs.must(["virsh", "start", KEPT])
        managed.run("snapshot", "create", KEPT, "live")
        expect(truth=".live." in _disk(), otherwise=f"it writes to {_disk()}")
        _write(0x33)
        said.append(_disk())
    with lab.check("that one is deleted while it runs, and it keeps what it has"):
        managed.run("snapshot", "delete", KEPT, "live", "--yes")
        programs.must(["virsh", "destroy", KEPT])
        _has(0x33)
    with lab.check("it goes back, and boots on an overlay over the first image, confined"):
        managed.run("snapshot", "revert", KEPT, "off")
        programs.must(["virsh", "start", KEPT])
        guest.power_off_inside(KEPT)
        _has(0x11)
    with lab.check("nothing of the guest's images was denied") as said:
        denied = [line for line in _log() if 'apparmor="DENIED"' in line]
        ours = [line for line in denied if "/kept" in line]
        expect(truth=not ours, otherwise="; ".join(ours))
        said.append(f"{len(denied)} other denials")


def _define() -> None:
    """A guest without a card, with the boot sector of the lab's guest on a disk that it may write to."""
    programs.must(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", guest.DISK, DISK])
    programs.must(["qemu-img", "resize", "-q", DISK, "4M"])
    programs.must(["qemu-io", "-f", "qcow2", "-c", f"write -P {0x11} {PLACE}", DISK])
    document = guest.xml("no", (), KEPT, KEPT_UUID).replace("<readonly/><shareable/>", "").replace("'raw'", "'qcow2'")
    with open("/run/kept.xml", "w", encoding="utf-8") as file:
        file.write(document.replace(guest.DISK, DISK))
    programs.must(["virsh", "define", "/run/kept.xml"])


def _write(pattern: int) -> None:
    """As the guest does: its QEMU writes. What came of it `_has` sees; the monitor does not say."""
    programs.must(["virsh", "qemu-monitor-command", KEPT, "--hmp", f'qemu-io -d {DEVICE} "write -P {pattern} {PLACE}"'])


def _has(pattern: int) -> None:
    """The guest, which is off, would read `pattern`."""
    done = programs.run(["qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {pattern} {PLACE}", _disk()])
    expect(truth=done.returncode == 0 and "failed" not in done.stdout, otherwise=done.stdout + done.stderr)


def _disk() -> str:
    """What it writes to."""
    return programs.must(["virsh", "domblklist", KEPT]).split()[-1]


def _profile(pid: int) -> str:
    return card.read(f"/proc/{pid}/attr/apparmor/current")


def _log() -> list[str]:
    return programs.must(["journalctl", "--boot", "--no-pager", "--output=cat"]).splitlines()
