"""The tutorial about a first guest shows what happens: its commands are typed on a real libvirtd, one after the other.

Debian is a boot sector here that hears the power button. It has no network: a client beside it asks for its address.
--regenerate writes the output anew.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import dhcp_client
import pytest
import snapshot_lab
import tiny_guest

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")

PAGE = Path(__file__).parents[2] / "docs/tutorial/first-guest.md"
PROMPT = "$ "
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
MAC = r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}"
IMAGE = "/var/tmp/debian.qcow2"
# What no two runs have in common, how far a step is, and the widths that columns have for its sake.
DIFFERS = (
    (r"(?m)^ {9}[\w.]+: .*\n", ""),
    (MAC, "MAC"), (r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID"),
    (r"[0-9a-f]{64}", "SHA256"), (r"192\.168\.219\.\d+", "ADDRESS"), (r" +\d+\.\d+ s", " TIME"),
    (r"[\d.]+ [KMGT]iB", "SIZE"), (r"pid \d+", "PID"), (r"machine .*", "MACHINE"), (r" {2,}", "  "), (r"─+", "─"),
)  # fmt: skip


@pytest.fixture(scope="module")
def host(network_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = tmp_path_factory.mktemp("first")
    place.chmod(0o755)
    made = snapshot_lab.SnapshotLab(network_lab, place)
    network_lab.start()
    entry = place / "programs/vfioctl"  # the lab has these in its PATH
    entry.write_text(f'#!/bin/sh\nexec {sys.executable} -m {snapshot_lab.ENTRY} --root / "$@"\n')
    entry.chmod(0o755)
    raw = tiny_guest.write_disk(place / "debian.raw")
    made.must("mkdir", "-p", str(Path(IMAGE).parent))
    made.must("qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), IMAGE)
    return made


def typed(block: str) -> list[str]:
    return [line.removeprefix(PROMPT) for line in block.split("\n") if line.startswith(PROMPT)]


def answer(host: Any, command: str) -> str:
    """What `command` says; a guest that it has started then asks for its address."""
    said = str(host.run("sh", "-c", f"{command} 2>&1").stdout)
    if "--start" in command:
        (mac,) = re.findall(MAC, host.lab.virsh("domiflist", "first").stdout)
        bridge = host.lab.virsh("net-info", "lan").stdout.split("Bridge:")[1].split()[0]
        # By its text: the host has the installed packages, and need not see this checkout.
        host.must(sys.executable, "-c", Path(dhcp_client.__file__).read_text(), bridge, mac)
    return said


def rendered(page: str, host: Any) -> str:
    """The page with the output that its commands have now."""
    return BLOCK.sub(
        lambda found: "".join(("```console\n", *(
            f"{PROMPT}{command}\n{answer(host, command)}" for command in typed(found[1])
        ), "```")), page,
    )  # fmt: skip


def timeless(text: str) -> str:
    for pattern, word in DIFFERS:
        text = re.sub(pattern, word, text)
    return text


def test_the_commands_say_what_the_tutorial_shows(host: Any, request: pytest.FixtureRequest) -> None:
    page = PAGE.read_text()
    now = rendered(page, host)
    if request.config.getoption("--regenerate"):
        PAGE.write_text(now)
        page = now
    assert timeless(now) == timeless(page)


def test_nothing_is_left_in_the_end(host: Any) -> None:
    virsh = host.lab.virsh
    for kind in ("list", "pool-list", "net-list"):
        assert virsh(kind, "--all", "--name").stdout.split() == []
    assert host.left_open() == []
