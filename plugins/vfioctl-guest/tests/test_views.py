"""How guests look on a terminal."""

from __future__ import annotations

from typing import Any

from vfioctl_guest.views import created, deleted, listed, shown

from vfioctl.result import Table

ROW: dict[str, Any] = {
    "name": "win11", "uuid": "9f4f3a3a-8f0a-4b0e-9a53-0f2f0f7f1a11", "node": "local", "state": "running", "reason": "",
    "cpus": 4, "memory": 8 << 30, "autostart": True, "persistent": True, "managed": False,
    "lacks": None,
}  # fmt: skip
MACHINE = {
    "machine": "pc-q35-7.2", "firmware": "uefi", "nvram": "/nvram/win11_VARS.fd", "tpm": "emulator", "host_devices": 2,
    "disks": [{"target": "vda", "device": "disk", "kind": "file", "source": "/images/a.qcow2", "format": "qcow2",
               "readonly": False, "over": ["/images/base.qcow2"]},
              {"target": "sda", "device": "cdrom", "kind": "file", "source": "", "format": "raw", "readonly": True,
               "over": []}],
    "networks": [{"mac": "52:54:00:00:00:01", "kind": "network", "source": "default", "model": "virtio", "target": ""}],
    "displays": ["vnc 127.0.0.1:5900"], "serial": "pty", "agent": "connected", "snapshots": ["clean"],
    "seed": "/images/win11-seed.iso",
}  # fmt: skip


def table(*rows: dict[str, Any], nodes: int = 1) -> Table:
    (found,) = listed({"guests": list(rows), "nodes": [{}] * nodes})
    assert isinstance(found, Table)
    return found


def test_a_list_has_one_row_a_guest() -> None:
    found = table(ROW)
    assert found.heads == ("name", "state", "cpus", "memory", "autostart", "managed")
    assert found.rows == (("win11", "running", "4", "8.0 GiB", "yes", "-"),)


def test_the_node_is_named_where_there_are_several() -> None:
    found = table(ROW, {**ROW, "node": "rack7"}, nodes=2)
    assert [row[0] for row in found.rows] == ["local", "rack7"]


def test_what_a_guest_lacks_stands_below_the_table_with_what_helps() -> None:
    lacks = [{"code": "guest.unmanaged", "message": "It has no file.", "hint": "Make one."}]
    _, *lines = listed({"guests": [{**ROW, "lacks": lacks}], "nodes": [{}]})
    assert lines == ["win11 cannot start yet: It has no file.", "  Make one."]


def test_an_empty_list_says_so() -> None:
    assert list(listed({"guests": []})) == ["There are no guests."]


def test_a_full_disk_is_named_beside_the_state() -> None:
    assert table({**ROW, "state": "paused", "reason": "disk full"}).rows[0][1] == "paused (disk full)"


def test_a_guest_is_shown_with_each_of_its_parts() -> None:
    text = "\n".join(shown({"guest": {**ROW, **MACHINE}}))
    for part in ("win11 on local: running", "pc-q35-7.2, uefi, TPM emulator", "/nvram/win11_VARS.fd",
                 "vda        /images/a.qcow2 (disk, qcow2)", "over /images/base.qcow2",
                 "sda        empty (cdrom, raw, ", "52:54:00:00:00:01 on network default (virtio)",
                 "vnc 127.0.0.1:5900", "connected", "clean", "2 of the host",
                 "seed       /images/win11-seed.iso"):  # fmt: skip
        assert part in text


def test_a_transient_guest_is_named_as_one() -> None:
    assert "libvirt forgets it" in "\n".join(shown({"guest": {**ROW, **MACHINE, "persistent": False}}))


STEP = {"kind": "domain.define", "resource": "domain:x", "reason": "libvirt gets to know it"}
NEW = {**ROW, "disks": [{"target": "vda", "source": "/images/a.qcow2"}],
       "networks": [{"network": "default", "mac": "52:54:00:00:00:01"}], "devices": ["0000:01:00.0"]}  # fmt: skip


def test_a_dry_run_shows_the_steps_and_then_the_xml() -> None:
    lines = list(created({"dry_run": True, "steps": [STEP], "guest": NEW, "xml": "<domain/>\n"}))
    assert "domain.define" in lines[1]
    assert lines[-1] == "<domain/>"


def test_what_was_made_is_named_with_its_disks_networks_and_devices() -> None:
    lines = list(created({"dry_run": False, "operation": {"ok": True}, "guest": NEW}))
    assert lines == [
        "Guest win11 is made on local: 4 CPUs, 8.0 GiB.", "  vda  /images/a.qcow2", "  default  52:54:00:00:00:01",
        "  device  0000:01:00.0, handed over by vfioctl",
    ]  # fmt: skip


def test_what_is_gone_is_named() -> None:
    data = {"dry_run": False, "operation": {"ok": True}, "guest": "win11", "node": "local", "disks": ["/images/a"]}
    assert list(deleted(data)) == ["Guest win11 is deleted from local.", "  /images/a"]
    assert list(deleted({**data, "operation": {"ok": False}})) == []
