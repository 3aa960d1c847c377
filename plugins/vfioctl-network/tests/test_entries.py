"""Which entries of DHCP and DNS change for what is wanted."""

from __future__ import annotations

import re

import pytest
from vfioctl_network.entries import beside, lease_changes, name_changes

from vfioctl.errors import Refused
from vfioctl.plugin import Port
from vfioctl.virt.networks import parse_network

XML = """<network><name>lab</name>
  <dns><host ip='192.168.7.9'><hostname>db</hostname><hostname>sql</hostname></host></dns>
  <ip address='192.168.7.1' prefix='24'><dhcp><range start='192.168.7.2' end='192.168.7.200'/>
  <host mac='52:54:00:00:00:09' name='db' ip='192.168.7.9'/></dhcp></ip>
  <ip family='ipv6' address='fd00:7::1' prefix='64'/></network>"""
LAB = parse_network(XML)
NAMED = """<network><name>lab</name><dns><host ip='192.168.7.9'><hostname>db</hostname></host>
  <host ip='192.168.7.10'><hostname>web</hostname></host></dns><ip address='192.168.7.1' prefix='24'/></network>"""
DB, WEB = "52:54:00:00:00:09", "52:54:00:00:00:0a"
PORTS = (Port("db", "u1", DB, "lab", ""), Port("web", "u2", WEB, "lab", ""))
TWICE = (*PORTS, Port("web", "u2", "52:54:00:00:00:0b", "lab", ""))


def leases(*keep: tuple[str, str], drop: tuple[str, ...] = (), ports=PORTS) -> list[tuple[bool, str]]:
    """Whether an entry is there before, and the one that is to be, of each change."""
    return [(bool(one.former), one.entry) for one in lease_changes(LAB, ports, keep, drop)]


def test_an_address_is_kept_for_a_guest_by_its_mac():
    assert leases(("web", "192.168.7.10")) == [(False, f'<host mac="{WEB}" name="web" ip="192.168.7.10" />')]


def test_a_mac_may_be_named_and_has_the_name_of_its_guest():
    assert leases((WEB.upper(), "192.168.7.10")) == leases(("web", "192.168.7.10"))
    assert leases(("52:54:00:00:00:ff", "192.168.7.10")) == [
        (False, '<host mac="52:54:00:00:00:ff" ip="192.168.7.10" />')
    ]


def test_another_address_takes_the_place_of_the_one_that_is_kept():
    assert leases(("db", "192.168.7.11")) == [(True, f'<host mac="{DB}" name="db" ip="192.168.7.11" />')]


def test_what_is_so_already_changes_nothing():
    assert leases(("db", "192.168.7.9")) == []


@pytest.mark.parametrize("word", ["db", DB, "192.168.7.9"])
def test_it_is_let_go_of_by_guest_mac_or_address(word: str):
    assert leases(drop=(word,)) == [(True, "")]


def test_an_address_moves_when_it_is_let_go_of_first():
    assert [former for former, _ in leases(("web", "192.168.7.9"), drop=("db",))] == [True, False]


TWO = parse_network(XML.replace("</dhcp>", f"<host mac='{WEB}' name='web' ip='192.168.7.10'/></dhcp>"))


def moved(network, *keep: tuple[str, str], drop: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """The addresses, before and then, of each change in its order."""
    changes = lease_changes(network, PORTS, keep, drop)
    return [tuple(re.findall(r"ip=.([0-9.]+)", entry)[-1:] for entry in (one.former, one.entry)) for one in changes]


def test_an_address_that_somebody_gives_up_for_another_is_free_before_it_is_taken():
    assert moved(TWO, ("db", "192.168.7.10"), ("web", "192.168.7.11")) == [
        (["192.168.7.10"], ["192.168.7.11"]),
        (["192.168.7.9"], ["192.168.7.10"]),
    ]


def test_two_that_swap_their_addresses_begin_with_a_removal():
    assert moved(TWO, ("db", "192.168.7.10"), ("web", "192.168.7.9")) == [
        (["192.168.7.9"], []),
        (["192.168.7.10"], ["192.168.7.9"]),
        ([], ["192.168.7.10"]),
    ]


def test_each_change_knows_the_entries_of_the_others_that_are_in_its_way():
    changes = lease_changes(TWO, PORTS, [(WEB, "192.168.7.9"), ("52:54:00:00:00:ff", "192.168.7.99")], ["db"])
    removal, change, other = changes
    assert beside(removal, changes) == (change.entry,)
    assert beside(change, changes) == (removal.former,)
    assert beside(other, changes) == ()


@pytest.mark.parametrize(("keep", "drop", "code", "said"), [
    (("web", "192.168.8.10"), (), "network.address", "is not in the network lab"),
    (("web", "192.168.7.1"), (), "network.address", "the host's own address"),
    (("web", "192.168.7.255"), (), "network.address", "stands for"),
    (("web", "fd00:7::9"), (), "network.address", "DUID"),
    (("web", "seven"), (), "network.address", "is no address"),
    (("web", "192.168.7.9"), (), "network.lease_taken", "is kept for db"),
    (("wbe", "192.168.7.10"), (), "network.no_port", 'did you mean "web"'),
    (("web", "192.168.7.10"), ("nobody",), "network.lease_unknown", "keeps no address for 'nobody'"),
])  # fmt: skip
def test_what_cannot_be_is_refused(keep, drop, code: str, said: str):
    with pytest.raises(Refused, match=said) as refused:
        leases(keep, drop=drop)
    assert refused.value.code == code


def test_a_guest_with_several_interfaces_has_to_be_named_by_one():
    with pytest.raises(Refused, match="with several interfaces: 52:54:00:00:00:0a, 52:54:00:00:00:0b"):
        leases(("web", "192.168.7.10"), ports=TWICE)


def names(*add: tuple[str, str], drop: tuple[str, ...] = ()) -> list[tuple[bool, str]]:
    return [(bool(one.former), one.entry) for one in name_changes(LAB, add, drop)]


def test_a_name_is_added_beside_those_of_its_address():
    first = '<host ip="192.168.7.9"><hostname>db</hostname><hostname>sql</hostname>'
    assert names(("pg", "192.168.7.9")) == [(True, f"{first}<hostname>pg</hostname></host>")]


def test_a_name_of_another_address_moves_and_is_free_before_it_is_taken():
    assert names(("sql", "192.168.7.10")) == [
        (True, '<host ip="192.168.7.9"><hostname>db</hostname></host>'),
        (False, '<host ip="192.168.7.10"><hostname>sql</hostname></host>'),
    ]


def test_names_that_swap_their_addresses_are_free_before_they_are_taken():
    db, web = (f'<host ip="192.168.7.{last}"><hostname>{{}}</hostname></host>' for last in (9, 10))
    changes = name_changes(parse_network(NAMED), [("db", "192.168.7.10"), ("web", "192.168.7.9")], [])
    assert [one.entry for one in changes] == ["", web.format("db"), db.format("web")]


def test_the_last_name_takes_the_entry_with_it():
    assert names(drop=("db", "sql")) == [(True, "")]


def test_a_name_that_is_there_changes_nothing_and_one_that_is_not_is_refused():
    assert names(("db", "192.168.7.9"), ("sql", "192.168.7.9")) == []
    with pytest.raises(Refused, match="no name 'dbb'; did you mean \"db\"") as refused:
        names(drop=("dbb",))
    assert refused.value.code == "network.name_unknown"


def test_a_name_that_dns_cannot_have_is_refused():
    with pytest.raises(Refused, match="no DNS name") as refused:
        names(("a b", "192.168.7.9"))
    assert refused.value.code == "network.bad_name"
