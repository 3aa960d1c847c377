"""A pool whose directory is a link, as /var/lib/libvirt/images to a larger drive often is: guests have its files by
their own paths, libvirt has them by the link."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import snapshot_lab

from vfioctl.wait import until

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")
pytest.importorskip("vfioctl_storage")

LINK, PLACE = "/var/lib/libvirt/larger", snapshot_lab.IMAGES
SIZE = ("--memory", "64M")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIVP4fYoRRyHfTEjM4AzRM9ZJPqVGm8Uue8ZKPDmRDFx ada@laptop"
PERSON = ("--user", "ada", "--ssh-key", "/etc/key.pub")


@pytest.fixture(scope="module")
def host(bare_host: Any) -> Any:
    bare_host.must("ln", "-sfn", PLACE, LINK)
    bare_host.must("sh", "-c", f"echo '{KEY}' > /etc/key.pub")
    bare_host.lab.virsh("pool-define-as", "default", "dir", "--target", LINK)
    bare_host.lab.virsh("pool-start", "default")
    done(bare_host, "volume", "create", "default", "system.qcow2", "--size", "4M")
    done(bare_host, "template", "add", "system", "--pool", "default", "--volume", "default/system.qcow2")
    return bare_host


@pytest.fixture
def before(host: Any) -> Iterator[set[str]]:
    yield set(host.files())
    assert host.left_open() == []


def done(host: Any, *argv: str) -> str:
    ended = host.cli(*argv)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    said: str = ended.stdout + ended.stderr
    return said


def all_of_them_go(host: Any, volume: str, before: set[str]) -> None:
    for argv in (("guest", "delete", "web"), ("guest", "delete", "twin"), ("volume", "delete", "default", volume)):
        done(host, *argv, "--yes")
    assert set(host.files()) == before


def test_a_guest_goes_with_its_volumes(host: Any, before: set[str]) -> None:
    done(host, "guest", "create", "web", *SIZE, "--disk", "4M")
    assert "volume.delete" in done(host, "guest", "delete", "web", "--dry-run")
    done(host, "guest", "delete", "web", "--yes")
    assert set(host.files()) == before
    assert "web" not in host.lab.virsh("vol-list", "default").stdout


def test_the_start_after_its_shutdown_takes_the_seed_away(host: Any, before: set[str]) -> None:
    done(host, "guest", "create", "web", *SIZE, "--disk", "4M", *PERSON, "--start")
    host.must("sh", "-c", "kill $(cat /run/libvirt/qemu/web.pid)")
    assert until(lambda: host.lab.state("web") == "shut off", 30.0)
    said = done(host, "guest", "start", "web")
    assert [one for one in host.files() if "seed" in one] == [], said
    done(host, "guest", "stop", "web", "--force")
    done(host, "guest", "delete", "web", "--yes")
    assert set(host.files()) == before


def test_one_of_a_template_is_linked_to_and_gone_back_with(host: Any, before: set[str]) -> None:
    done(host, "guest", "create", "web", *SIZE, "--template", "system")
    done(host, "guest", "clone", "web", "twin", "--linked")
    done(host, "volume", "clone", "default", "web.qcow2", "copy.qcow2")
    done(host, "guest", "reset-system", "twin", "--yes")
    all_of_them_go(host, "copy.qcow2", before)


def test_what_a_snapshot_has_kept_is_copied(host: Any, before: set[str]) -> None:
    done(host, "guest", "create", "web", *SIZE, "--disk", "4M")
    done(host, "snapshot", "create", "web", "first")
    done(host, "volume", "create", "default", "old.qcow2", "--snapshot", "web@first")
    done(host, "guest", "clone", "web", "twin")
    all_of_them_go(host, "old.qcow2", before)
