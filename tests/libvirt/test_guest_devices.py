"""`vfioctl guest attach`, `detach`, `eject` and `set` on a real libvirtd, of guests that run and that are off."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from living import Living

from vfioctl.wait import until

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")

SCSI = "<controller type='scsi' model='virtio-scsi'/>"
POOL = "disks"


@pytest.fixture(scope="module")
def host(bare_host: Any) -> Any:
    (bare_host.place / "pool").mkdir()
    (bare_host.place / "pool/one.iso").write_bytes(bytes(0x8001) + b"CD001" + bytes(1 << 15))
    bare_host.lab.virsh("pool-define-as", POOL, "dir", "--target", str(bare_host.place / "pool"))
    bare_host.lab.virsh("pool-start", POOL)
    return bare_host


@pytest.fixture
def guest(host: Any) -> Iterator[Living]:
    made = Living(host, devices=SCSI)
    host.lab.virsh("vol-create-as", POOL, made.name, "1M", "--format", "qcow2")
    yield made
    made.remove()


@pytest.fixture
def other(host: Any) -> Iterator[Living]:
    made = Living(host)
    yield made
    made.remove()


def disks(guest: Living, *how: str) -> dict[str, str]:
    """Target and source of each disk, as it runs; with --inactive as it is configured."""
    lines = guest.host.lab.virsh("domblklist", guest.name, *how).stdout.splitlines()[2:]
    return dict(line.split(maxsplit=1) for line in lines if line)


def volume(guest: Living) -> str:
    return f"{POOL}/{guest.name}"


def test_a_running_guest_gets_a_volume_and_gives_it_back(running):
    before = disks(running)
    running.done("attach", "--volume", volume(running), "--bus", "scsi")
    assert set(disks(running)) == set(disks(running, "--inactive")) == {"vda", "sda"}
    running.done("detach", "sda")
    assert disks(running) == disks(running, "--inactive") == before
    assert running.host.left_open() == []


def test_a_guest_that_does_not_let_go_loses_it_at_its_next_reset_and_that_is_said(running):
    """Nothing in it hears of PCI devices that are to go; QEMU takes the wish all the same."""
    running.done("attach", "--volume", volume(running))
    said = running.refused("detach", "vdb", status=1)
    assert "[guest.holds]" in said
    assert "the running guest loses the disk vdb when it answers, or at its next reset" in said
    assert f"vfioctl guest detach {running.name} vdb --next-start" in said
    assert set(disks(running)) == set(disks(running, "--inactive")) == {"vda", "vdb"}
    running.done("reboot", "--force")
    assert until(lambda: set(disks(running)) == {"vda"}, 30.0)
    assert set(disks(running, "--inactive")) == {"vda", "vdb"}
    running.done("detach", "vdb", "--next-start")
    assert running.host.left_open() == []


def test_the_disk_that_a_running_guest_boots_from_is_asked_about(running):
    said = running.refused("detach", "vda")
    assert "[guest.unconfirmed_detach]" in said
    assert f"vfioctl guest detach {running.name} vda --yes" in said
    assert set(disks(running)) == set(disks(running, "--inactive")) == {"vda"}
    running.done("detach", "vda", "--next-start", "--dry-run")


def test_a_guest_that_is_off_gets_it_with_its_configuration(guest):
    guest.done("attach", "--volume", volume(guest))
    path = disks(guest)["vdb"]
    guest.done("detach", path)
    assert set(disks(guest)) == {"vda"}


def test_what_is_to_come_with_the_next_start_leaves_the_running_guest_alone(running):
    ended = running.cli("attach", running.name, "--volume", volume(running), "--next-start")
    assert ended.returncode == 0, ended.stderr
    assert "at its next start" in ended.stdout + ended.stderr
    assert set(disks(running)) == {"vda"}
    assert set(disks(running, "--inactive")) == {"vda", "vdb"}


def test_a_dry_run_changes_nothing(running):
    data = running.done("attach", "--volume", volume(running), "--bus", "scsi", "--dry-run")
    assert [step["kind"] for step in data["steps"]] == ["device.attach"]
    assert set(disks(running, "--inactive")) == {"vda"}


def test_a_volume_that_a_guest_has_is_refused_by_name(guest, other):
    guest.done("attach", "--volume", volume(guest))
    assert "[guest.in_use]" in guest.refused("attach", "--volume", volume(guest))
    assert "[guest.in_use]" in other.refused("attach", "--volume", volume(guest))
    other.done("attach", "--volume", volume(guest), "--readonly")


def test_a_volume_that_another_guest_has_by_a_hard_link_is_refused(guest, other):
    path = guest.host.place / "pool" / guest.name
    twin = path.with_name(f"{guest.name}.twin")
    twin.hardlink_to(path)
    guest.host.lab.virsh("pool-refresh", POOL)
    guest.done("attach", "--volume", volume(guest))
    assert f"is used by {guest.name}" in other.refused("attach", "--volume", f"{volume(guest)}.twin")
    assert f"has {twin} already" in guest.refused("attach", "--volume", f"{volume(guest)}.twin")


def test_a_volume_that_an_image_lies_above_is_refused_whether_a_guest_has_that_or_not(guest, other):
    path, lab = guest.host.place / "pool" / guest.name, guest.host.lab
    above = f"{guest.name}.above"
    lab.virsh("vol-create-as", POOL, above, "1M", "--format", "qcow2", "--backing-vol", str(path),
              "--backing-vol-format", "qcow2")  # fmt: skip
    assert f"is used by {path}.above" in other.refused("attach", "--volume", volume(guest))
    guest.done("attach", "--volume", f"{POOL}/{above}")
    assert f"is used by {guest.name}, {path}.above" in other.refused("attach", "--volume", volume(guest))
    assert "[guest.in_use]" in guest.refused("attach", "--volume", volume(guest))


def test_a_disk_that_only_a_snapshot_of_the_guest_still_names_is_attached_again(guest, host):
    guest.done("attach", "--volume", volume(guest))
    after = f"{guest.name}.after"
    host.lab.virsh("snapshot-create-as", guest.name, "before", "--disk-only", "--diskspec", "vda,snapshot=no",
                   "--diskspec", f"vdb,snapshot=external,file={host.place}/pool/{after}")  # fmt: skip
    host.lab.virsh("pool-refresh", POOL)
    guest.done("detach", "vdb")
    guest.done("attach", "--volume", f"{POOL}/{after}")
    assert disks(guest)["vdb"] == f"{host.place}/pool/{after}"
    host.lab.virsh("snapshot-delete", guest.name, "before", "--metadata")


@pytest.mark.parametrize(("argv", "code"), [
    (("--volume", "disks"), "guest.volume"), (("--volume", "disk/x"), "pool.unknown"),
    (("--volume", "disks/none"), "volume.unknown"), (("--network", "none"), "network.unknown"), ((), "guest.attach"),
    (("--network", "a", "--iso", "b/c"), "guest.attach"), (("--usb", "keyboard"), "usb.bad_name"),
    (("--usb", "dead:beef"), "usb.unknown"),
])  # fmt: skip
def test_what_cannot_be_attached_is_refused(guest, argv, code):
    assert f"[{code}]" in guest.refused("attach", *argv)


def test_a_saved_guest_gets_nothing_and_says_what_to_do(running):
    running.done("save")
    for verb in (("attach", "--volume", volume(running)), ("detach", "vda"), ("eject",)):
        said = running.refused(*verb)
        assert "[guest.saved]" in said
        assert f"vfioctl guest discard-saved {running.name}" in said


def test_a_card_is_given_to_a_guest_that_is_off_with_a_mac_of_its_own(guest, host):
    document = host.place / "lan.xml"
    document.write_text("<network><name>lan</name></network>")
    host.lab.virsh("net-define", str(document))
    try:
        guest.done("attach", "--network", "lan")
        guest.done("attach", "--network", "lan")
        assert "[device.ambiguous]" in guest.refused("detach", "lan")
        lines = host.lab.virsh("domiflist", guest.name).stdout.splitlines()[2:]
        macs = [line.split()[-1] for line in lines if line]
        assert len(set(macs)) == 2
        for mac in macs:
            guest.done("detach", mac)
        assert "[device.unknown]" in guest.refused("detach", macs[0])
    finally:
        host.lab.virsh("net-undefine", "lan")


def test_a_cd_comes_and_goes_while_the_guest_runs(guest, host):
    ended = guest.done("attach", "--iso", f"{POOL}/one.iso")
    assert ended["steps"][0]["kind"] == "device.attach", "it had no drive"
    host.lab.virsh("start", guest.name)
    iso = str(host.place / "pool/one.iso")
    assert iso in disks(guest).values()
    guest.done("eject", "--force")
    assert iso not in (*disks(guest).values(), *disks(guest, "--inactive").values())
    assert guest.done("attach", "--iso", f"{POOL}/one.iso")["steps"][0]["kind"] == "device.media"
    assert iso in disks(guest).values()


@pytest.fixture
def loaded(guest: Living) -> Living:
    """It runs, with one.iso in its drive, which has its medium after its firmware."""
    guest.done("attach", "--iso", f"{POOL}/one.iso")
    guest.host.lab.virsh("start", guest.name, "--paused")
    return guest


def cds(guest: Living) -> list[str]:
    """What is in its drive as it runs, and as it is configured: "-" for nothing."""
    return [Path(disks(guest, *how)["hda"]).name for how in ((), ("--inactive",))]


def test_a_drive_that_is_to_have_another_medium_later_is_ejected_and_loaded(loaded):
    loaded.done("eject", "--force")
    loaded.done("attach", "--iso", f"{POOL}/one.iso", "--next-start")
    assert cds(loaded) == ["-", "one.iso"]
    loaded.done("eject")
    assert cds(loaded) == ["-", "-"]
    loaded.done("attach", "--iso", f"{POOL}/one.iso", "--next-start")
    loaded.done("attach", "--iso", f"{POOL}/one.iso")
    assert cds(loaded) == ["one.iso", "one.iso"]


def test_a_drive_that_somebody_has_loaded_for_now_has_the_third_medium_in_both_places(loaded, host):
    two = host.place / "pool/two.iso"
    two.write_bytes((host.place / "pool/one.iso").read_bytes())
    host.lab.virsh("change-media", loaded.name, "hda", str(two), "--live", "--update", "--force")
    assert cds(loaded) == ["two.iso", "one.iso"]
    steps = loaded.done("eject", "--force")["steps"]
    assert [step["id"] for step in steps] == ["guest.media-config", "guest.media-live"]
    assert cds(loaded) == ["-", "-"]


def test_a_cd_is_no_disk_and_a_disk_no_cd(guest):
    said = guest.refused("attach", "--volume", f"{POOL}/one.iso")
    assert "[guest.iso_as_disk]" in said
    assert f"--iso {POOL}/one.iso" in said
    assert "[guest.iso]" in guest.refused("attach", "--iso", volume(guest))


def test_what_became_an_iso_after_libvirt_has_looked_is_a_cd(guest):
    late = guest.host.place / "pool" / guest.name
    late.write_bytes((guest.host.place / "pool/one.iso").read_bytes())
    guest.done("attach", "--iso", volume(guest))
    assert str(late) in disks(guest).values()


def test_a_guest_without_a_drive_has_nothing_to_eject(guest):
    assert "[device.unknown]" in guest.refused("eject")


def test_a_usb_device_that_is_unplugged_by_now_is_taken_from_the_configuration(guest):
    source = "<source><vendor id='0xdead'/><product id='0xbeef'/></source>"
    guest.define(devices=f"<hostdev mode='subsystem' type='usb'>{source}</hostdev>", usb="qemu-xhci")
    assert "[device.unknown]" in guest.refused("detach", "--usb", "dead:bee0")
    assert "[guest.attach]" in guest.refused("detach", "vda", "--usb", "dead:beef")
    guest.done("detach", "--usb", "dead:beef")
    assert "0xdead" not in shown(guest)


# set


def shown(guest: Living, *how: str) -> str:
    return str(guest.host.lab.virsh("dumpxml", guest.name, *how).stdout)


def test_a_guest_that_is_off_has_what_was_asked_for_at_its_next_start(guest, host):
    guest.done("set", "--cpus", "3", "--memory", "64M", "--boot", "vda", "--autostart")
    xml = shown(guest)
    assert ">3</vcpu>" in xml
    assert "<memory unit='KiB'>65536</memory>" in xml
    assert "<boot order='1'/>" in xml
    assert guest.name in host.lab.virsh("list", "--all", "--autostart", "--name").stdout
    assert guest.done("set", "--cpus", "3", "--memory", "64M", "--autostart")["operation"] is None
    guest.done("set", "--no-autostart")
    assert guest.name not in host.lab.virsh("list", "--all", "--autostart", "--name").stdout


def test_a_running_guest_takes_what_it_can_and_says_what_waits(guest, host):
    guest.done("set", "--cpus", "4")
    guest.done("set", "--cpus", "1")
    host.lab.virsh("start", guest.name)
    guest.done("set", "--cpus", "2")
    assert "current='2'>4</vcpu>" in shown(guest)
    assert "current='2'>4</vcpu>" in shown(guest, "--inactive")
    ended = guest.cli("set", guest.name, "--cpus", "6", "--memory", "64M")
    assert ended.returncode == 0, ended.stderr
    assert (ended.stdout + ended.stderr).count("at its next start") == 2
    assert "current='2'>4</vcpu>" in shown(guest)
    assert ">6</vcpu>" in shown(guest, "--inactive")
    assert host.left_open() == []


def test_a_cpu_that_a_running_guest_keeps_costs_no_configuration(guest):
    """Nothing in it answers to the wish that one goes."""
    guest.done("set", "--cpus", "2")
    guest.done("set", "--cpus", "1")
    guest.host.lab.virsh("start", guest.name)
    guest.done("set", "--cpus", "2")
    ended = guest.cli("set", guest.name, "--cpus", "1")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "warning: guest.tune-cpus: " in ended.stderr
    assert "current='1'>2</vcpu>" in shown(guest, "--inactive")
    assert guest.host.left_open() == []


def test_a_running_guest_takes_cpus_and_memory_at_once(guest, host):
    document = host.place / "with-balloon.xml"
    document.write_text(shown(guest, "--inactive").replace("<memballoon model='none'", "<memballoon model='virtio'"))
    host.lab.virsh("define", str(document))
    guest.done("set", "--cpus", "4", "--memory", "64M")
    guest.done("set", "--cpus", "1")
    host.lab.virsh("start", guest.name)
    steps = guest.done("set", "--cpus", "2", "--memory", "48M")["steps"]
    assert {"guest.tune-cpus", "guest.tune-memory"} <= {step["id"] for step in steps}
    assert "current='2'>4</vcpu>" in shown(guest)
    assert "<memory unit='KiB'>49152</memory>" in shown(guest, "--inactive")


@pytest.mark.parametrize(("argv", "code"), [
    (("--memory", "64T"), "guest.too_much_memory"), (("--memory", "1K"), "guest.too_little_memory"),
    (("--cpus", "999"), "guest.too_many_cpus"), (("--boot", "vda,vda"), "guest.boot_order"),
])  # fmt: skip
def test_what_no_guest_can_have_is_refused_before_libvirt_fails_on_it(guest, argv, code):
    before = shown(guest)
    assert f"[{code}]" in guest.refused("set", *argv)
    assert shown(guest) == before


def test_without_anything_to_set_it_says_what_there_is(guest):
    assert "--[no-]autostart" in guest.refused("set", status=2)


def test_a_size_without_a_unit_and_a_device_that_there_is_not_are_refused(guest):
    assert "[size.no_unit]" in guest.refused("set", "--memory", "2048")
    assert "[device.unknown]" in guest.refused("set", "--boot", "vdz")


@pytest.fixture
def drive(host: Any, tmp_path: Path) -> Iterator[str]:
    """A block device that is a volume of the pool, by a link, as a logical volume is one of its group."""
    image = tmp_path / "drive.ext4"
    subprocess.run(["truncate", "-s", "16M", str(image)], check=True)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    loop = subprocess.run(["losetup", "--show", "-f", str(image)], check=True, capture_output=True, text=True)
    link = host.place / "pool/drive"
    link.symlink_to(loop.stdout.strip())
    host.lab.virsh("pool-refresh", POOL)
    yield str(link)
    link.unlink()
    host.lab.virsh("pool-refresh", POOL)
    subprocess.run(["losetup", "-d", loop.stdout.strip()], check=True)


def test_a_drive_that_the_host_has_mounted_is_given_to_no_guest(guest, host, drive):
    host.must("mkdir", "-p", "/var/mnt")
    host.must("mount", drive, "/var/mnt")
    try:
        said = guest.refused("attach", "--volume", f"{POOL}/drive")
        assert "[disk.claimed]" in said
        assert "is mounted on /var/mnt" in said
        made = host.cli("guest", "create", f"{guest.name}new", "--memory", "64M", "--volume", f"{POOL}/drive")
        assert made.returncode == 3, made.stdout + made.stderr
        assert "is mounted on /var/mnt" in made.stderr
    finally:
        host.must("umount", "/var/mnt")
    guest.done("attach", "--volume", f"{POOL}/drive")
