"""`vfioctl guest` on another node: a second libvirtd with files of its own, reached over TCP on the loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import snapshot_lab
from second_node import free_port

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")

LISTENS = """\
listen_tls = 0
listen_tcp = 1
listen_addr = "127.0.0.1"
tcp_port = "{port}"
auth_tcp = "none"
"""


@pytest.fixture(scope="module")
def node(module_lab: Any, tmp_path_factory: pytest.TempPathFactory, capabilities_cache: Path) -> Iterator[Any]:
    """Another host; `uri` is how it is reached."""
    place = tmp_path_factory.mktemp("elsewhere")
    lab = type(module_lab)(place, place / "etc", capabilities_cache)
    lab.open()
    port = free_port()
    with (lab.etc / "libvirtd.conf").open("a") as file:
        file.write(LISTENS.format(port=port))
    lab.start("--listen")
    lab.virsh("pool-define-as", "default", "dir", "--target", snapshot_lab.IMAGES)
    lab.virsh("pool-start", "default")
    lab.address = f"qemu+tcp://127.0.0.1:{port}/system"
    yield lab
    lab.close()


def call(host: Any, node: Any, *argv: str, status: int = 0) -> str:
    ended = host.cli("guest", *argv, "--node", node.address)
    assert ended.returncode == status, ended.stdout + ended.stderr
    said: str = ended.stdout + ended.stderr
    return said


def images(node: Any) -> list[str]:
    return sorted(node.virsh("vol-list", "default").stdout.split())


def test_a_guest_is_made_there_and_deleted_with_its_disk_and_nothing_is_touched_here(host: Any, node: Any) -> None:
    here, before = host.files(), images(node)
    call(host, node, "create", "web", "--memory", "64M", "--disk", "8M")
    shown = json.loads(call(host, node, "show", "web", "--format", "json"))["data"]["guest"]
    assert [disk["source"] for disk in shown["disks"]] == [f"{snapshot_lab.IMAGES}/web.qcow2"]
    assert "web" in call(host, node, "list")
    assert "domain.exists" in call(host, node, "create", "web", "--memory", "64M", "--disk", "8M", status=3)
    assert f"vfioctl guest delete web --node {node.address} --yes" in call(host, node, "delete", "web", status=3)
    call(host, node, "delete", "web", "--yes")
    assert (host.files(), images(node)) == (here, before)
    assert host.left_open() == []


@pytest.mark.matrix
@pytest.mark.parametrize("number", range(1, 5))  # volume, define
def test_nothing_is_left_there_of_one_that_was_killed(host: Any, node: Any, number: int) -> None:
    before = images(node)
    host.must("sh", "-c", f"rm -f /.kit/*; echo '{number} 9' > /.kit/crash")
    assert host.cli("guest", "create", "job", "--memory", "64M", "--disk", "8M", "--node", node.address).returncode != 0
    host.must("sh", "-c", "rm -f /.kit/*")
    host.recover()
    node.virsh("pool-refresh", "default")
    assert images(node) == before
    assert "job" not in node.virsh("list", "--all", "--name").stdout.split()
    assert host.left_open() == []


def test_an_iso_there_must_be_in_a_pool(host: Any, node: Any) -> None:
    assert "knows no volume" in call(host, node, "create", "web", "--memory", "64M", "--iso", "/srv/x.iso", status=3)
