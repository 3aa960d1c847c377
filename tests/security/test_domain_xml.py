"""Who may define domains chooses paths and sizes in their XML: what root is made to read, copy and delete by that."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from hand_offs import BY_NAME, GPU, GUEST, NVRAM, OLD, Stage
from step_builders import plain_machine, planned

from vfioctl.errors import Refused, StepFailed
from vfioctl.events.domain import read_domain
from vfioctl.events.libvirt import INPUT_CAP
from vfioctl.testing.domains import DiskXml, domain
from vfioctl.testing.host import FakeHost
from vfioctl.txn.kind import kind

SECRET = "etc/shadow"
HEAD = "<domain><name>w</name><uuid>9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11</uuid>"
BOMBS = {  # made when they are wanted: the largest take a second
    "entities": lambda: '<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>' + HEAD + "<a>&b;</a></domain>",
    "external": lambda: '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/shadow">]>' + HEAD + "<a>&a;</a></domain>",
    "50 MB": lambda: HEAD + "x" * 50_000_000,
    "depth": lambda: HEAD + "<a>" * 100_000,
    "elements": lambda: HEAD + "<a/>" * (INPUT_CAP // 5),
    "uuid": lambda: HEAD.replace("9f4f3a3a", "9" * (INPUT_CAP - 200)) + "</domain>",
}
LARGE = {
    "text": lambda: HEAD + "<description>" + "a\n" * (INPUT_CAP // 2 - 200) + "</description></domain>",
    "attribute": lambda: HEAD + "<a b='" + "x" * (INPUT_CAP - 400) + "'/></domain>",
    "attributes": lambda: HEAD + "<a " + " ".join(f"a{number}=''" for number in range(INPUT_CAP // 14)) + "/></domain>",
    "references": lambda: HEAD + "<a>" + "&lt;" * (INPUT_CAP // 4 - 200) + "</a></domain>",
}
SECONDS = 10.0  # what they may take at most on a busy machine; measured: 1.1 s


@pytest.fixture
def snapshots(place):
    """A guest that gets a snapshot at each start, and files of root beside it."""
    with FakeHost(BY_NAME["snapshot"].machine(), place) as host:
        made = Stage(BY_NAME["snapshot"], host)
        Path(place, SECRET).write_text("root's alone")
        Path(place, SECRET).chmod(0o600)
        Path(place, "home").mkdir()
        yield made


def start(stage: Stage, *, nvram: str | None = NVRAM, disk: str = "/images/vda.qcow2"):
    stage.xml = domain(GUEST, hostdevs=(GPU,), disks=(DiskXml(disk),), nvram=nvram).encode()
    return stage.prepare()


def files(stage: Stage) -> set[str]:
    return {str(path.relative_to(stage.root)) for top in ("etc", "home", "images", "nvram", "dev-like")
            for path in Path(stage.root, top).rglob("*")}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_a_sentence(name: str):
    began = time.monotonic()
    with pytest.raises(Refused) as refused:
        read_domain(BOMBS[name]().encode())
    assert time.monotonic() - began < SECONDS
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("name", LARGE)
def test_the_largest_domain_costs_a_bounded_time(name: str):
    began = time.monotonic()
    assert read_domain(LARGE[name]().encode()).name == "w"
    assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("kind_of_file", ["link", "fifo", "directory", "huge"])
def test_an_nvram_that_is_none_is_refused_and_nothing_of_root_is_copied(snapshots: Stage, kind_of_file: str):
    path = Path(snapshots.root, "home/vars.fd")
    if kind_of_file == "link":
        path.symlink_to(Path(snapshots.root, SECRET))
    elif kind_of_file == "fifo":
        os.mkfifo(path)
    elif kind_of_file == "directory":
        path.mkdir()
    else:
        path.touch()
        os.truncate(path, 1 << 40)
    before = files(snapshots)
    call = start(snapshots, nvram="/home/vars.fd")
    assert (call.status, "is no regular file of at most 64 MiB" in call.stderr) == (3, True)
    assert files(snapshots) == before


def test_of_a_file_of_root_that_is_named_as_nvram_only_root_can_read_the_copy(snapshots: Stage):
    """Nothing tells a file of 12 bytes from an NVRAM; the copy lies beside it, with its owner and its mode."""
    assert start(snapshots, nvram=f"/{SECRET}").status == 0
    (copy,) = Path(snapshots.root, "etc").glob("shadow.*")
    assert (copy.stat().st_mode & 0o7777, copy.stat().st_uid) == (0o600, os.geteuid())


def test_retention_deletes_only_what_is_named_like_a_copy_of_ours(snapshots: Stage):
    nvram = Path(snapshots.root + NVRAM)
    kept = ["x", "vfioctl-2020", f"{OLD}.bak", f"x{OLD}", "vfioctl-20200101-000000\n", f"{OLD}/x"]
    for name in kept:
        file = Path(f"{nvram}.{name}")
        file.parent.mkdir(exist_ok=True) if "/" not in name else Path(f"{nvram}.dir").mkdir()
        if "/" not in name:
            file.write_text("mine")
    link = Path(f"{nvram}.vfioctl-20200102-000000")
    link.symlink_to(Path(snapshots.root, SECRET))
    assert snapshots.start().status == 0
    snapshots.stop()
    assert snapshots.wait_for_return()
    assert not Path(f"{nvram}.{OLD}").exists(), "it is too old, and ours"
    assert not link.is_symlink()
    assert Path(snapshots.root, SECRET).read_text() == "root's alone"
    assert all(Path(f"{nvram}.{name}").exists() for name in kept if "/" not in name)


@pytest.mark.parametrize("kind_of_file", ["fifo", "directory", "device"])
def test_a_disk_that_is_no_file_is_not_opened(snapshots: Stage, kind_of_file: str):
    """Some devices act when they are opened, /dev/watchdog for one."""
    path = Path(snapshots.root, "home/disk")
    if kind_of_file == "fifo":
        os.mkfifo(path)
    elif kind_of_file == "directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/null")
    snapshots.host.kernel.clear_log()
    began = time.monotonic()
    assert start(snapshots, disk="/home/disk", nvram=None).status == 0
    assert time.monotonic() - began < SECONDS
    shown = snapshots.command("plan", GUEST, "--format", "json").stdout
    assert "disk.snapshot" not in shown


@pytest.mark.parametrize(
    ("below", "form"), [("json:{\"driver\":\"null-co\"}", "raw"), ("nbd://localhost:1/x", "raw"), ("/dev/null", "raw"),
                        ("/etc/shadow", "")],
)  # fmt: skip
def test_what_an_image_names_below_it_is_not_opened_by_root(snapshots: Stage, below: str, form: str):
    disk = Path(snapshots.root, "home/evil.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1M"], check=True)
    name = ["-F", form] if form else []
    done = subprocess.run(
        ["qemu-img", "rebase", "-u", "-q", "-f", "qcow2", *name, "-b", below, disk], capture_output=True, check=False
    )  # fmt: skip
    if done.returncode:
        plant_backing(disk, below)
    call = start(snapshots, disk="/home/evil.qcow2", nvram=None)
    assert call.status == 0
    assert "below it" in call.stderr
    listed = subprocess.run(["qemu-img", "snapshot", "-l", disk], capture_output=True, text=True, check=False)
    assert "vfioctl-" not in listed.stdout


def plant_backing(disk: Path, below: str) -> None:
    """Write a backing name without a format into a qcow2 header (docs/interop/qcow2.txt: offset at 8, length at 16)."""
    with open(disk, "r+b") as file:
        file.seek(8)
        file.write((0x400).to_bytes(8, "big") + len(below).to_bytes(4, "big"))
        file.seek(0x400)
        file.write(below.encode())


def test_a_chain_of_plain_images_is_snapshotted(snapshots: Stage):
    base, disk = (Path(snapshots.root, f"home/{name}.qcow2") for name in ("base", "disk"))
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", base, "1M"], check=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base.name, disk], check=True)
    assert start(snapshots, disk="/home/disk.qcow2", nvram=None).status == 0
    listed = subprocess.run(["qemu-img", "snapshot", "-l", disk], capture_output=True, text=True, check=True)
    assert "vfioctl-" in listed.stdout


@pytest.mark.parametrize("becomes", ["link", "fifo"])
def test_a_file_that_becomes_another_after_the_check_is_not_followed(tmp_path, becomes: str):
    machine = plain_machine(str(tmp_path / "root"))
    source, secret = Path(machine.paths.at("var/lib/vars")), tmp_path / "secret"
    source.write_text("variables")
    secret.write_text("root's alone")
    step = planned(machine, "file.copy", {"source": "/var/lib/vars", "dest": "/var/lib/copy"})
    source.unlink()
    source.symlink_to(secret) if becomes == "link" else os.mkfifo(source)
    with pytest.raises(StepFailed):
        kind("file.copy").apply(step, machine)
    assert not Path(machine.paths.at("var/lib/copy")).exists()


def test_a_copy_is_never_setuid(tmp_path):
    machine = plain_machine(str(tmp_path / "root"))
    source = Path(machine.paths.at("var/lib/vars"))
    source.write_text("variables")
    source.chmod(0o6755)
    step = planned(machine, "file.copy", {"source": "/var/lib/vars", "dest": "/var/lib/copy"})
    kind("file.copy").apply(step, machine)
    assert Path(machine.paths.at("var/lib/copy")).stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("address", ["0000:00:1d.0", "0000:00:01.0", "0000:ff:1f.7"])
def test_a_hostdev_that_would_harm_the_host_is_refused_with_nothing_touched(stage: Stage, address: str):
    """The disk of the root file system, a bridge, a card that does not exist."""
    stage.xml = domain(GUEST, hostdevs=(address,)).encode()
    stage.host.kernel.clear_log()
    call = stage.prepare()
    assert call.status == 3
    assert address in call.stderr
    assert stage.host.kernel.writes() == []
