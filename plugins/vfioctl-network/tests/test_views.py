"""How the verbs look on a terminal."""

from __future__ import annotations

from vfioctl_network.views import changed, checked, leases, listed, shown

ROW = {
    "name": "lab", "uuid": "u", "active": True, "persistent": True, "autostart": True, "type": "nat",
    "bridge": "virbr1", "devices": [], "addresses": ["192.168.219.0/24"], "guests": ["a", "b"], "running": ["a"],
}  # fmt: skip


def test_a_list_says_how_each_stands_and_how_many_guests_run_on_it():
    (table,) = listed({"networks": [ROW], "nodes": [{"node": "local"}]})
    assert table.heads == ("name", "state", "autostart", "type", "addresses", "bridge", "running")
    assert table.rows == (("lab", "active", "yes", "nat", "192.168.219.0/24", "virbr1", "1"),)


def test_a_list_of_several_nodes_says_whose_each_is():
    (table,) = listed({"networks": [{**ROW, "node": "rack7"}], "nodes": [{"node": "local"}, {"node": "rack7"}]})
    assert (table.heads[0], table.rows[0][0]) == ("node", "rack7")


def test_an_empty_list_says_how_one_is_made():
    (line,) = listed({"networks": [], "nodes": [{"node": "local"}]})
    assert "vfioctl network create NAME --subnet" in line


def test_a_network_is_shown_with_all_of_its_parts():
    more = {
        "domain": "lab.test", "names": [{"address": "192.168.219.9", "names": ["db", "sql"]}], "leases": 2,
        "subnets": [{"subnet": "192.168.219.0/24", "gateway": "192.168.219.1", "dhcp": [["192.168.219.2",
                     "192.168.219.254"]], "leases": [{"mac": "52:54", "address": "192.168.219.9", "name": "db"}]}],
        "ports": [{"guest": "a", "mac": "52:55", "device": "vnet0", "running": True}],
    }  # fmt: skip
    text = "\n".join(shown({"network": {**ROW, **more}}))
    for part in ("lab: nat, active, starts with libvirt", "DHCP gives 192.168.219.2 to 192.168.219.254",
                 "kept     192.168.219.9 for db 52:54", "db, sql is 192.168.219.9", "a, 52:55, vnet0"):  # fmt: skip
        assert part in text


def test_a_lease_without_a_guest_and_one_that_is_only_kept_are_told_apart():
    rows = [
        {"network": "lab", "address": "192.168.219.9", "mac": "52:54", "name": "", "guest": None, "expires": 1e9,
         "kept": False},
        {"network": "lab", "address": "192.168.219.10", "mac": "", "name": "web", "guest": "web", "expires": None,
         "kept": True},
    ]  # fmt: skip
    (table,) = leases({"leases": rows, "nodes": [{"node": "local"}]})
    first, second = table.rows
    assert "no such guest" in first
    assert second[-1] == "not asked for yet, kept"


def test_what_was_done_is_one_sentence():
    def line(verb: str, **more) -> str:
        operation = {"ok": True, "operation": f"network {verb}"}
        return next(changed({"dry_run": False, "steps": [], "operation": operation, "network": {**ROW, **more}}))

    assert line("delete") == "The network lab is gone."
    assert line("autostart", autostart=False) == "The network lab does not start with libvirt."
    new = {"subnet": "192.168.219.0/24", "gateway": "192.168.219.1", "dhcp": ["192.168.219.2", "192.168.219.254"]}
    assert line("create", **new) == (
        "The network lab is there and active: 192.168.219.0/24 on virbr1, the host is 192.168.219.1, DHCP gives "
        "192.168.219.2 to 192.168.219.254."
    )


def test_a_dry_run_lists_the_steps():
    step = {"kind": "network.define", "resource": "network:u", "reason": "because"}
    assert "network.define" in list(changed({"dry_run": True, "steps": [step]}))[1]


def test_what_is_wrong_is_told_with_what_to_do():
    problem = {
        "code": "network.no_rules", "text": "3 rules are missing.", "hint": "systemctl reload libvirtd",
        "missing": ["filter X: -j Y"],
    }  # fmt: skip
    rows = [{"name": "a", "active": True, "problems": []}, {"name": "lab", "active": True, "problems": [problem]}]
    assert list(checked({"networks": rows})) == [
        "a: all that it needs is there", "lab: 3 rules are missing. [network.no_rules]", "    filter X: -j Y",
        "  systemctl reload libvirtd",
    ]  # fmt: skip
    assert list(checked({"networks": []})) == ["No network is active."]
