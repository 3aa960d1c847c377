"""With AppArmor on, where libvirt confines its daemon, its hooks and its guests: a hand-off and the way back."""

from __future__ import annotations

from tests.lab.inside import card, guest, managed, programs
from tests.lab.inside.checks import expect
from tests.lab.inside.lab import Lab
from tests.lab.inside.scenario import scenario
from tests.lab.scenarios.refusals import rests

ON = "apparmor=1 security=apparmor"


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


def _profile(pid: int) -> str:
    return card.read(f"/proc/{pid}/attr/apparmor/current")


def _log() -> list[str]:
    return programs.must(["journalctl", "--boot", "--no-pager", "--output=cat"]).splitlines()
