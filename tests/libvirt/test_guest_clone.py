"""`vfioctl guest clone` on a real libvirtd: disks of its own by content, and nothing of it where it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import snapshot_lab

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")

IMAGES = snapshot_lab.IMAGES
UEFI_DISKS = 2
BOUNDARIES = range(1, 9)  # two a step: a volume for each of two disks, NVRAM, definition


@pytest.fixture(scope="module")
def host(bare_host: Any) -> Any:
    bare_host.lab.virsh("pool-define-as", "default", "dir", "--target", IMAGES)
    bare_host.lab.virsh("pool-start", "default")
    return bare_host


@pytest.fixture
def guest(host: Any) -> Iterator[Any]:
    made = snapshot_lab.Guest(host, disks=UEFI_DISKS, uefi=True)
    host.lab.virsh("pool-refresh", "default")
    yield made
    for name in (made.name, twin(made)):
        host.lab.virsh("destroy", name, check=False)
        host.lab.virsh("undefine", name, "--managed-save", "--nvram", "--snapshots-metadata", check=False)


def twin(guest: Any) -> str:
    return f"{guest.name}twin"


def clone(guest: Any, *more: str) -> dict[str, Any]:
    ended = guest.host.cli("guest", "clone", guest.name, twin(guest), *more, "--format", "json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    data: dict[str, Any] = json.loads(ended.stdout)
    return data


def refused(guest: Any, *more: str, new: str = "", status: int = 3) -> str:
    """What the refusal says; nothing is left of it."""
    before = guest.host.files(), known(guest.host)
    ended = guest.host.cli("guest", "clone", guest.name, new or twin(guest), *more)
    assert ended.returncode == status, ended.stdout + ended.stderr
    assert (guest.host.files(), known(guest.host), guest.host.left_open()) == (*before, [])
    return str(ended.stdout + ended.stderr)


def known(host: Any) -> list[str]:
    return sorted(host.lab.virsh("list", "--all", "--name").stdout.split())


def xml_of(host: Any, name: str) -> ET.Element:
    return ET.fromstring(host.lab.virsh("dumpxml", "--inactive", name).stdout)


def sources(host: Any, name: str) -> list[str]:
    return [str(one.get("file")) for one in xml_of(host, name).iterfind("devices/disk/source")]


def backing(host: Any, path: str) -> str:
    found: str = json.loads(host.must("qemu-img", "info", "--output=json", path)).get("backing-filename", "")
    return found


def test_its_disks_and_its_nvram_have_the_same_content_and_are_its_own(host: Any, guest: Any) -> None:
    clone(guest)
    mine = sources(host, twin(guest))
    assert mine == [f"{IMAGES}/{twin(guest)}.qcow2", f"{IMAGES}/{twin(guest)}-2.qcow2"]
    assert [guest.content(path) for path in mine] == [guest.content(path) for path in guest.sources.values()]
    nvram = str(xml_of(host, twin(guest)).findtext("os/nvram"))
    assert nvram != guest.nvram
    assert host.must("cat", nvram) == host.must("cat", guest.nvram)
    assert xml_of(host, twin(guest)).findtext("uuid") != guest.uuid
    assert host.left_open() == []


def test_what_a_snapshot_has_just_put_below_it_is_copied_as_well(host: Any, guest: Any) -> None:
    """To libvirt that is a volume only after a refresh."""
    former = sources(host, guest.name)
    host.done("create", guest.name, "before")
    now = sources(host, guest.name)
    assert not {*former} & {*now}
    clone(guest)
    assert [guest.content(path) for path in sources(host, twin(guest))] == list(map(guest.content, now))


def test_a_dry_run_shows_the_xml_and_changes_nothing(host: Any, guest: Any) -> None:
    before = host.files(), known(host)
    data = clone(guest, "--dry-run")["data"]
    assert (host.files(), known(host)) == before
    assert [step["kind"] for step in data["steps"]] == ["volume.clone", "volume.clone", "file.copy", "domain.define"]
    assert ET.fromstring(data["xml"]).findtext("name") == twin(guest)


def test_a_linked_one_shares_the_base_and_has_what_was_written_since(host: Any, guest: Any) -> None:
    base = guest.sources["vda"]
    top = f"{IMAGES}/{guest.name}-top.qcow2"
    host.must("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, top)
    host.must("qemu-io", "-f", "qcow2", "-c", "write -P 77 1M 64k", top)
    guest.define({"vda": (top, "qcow2")}, guest.nvram)
    host.lab.virsh("pool-refresh", "default")
    clone(guest, "--linked")
    (mine,) = sources(host, twin(guest))
    assert backing(host, mine) == base
    assert guest.content(mine) == guest.content(top)
    assert int(host.must("stat", "-c", "%b", mine)) * 512 < 1 << 20
    clone_of_full = host.cli("guest", "clone", guest.name, f"{twin(guest)}b")
    assert clone_of_full.returncode == 0, clone_of_full.stderr
    assert backing(host, sources(host, f"{twin(guest)}b")[0]) == ""
    host.lab.virsh("undefine", f"{twin(guest)}b", "--nvram")


def test_nothing_is_linked_above_a_disk_that_changes(host: Any, guest: Any) -> None:
    assert "lies above no template" in refused(guest, "--linked")
    top = f"{IMAGES}/{guest.name}-top.qcow2"
    host.must("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", guest.sources["vda"], top)
    host.lab.virsh("pool-refresh", "default")
    other = snapshot_lab.Guest(host)
    other.define({"vda": (guest.sources["vda"], "qcow2")})
    guest.define({"vda": (top, "qcow2")}, guest.nvram)
    assert f"a disk of {other.name}: it may change below the clone" in refused(guest, "--linked")
    host.lab.virsh("undefine", other.name)


def test_nothing_is_linked_above_an_image_of_a_snapshot(host: Any, guest: Any) -> None:
    host.done("create", guest.name, "clean")
    host.lab.virsh("pool-refresh", "default")
    assert f"of a snapshot of {guest.name}" in refused(guest, "--linked")
    clone(guest)
    assert host.names(twin(guest)) == []
    assert guest.content(sources(host, twin(guest))[0]) == guest.content(guest.sources["vda"])


@pytest.mark.parametrize(("new", "code"), [("7", "guest.bad_name"), ("a/b", "guest.bad_name")])
def test_a_name_that_no_guest_may_have_is_refused(guest: Any, new: str, code: str) -> None:
    assert f"[{code}]" in refused(guest, new=new)


def test_a_name_that_a_guest_or_a_volume_has_is_refused(host: Any, guest: Any) -> None:
    assert "domain.exists" in refused(guest, new=guest.name)
    host.must("qemu-img", "create", "-q", "-f", "qcow2", f"{IMAGES}/{twin(guest)}.qcow2", "1M")
    assert "volume.exists" in refused(guest)


def test_one_that_runs_or_is_saved_is_not_cloned(host: Any) -> None:
    plain = snapshot_lab.Guest(host)
    host.lab.virsh("pool-refresh", "default")
    host.lab.virsh("start", plain.name)
    try:
        assert f"vfioctl guest stop {plain.name}" in refused(plain)
        host.lab.virsh("managedsave", plain.name)
        assert f"vfioctl guest discard-saved {plain.name}" in refused(plain)
    finally:
        host.lab.virsh("destroy", plain.name, check=False)
        host.lab.virsh("undefine", plain.name, "--managed-save")


def test_a_disk_in_no_pool_is_named(host: Any, guest: Any) -> None:
    outside = str(host.place / "outside.qcow2")
    host.must("qemu-img", "create", "-q", "-f", "qcow2", outside, "1M")
    guest.define({"vda": (outside, "qcow2")}, guest.nvram)
    assert f"vda is on {outside}, which is no file of an active pool" in refused(guest)


@pytest.fixture
def sealed(host: Any) -> Iterator[Any]:
    """A guest with a TPM, beside whose state lies the one of a snapshot."""
    made = snapshot_lab.Guest(host, tpm=True)
    host.must("cp", "-p", made.tpm, f"{made.tpm}.before")
    host.lab.virsh("pool-refresh", "default")
    yield made
    for name in (made.name, twin(made)):
        host.lab.virsh("undefine", name, check=False)


def states(host: Any) -> list[str]:
    """Every file and directory of TPMs, with mode, owner and size."""
    shown = host.must("find", snapshot_lab.TPMS, "-printf", "%p %m %U %G %s\\n")
    return sorted(line for line in shown.splitlines() if line)


def test_the_state_of_a_tpm_is_copied_with_its_owner_and_nothing_of_its_snapshots(host: Any, sealed: Any) -> None:
    before = states(host)
    data = clone(sealed)
    mine = sealed.tpm.replace(sealed.uuid, data["data"]["guest"]["uuid"])
    assert host.must("cat", mine) == host.must("cat", sealed.tpm)
    new = sorted(set(states(host)) - set(before))
    old = [line for line in before if sealed.uuid in line and ".before" not in line]
    uuid = data["data"]["guest"]["uuid"]
    assert [line.split()[:4] for line in new if uuid in line] == [
        line.replace(sealed.uuid, uuid).split()[:4] for line in old
    ]
    assert any(f"those of {sealed.name}" in one["text"] for one in data["messages"])


def test_a_new_tpm_is_libvirts_to_make(host: Any, sealed: Any) -> None:
    before = states(host)
    clone(sealed, "--new-tpm")
    assert states(host) == before


def test_a_tpm_that_never_ran_has_nothing_to_be_copied(host: Any, sealed: Any) -> None:
    host.must("rm", sealed.tpm)
    assert "directory.copy" not in [step["kind"] for step in clone(sealed)["data"]["steps"]]


@pytest.mark.matrix
@pytest.mark.parametrize("number", range(1, 7))  # two a step: a volume, the state of the TPM, the definition
@pytest.mark.parametrize("restarted", [False, True], ids=["at once", "after a power cut"])
def test_no_state_is_left_of_a_clone_that_was_killed(host: Any, sealed: Any, number: int, *, restarted: bool) -> None:
    before = host.files(), states(host), known(host)
    host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
    assert host.cli("guest", "clone", sealed.name, twin(sealed)).returncode != 0
    host.must("sh", "-c", "rm -f /.kit/*")
    if restarted:
        host.restart(daemon=False)
    host.recover_uninstalled()
    assert (host.files(), states(host), known(host), host.left_open()) == (*before, [])


def test_a_pool_that_is_full_leaves_nothing(host: Any, guest: Any) -> None:
    small = host.place / "small"
    small.mkdir()
    host.must("mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(small))
    host.lab.virsh("pool-define-as", "small", "dir", "--target", str(small))
    host.lab.virsh("pool-start", "small")
    try:
        refused(guest, "--pool", "small", status=1)
        assert host.run("ls", str(small)).stdout == ""
    finally:
        host.lab.virsh("pool-destroy", "small")
        host.lab.virsh("pool-undefine", "small")
        host.must("umount", str(small))


# Killed at each boundary


@pytest.mark.matrix
@pytest.mark.parametrize("how", ["at once", "after a power cut", "without plugins"])
@pytest.mark.parametrize("number", BOUNDARIES)
def test_of_one_that_was_killed_nothing_is_left(host: Any, guest: Any, number: int, how: str) -> None:
    before = host.files(), known(host), guest.state()
    host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
    assert host.cli("guest", "clone", guest.name, twin(guest)).returncode != 0
    host.must("sh", "-c", "rm -f /.kit/*")
    if how != "at once":
        host.restart(daemon=how == "after a power cut")
    said = host.recover_uninstalled() if how == "without plugins" else host.recover()
    assert f"guest clone guest:{twin(guest)} was interrupted" in said
    assert (host.files(), known(host), guest.state(), host.left_open()) == (*before, [])


@pytest.mark.matrix
@pytest.mark.parametrize("number", BOUNDARIES)
def test_somebody_elses_guest_and_volume_of_that_name_stay(host: Any, guest: Any, number: int) -> None:
    host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
    assert host.cli("guest", "clone", guest.name, twin(guest)).returncode != 0
    host.must("sh", "-c", "rm -f /.kit/*")
    host.lab.virsh("undefine", twin(guest), "--keep-nvram", check=False)
    theirs = host.lab.define(twin(guest))
    path = f"{IMAGES}/{twin(guest)}.qcow2"
    host.must("sh", "-c", f"rm -f {path}; qemu-img create -q -f qcow2 {path} 1M")
    host.recover()
    assert host.lab.virsh("domuuid", twin(guest)).stdout.strip() == theirs
    assert path in host.files()
    host.must("rm", path)
