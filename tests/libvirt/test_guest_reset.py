"""`vfioctl guest reset-system` on a real libvirtd: the template is there again, and the guest never lacks a disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")
pytest.importorskip("vfioctl_storage")

PLACE = "/var/lib/libvirt/fast"
BOUNDARIES = range(1, 7)  # two a step: the new disk, the definition, the former disk


@pytest.fixture(scope="module")
def host(bare_host: Any) -> Any:
    bare_host.must("sh", "-c", f"mkdir -p {PLACE} && qemu-img create -q -f qcow2 /srv.qcow2 8M")
    for argv in (("pool", "create", "fast", "--path", PLACE), ADD):
        ended = bare_host.cli(*argv)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    return bare_host


ADD = ("template", "add", "tiny", "--pool", "fast", "--file", "/srv.qcow2", "--yes")


@pytest.fixture
def web(host: Any) -> Iterator[Any]:
    argv = ("web", "--memory", "64M", "--template", "tiny", "--pool", "fast", "--disk", "8M", "--disk", "1M")
    ended = host.cli("guest", "create", *argv)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    host.must("qemu-io", "-f", "qcow2", "-c", "write -P 9 1M 64k", disks(host)[0])
    yield host
    host.lab.virsh("destroy", "web", check=False)
    ended = host.cli("guest", "delete", "web", "--yes")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def xml(host: Any) -> str:
    return str(host.lab.virsh("dumpxml", "--inactive", "web").stdout)


def disks(host: Any) -> list[str]:
    return [str(one.get("file")) for one in ET.fromstring(xml(host)).iterfind("devices/disk/source")]


def files(host: Any) -> set[str]:
    return set(host.must("find", PLACE, "-type", "f").split())


def reads(host: Any, pattern: int) -> bool:
    """Whether the guest reads `pattern` where it has written."""
    said = host.must("qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {pattern} 1M 64k", disks(host)[0])
    return "Pattern verification failed" not in said


def refused(host: Any, code: str, *more: str) -> str:
    before = files(host), xml(host)
    ended = host.cli("guest", "reset-system", "web", *more)
    assert ended.returncode == 3, ended.stdout + ended.stderr
    assert f"[{code}]" in ended.stderr
    assert (files(host), xml(host), host.left_open()) == (*before, [])
    return str(ended.stdout + ended.stderr)


def test_it_reads_the_template_again_and_has_all_else(web: Any) -> None:
    before, (former, data) = files(web), disks(web)
    assert reads(web, 9)
    as_was = xml(web)
    ended = web.cli("guest", "reset-system", "web", "--yes")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert reads(web, 0)
    fresh = disks(web)[0]
    assert disks(web)[1] == data
    assert xml(web).replace(fresh, former) == as_was
    assert (before - files(web), files(web) - before, web.left_open()) == ({former}, {fresh}, [])


def test_without_an_answer_or_in_a_dry_run_nothing_is_lost(web: Any) -> None:
    assert "vfioctl guest reset-system web --yes" in refused(web, "guest.unconfirmed_reset")
    before = files(web), xml(web)
    ended = web.cli("guest", "reset-system", "web", "--dry-run", "--format", "json")
    kinds = [step["kind"] for step in json.loads(ended.stdout)["data"]["steps"]]
    assert kinds == ["volume.create", "domain.define", "volume.delete"]
    assert (files(web), xml(web)) == before


def test_one_with_snapshots_runs_or_lies_above_no_template_is_refused(web: Any) -> None:
    web.lab.virsh("start", "web", "--paused")
    assert "vfioctl guest stop web" in refused(web, "guest.running", "--yes")
    web.lab.virsh("destroy", "web")
    web.done("create", "web", "clean")
    assert "vfioctl snapshot prune web --keep 0" in refused(web, "guest.has_snapshots", "--yes")
    web.done("prune", "web", "--keep", "0", "--yes")
    web.done("create", "web", "clean")
    web.done("revert", "web", "clean")
    web.lab.virsh("snapshot-delete", "web", "clean", "--metadata")
    assert "before-revert-" in refused(web, "guest.has_snapshots", "--yes")
    web.done("prune", "web", "--keep", "0", "--yes")
    web.lab.virsh("detach-disk", "web", "vda", "--config")
    refused(web, "guest.no_template", "--yes")
    web.lab.virsh("vol-delete", "web.qcow2", "--pool", "fast")


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIVP4fYoRRyHfTEjM4AzRM9ZJPqVGm8Uue8ZKPDmRDFx ada@laptop"
SEED = ("--user", "ada", "--ssh-key", "/etc/key.pub")


@pytest.fixture
def key(web: Any) -> None:
    web.must("sh", "-c", f"printf '%s\\n' '{KEY}' > /etc/key.pub")


def mark(host: Any) -> str:
    """What the configuration says of its seed."""
    return str(host.lab.virsh("metadata", "web", "urn:vfioctl:seed", "--config", check=False).stdout)


def test_one_without_a_seed_is_told_before_how_it_gets_one(web: Any, key: None) -> None:
    said = refused(web, "guest.unconfirmed_reset")
    assert "Guest web has no seed" in said
    assert "--user, --ssh-key" in said
    ended = web.cli("guest", "reset-system", "web", *SEED, "--yes")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    seed = f"{PLACE}/web-seed.iso"
    assert disks(web)[2] == seed
    assert seed in files(web)
    assert f"file='{seed}' run='no'" in mark(web).replace('"', "'")
    assert "reads its seed once more" in refused(web, "guest.unconfirmed_reset")
    assert f"still has its seed {seed}" in refused(web, "guest.seed", *SEED, "--yes")


@pytest.mark.matrix
@pytest.mark.parametrize("number", range(1, 11))
def test_one_that_gets_a_seed_and_was_killed_is_finished(web: Any, key: None, number: int) -> None:
    former = disks(web)[0]
    web.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
    assert web.cli("guest", "reset-system", "web", *SEED, "--yes").returncode != 0
    web.must("sh", "-c", "rm -f /.kit/*")
    web.recover()
    assert (former in files(web), len(disks(web)), web.left_open()) == (False, 3, [])
    assert set(disks(web)) <= files(web)


@pytest.mark.matrix
@pytest.mark.parametrize("how", ["at once", "after a power cut", "without plugins"])
@pytest.mark.parametrize("number", BOUNDARIES)
def test_one_that_was_killed_is_finished(web: Any, number: int, how: str) -> None:
    """Undone it could lack a disk: the former one may be gone by then."""
    before, former = files(web), disks(web)[0]
    web.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
    assert web.cli("guest", "reset-system", "web", "--yes").returncode != 0
    web.must("sh", "-c", "rm -f /.kit/*")
    if how != "at once":
        web.restart(daemon=how == "after a power cut")
    said = web.recover_uninstalled() if how == "without plugins" else web.recover()
    assert "guest reset-system guest:web was interrupted" in said
    assert reads(web, 0)
    assert (before - files(web), len(files(web)), web.left_open()) == ({former}, len(before), [])
    assert set(disks(web)) <= files(web)
