"""With AppArmor on, where libvirt confines its daemon, its hooks and its guests: a hand-off, snapshots, a new guest."""

from __future__ import annotations

from xml.etree import ElementTree as ET

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
MADE, POOL, VOLUME = "made", "store", "extra"
PLACE_OF_POOL, IMAGE = "/var/lib/libvirt/store", "/root/boot.qcow2"


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
    _none_was_denied(lab, "/kept")


@scenario(seconds=180, start="boot", append=ON)
def new_guest(lab: Lab) -> None:
    """A confined guest that vfioctl made opens its template's image and its seed, and writes to an attached volume."""
    rests(lab)
    managed.bind()
    with lab.check("a pool, a template with the boot sector, and a volume are made"):
        programs.must(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", guest.DISK, IMAGE])
        managed.run("pool", "create", POOL, "--path", PLACE_OF_POOL)
        managed.run("template", "add", "boot", "--pool", POOL, "--file", IMAGE)
        managed.run("volume", "create", POOL, VOLUME, "--size", "4M")
    with lab.check("it starts, confined, with its disk above the template and its seed") as said:
        wish = ("--memory", "256M", "--pool", POOL, "--template", "boot", "--hostname", MADE)
        managed.run("guest", "create", MADE, *wish)
        managed.run("guest", "start", MADE)
        profile = _profile(int(card.read(f"/run/libvirt/qemu/{MADE}.pid")))
        expect(truth=profile.startswith("libvirt-"), otherwise=f"QEMU is {profile!r}")
        shown = programs.must(["virsh", "domblklist", MADE])
        expect(truth=f"{MADE}-seed.iso" in shown, otherwise=shown)
        said.append(profile)
    with lab.check("a volume is attached while it runs, and its QEMU writes to it"):
        managed.run("guest", "attach", MADE, "--volume", f"{POOL}/{VOLUME}")
        _write(0x44, MADE, _device(VOLUME))
    with lab.check("it has what was written, and the guest goes with all that is its own"):
        managed.run("guest", "stop", MADE, "--force")
        _has(0x44, f"{PLACE_OF_POOL}/{VOLUME}")
        managed.run("guest", "delete", MADE, "--yes", "--keep-disks")
    _none_was_denied(lab, PLACE_OF_POOL)


def _none_was_denied(lab: Lab, what: str) -> None:
    with lab.check("nothing of the guest's images was denied") as said:
        denied = [line for line in _log() if 'apparmor="DENIED"' in line]
        ours = [line for line in denied if what in line]
        expect(truth=not ours, otherwise="; ".join(ours))
        said.append(f"{len(denied)} other denials")


def _device(volume: str) -> str:
    """The device of the running guest with that volume, as its QEMU calls it."""
    disks = ET.fromstring(programs.must(["virsh", "dumpxml", MADE])).findall("devices/disk")
    files = [one.get("file", "") for disk in disks for one in disk.findall("source")]
    names = [one.get("name") for disk in disks for one in disk.findall("alias")]
    (found,) = (name for name, file in zip(names, files, strict=True) if file.endswith(f"/{volume}"))
    return f"/machine/peripheral/{found}/virtio-backend"


def _define() -> None:
    """A guest without a card, with the boot sector of the lab's guest on a disk that it may write to."""
    programs.must(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", guest.DISK, DISK])
    programs.must(["qemu-img", "resize", "-q", DISK, "4M"])
    programs.must(["qemu-io", "-f", "qcow2", "-c", f"write -P {0x11} {PLACE}", DISK])
    document = guest.xml("no", (), KEPT, KEPT_UUID).replace("<readonly/><shareable/>", "").replace("'raw'", "'qcow2'")
    with open("/run/kept.xml", "w", encoding="utf-8") as file:
        file.write(document.replace(guest.DISK, DISK))
    programs.must(["virsh", "define", "/run/kept.xml"])


def _write(pattern: int, name: str = KEPT, device: str = DEVICE) -> None:
    """As the guest does: its QEMU writes. What came of it `_has` sees; the monitor does not say."""
    programs.must(["virsh", "qemu-monitor-command", name, "--hmp", f'qemu-io -d {device} "write -P {pattern} {PLACE}"'])


def _has(pattern: int, image: str = "") -> None:
    """The guest, which is off, would read `pattern` from its disk, or from another image."""
    done = programs.run(["qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {pattern} {PLACE}", image or _disk()])
    expect(truth=done.returncode == 0 and "failed" not in done.stdout, otherwise=done.stdout + done.stderr)


def _disk() -> str:
    """What it writes to."""
    return programs.must(["virsh", "domblklist", KEPT]).split()[-1]


def _profile(pid: int) -> str:
    return card.read(f"/proc/{pid}/attr/apparmor/current")


def _log() -> list[str]:
    return programs.must(["journalctl", "--boot", "--no-pager", "--output=cat"]).splitlines()
