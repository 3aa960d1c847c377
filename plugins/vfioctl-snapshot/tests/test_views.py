"""How the verbs look on a terminal."""

from __future__ import annotations

from snapshot_builders import NOW
from vfioctl_snapshot.views import changed, listed, moment, shown

ROW = {
    "name": "clean", "guest": "win11", "created": NOW, "origin": "create", "method": "external", "state": "off",
    "memory": False, "disks": ["vda", "vdb"], "nvram": True, "tpm": False, "current": True, "missing": [],
}  # fmt: skip
DISK = {"target": "vda", "image": "/images/a.qcow2", "format": "qcow2", "there": True, "size": 1 << 30,
        "used": 3 << 20, "below": ["/images/base"], "above": ["/images/a.clean.qcow2"]}  # fmt: skip


def test_a_list_marks_where_the_guest_went_on():
    (table,) = listed({"snapshots": [ROW]})
    assert table.heads == ("guest", "name", "made", "by", "state", "disks", "present")
    assert table.rows == (("win11", "clean", moment(NOW), "create", "off", "vda,vdb+nvram", "yes"),)


def test_a_list_of_several_nodes_says_which():
    nodes = [{"node": "local"}, {"node": "rack7"}]
    (table,) = listed({"snapshots": [{"node": "rack7", **ROW}], "nodes": nodes})
    assert (table.heads[:2], table.rows[0][:2]) == (("node", "guest"), ("rack7", "win11"))


def test_an_empty_list_says_so():
    assert list(listed({"snapshots": []})) == ["There are no snapshots."]


def test_what_is_incomplete_is_called_so():
    (table,) = listed({"snapshots": [{**ROW, "missing": ["vda's image"]}]})
    assert "incomplete" in table.rows[0]


def test_a_snapshot_is_shown_with_what_it_lies_over_and_who_needs_it():
    more = {"disks": [DISK], "nvram_copy": "/nvram/x.clean", "tpm_copy": "/tpm/x.clean", "before": "first",
            "skipped": {"vdc": "it is read-only"}}  # fmt: skip
    text = "\n".join(shown({"snapshot": {**ROW, **more}}))
    for part in ("3.0 MiB of 1.0 GiB", "over /images/base", "needed by /images/a.clean.qcow2", "vdc      has no part",
                 "/nvram/x.clean", "/tpm/x.clean", "after    first", "went on from here"):  # fmt: skip
        assert part in text


def test_a_dry_run_lists_the_steps_in_order():
    step = {"kind": "disk.overlay", "resource": "file:/x", "reason": "because"}
    assert "disk.overlay" in list(changed({"dry_run": True, "steps": [step]}))[1]


def test_what_was_done_is_one_sentence():
    done = {"dry_run": False, "steps": [], "guest": "win11", "operation": {"ok": True, "operation": "snapshot revert"},
            "snapshot": {"name": "clean", "disks": [{"target": "vda"}], "nvram": "/nvram/x", "tpm": ""}}  # fmt: skip
    assert list(changed(done)) == ["Guest win11 is as it was at 'clean': vda and its NVRAM."]
    whole = {**done, "snapshot": {**done["snapshot"], "tpm": "/tpm/x"}}
    assert list(changed(whole)) == ["Guest win11 is as it was at 'clean': vda, its NVRAM, its TPM."]
