"""Which rules a network needs, and which of them are there, in iptables and in nftables."""

from __future__ import annotations

import pytest
from rulesets import NFT, SAVED, SAVED6, network, ruleset
from vfioctl_network.firewall import IPTABLES, NFTABLES, chains, demands
from vfioctl_network.rules import lost_rules, taken_back
from vfioctl_network.tables import parsed


def missing(kind: str, saved: str, saved6: str = SAVED6) -> list[str]:
    found = parsed(saved, saved6, "")
    return [one.what for one in demands(network(kind), IPTABLES) if not one.is_met(found.rules)]


def missing_in_nft(kind: str, listed: str) -> list[str]:
    found = parsed("", "", listed)
    return [one.what for one in demands(network(kind), NFTABLES) if not one.is_met(found.rules)]


@pytest.mark.parametrize("kind", ["nat", "isolated", "bridge", "macvtap"])
def test_what_libvirt_writes_is_all_that_is_needed(kind: str):
    assert missing(kind, SAVED) == []
    assert missing_in_nft(kind, ruleset(*NFT)) == []


def lines(saved: str) -> list[int]:
    """The numbers of the lines with rules that must be there; not every kernel can fill checksums in."""
    return [n for n, line in enumerate(saved.splitlines()) if line.startswith("-A") and "CHECKSUM" not in line]


def without(saved: str, number: int) -> str:
    every = saved.splitlines()
    return "\n".join((*every[:number], *every[number + 1:]))  # fmt: skip


@pytest.mark.parametrize("number", lines(SAVED))
def test_each_rule_is_missed(number: int):
    assert len(missing("nat", without(SAVED, number))) == 1


@pytest.mark.parametrize("number", lines(SAVED6))
def test_each_rule_of_ipv6_is_missed(number: int):
    assert len(missing("nat", SAVED, without(SAVED6, number))) == 1


@pytest.mark.parametrize("number", range(len(NFT)))
def test_each_rule_is_missed_in_nftables(number: int):
    assert len(missing_in_nft("nat", ruleset(*NFT[:number], *NFT[number + 1:]))) == 1  # fmt: skip


SNAT = {"snat": {"addr": "203.0.113.5", "port": {"range": [1024, 65535]}}}


def test_a_network_may_say_itself_to_which_address_it_is_translated():
    assert missing("nat", SAVED.replace("-j MASQUERADE", "-j SNAT --to-source 203.0.113.5")) == []
    *others, translated = NFT
    expressions = [SNAT if "masquerade" in one else one for one in translated["rule"]["expr"]]
    assert missing_in_nft("nat", ruleset(*others, {"rule": {**translated["rule"], "expr": expressions}})) == []


def test_another_verdict_translates_nothing():
    assert missing("nat", SAVED.replace("-j MASQUERADE", "-j RETURN")) == ["the address of the host"]


def test_what_translates_is_named_with_both_verdicts():
    (problem,) = lost_rules(network("nat"), parsed(SAVED.replace("-j MASQUERADE", "-j RETURN"), SAVED6, ""), IPTABLES)
    (said,) = problem.missing
    assert said.endswith("! -d 192.168.7.0/24 -j MASQUERADE or -j SNAT")


def test_ipv6_is_asked_for_only_where_the_network_has_it():
    found = parsed(SAVED, "", "")
    assert all(one.is_met(found.rules) for one in demands(network("nat", ipv6=False), IPTABLES))
    assert not all(one.is_met(found.rules) for one in demands(network("nat"), IPTABLES))


def test_a_rule_of_another_network_or_table_does_not_count():
    assert "guests among each other" in missing("nat", SAVED.replace("virbr1", "virbr10"))
    assert "the address of the host" in missing("nat", SAVED.replace("*nat", "*raw"))
    assert "guests among each other" in missing_in_nft("nat", ruleset(*NFT).replace("virbr1", "virbr10"))


def test_a_bridge_that_was_made_anew_does_not_count_in_nftables():
    """libvirt asks for the number of the interface there, and nft shows it where nothing has that number any more."""
    assert "the way out" in missing_in_nft("nat", ruleset(*NFT).replace('"virbr1"', "7"))


def test_others_get_to_a_routed_network_by_themselves():
    assert "the way back in" in missing("routed", SAVED.replace("-d 192.168.7.0/24 -o", "-d 192.168.8.0/24 -o"))


def test_the_chains_that_are_not_there_are_made_before_libvirt_is_to_write_into_them():
    (problem,) = lost_rules(network("nat", ipv6=False), parsed("", "", ""), IPTABLES)
    assert [one.argv for one in problem.first] == [
        ("iptables", "-w", "-t", table.split()[1], "-N", name)
        for _, table, name in chains(network("nat", ipv6=False), IPTABLES)
    ]  # fmt: skip
    assert problem.refresh
    assert ("iptables", "-w", "-t", "nat", "-I", "POSTROUTING", "-j", "LIBVIRT_PRT") in [
        one.argv for one in problem.commands
    ]  # fmt: skip


def test_the_table_of_nftables_is_made_with_its_chains():
    (problem,) = lost_rules(network("nat", ipv6=False), parsed("", "", ""), NFTABLES)
    first, *_ = (one.argv[1] for one in problem.first)
    assert first == (
        "add table ip libvirt_network; "
        "add chain ip libvirt_network forward { type filter hook forward priority 0; policy accept; }"
    )
    assert problem.commands[-1].argv == ("nft", "insert rule ip libvirt_network forward counter jump guest_cross")


def test_what_is_missing_is_said_rule_by_rule():
    lost = SAVED.replace("-A LIBVIRT_FWX -i virbr1 -o virbr1 -j ACCEPT\n", "")
    (problem,) = lost_rules(network("nat"), parsed(lost, SAVED6, ""), IPTABLES)
    assert problem.missing == ("iptables filter LIBVIRT_FWX: -i virbr1 -o virbr1 -j ACCEPT",)


def test_only_what_was_let_through_for_this_network_is_taken_back():
    saved = """*filter
-A DOCKER-USER -i virbr1 -m comment --comment "vfioctl:u" -j ACCEPT
-A DOCKER-USER -o virbr1 -m comment --comment vfioctl:u -j ACCEPT
-A DOCKER-USER -i virbr2 -m comment --comment "vfioctl:uu" -j ACCEPT
-A DOCKER-USER -j RETURN
"""
    first, second = taken_back(network("nat"), parsed(saved, "", "").rules)
    assert first.argv[:6] == ("iptables", "-w", "-t", "filter", "-D", "DOCKER-USER")
    assert first.argv[6:] == ("-i", "virbr1", "-m", "comment", "--comment", "vfioctl:u", "-j", "ACCEPT")
    assert second.argv[6:8] == ("-o", "virbr1")
