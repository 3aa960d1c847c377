"""`vfioctl guest rename` on a real libvirtd: with what this host keeps under the name."""

from __future__ import annotations

import json
from typing import Any

import pytest
import snapshot_lab

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_guest")


def renamed(host: Any, guest: Any, new: str, *argv: str) -> Any:
    return host.cli("guest", "rename", guest.name, new, *argv)


def test_a_guest_with_its_file_its_pins_and_its_nvram_gets_another_name(host):
    guest = snapshot_lab.Guest(host, uefi=True)
    pins, before_enable = (f"/var/lib/vfioctl/{place}/{guest.uuid}.json" for place in ("identity", "domains"))
    host.must("sh", "-c", f"echo 'devices = []' > /etc/vfioctl/guests/{guest.name}.toml")
    record = f'{{"schema": 1, "guest": "{guest.name}", "devices": {{}}}}'
    host.must("sh", "-c", f"mkdir -p {pins.rpartition('/')[0]}; echo '{record}' > {pins}")
    kept = f'{{"guest": "{guest.name}", "managed": ["0000:01:00.0"]}}'
    host.must("sh", "-c", f"mkdir -p {before_enable.rpartition('/')[0]}; echo '{kept}' > {before_enable}")
    former, nvram = guest.name, guest.nvram
    before = host.must("cat", nvram)
    new = f"{former}-new"
    foretold = renamed(host, guest, new, "--dry-run")
    assert foretold.returncode == 0, foretold.stdout + foretold.stderr
    assert guest.nvram == nvram
    ended = renamed(host, guest, new)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    guest.name = new
    assert guest.nvram == nvram.replace(former, new)
    assert host.must("cat", guest.nvram) == before
    assert host.run("test", "-e", nvram).returncode == 1
    assert host.must("ls", "/etc/vfioctl/guests").split() == [f"{new}.toml"]
    assert json.loads(host.must("cat", pins))["guest"] == new
    assert json.loads(host.must("cat", before_enable)) == {"guest": new, "managed": ["0000:01:00.0"]}
    assert host.left_open() == []
    host.must("rm", f"/etc/vfioctl/guests/{new}.toml")


def test_one_whose_name_is_escaped_in_xml_gets_a_plainer_one(host):
    guest = snapshot_lab.Guest(host, uefi=True)
    former, odd, document = guest.name, f"r&d-{guest.name}", host.place / "odd.xml"
    document.write_text(host.lab.virsh("dumpxml", former).stdout.replace(former, odd.replace("&", "&amp;")))
    host.must("mv", guest.nvram, guest.nvram.replace(former, odd))
    host.lab.virsh("undefine", "--keep-nvram", former)
    host.lab.virsh("define", str(document))
    guest.name = odd
    ended = renamed(host, guest, former)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    guest.name = former
    assert guest.nvram.endswith(f"/{former}_VARS.fd")


@pytest.mark.parametrize(("new", "code"), [("7", "guest.bad_name"), ("x y", "guest.bad_name"), ("", "guest.bad_name")])
def test_a_name_that_no_other_program_could_be_given_is_refused(host, new, code):
    guest = snapshot_lab.Guest(host)
    said = renamed(host, guest, new)
    assert said.returncode == 3, said.stdout + said.stderr
    assert f"[{code}]" in said.stderr
    assert host.lab.state(guest.name) == "shut off"


def test_a_name_that_a_guest_has_and_a_guest_that_runs_are_refused(host):
    guest, other = snapshot_lab.Guest(host, uefi=True), snapshot_lab.Guest(host)
    nvram = guest.nvram
    said = renamed(host, guest, other.name)
    assert said.returncode == 3, said.stdout + said.stderr
    assert "[domain.exists]" in said.stderr
    assert guest.nvram == nvram
    host.lab.virsh("start", other.name)
    try:
        said = renamed(host, other, "young")
        assert said.returncode == 3
        assert "[guest.running]" in said.stderr
    finally:
        host.lab.virsh("destroy", other.name)


def test_a_left_over_nvram_of_that_name_is_not_taken(host):
    """Another guest's variables would become its own."""
    guest = snapshot_lab.Guest(host, uefi=True)
    new = f"{guest.name}-two"
    host.must("sh", "-c", f"echo another > {guest.nvram.replace(guest.name, new)}")
    nvram = guest.nvram
    said = renamed(host, guest, new)
    assert said.returncode == 3, said.stdout + said.stderr
    assert "[file.exists]" in said.stderr
    assert guest.nvram == nvram
