"""Where a guest is reached, by what libvirt's calls give for it."""

from __future__ import annotations

from typing import Any

import pytest

from vfioctl.virt.addresses import SOURCES, GuestAddresses, _read

libvirt = pytest.importorskip("libvirt", reason="libvirt-python is not installed (docs/how-to/install.md)")

MAC, OTHER = "52:54:00:aa:bb:cc", "02:42:ac:11:00:01"
XML = """<domain><devices>
  <interface type='network'><mac address='52:54:00:AA:BB:CC'/></interface>{channel}</devices></domain>"""
CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='{state}'/></channel>"


def card(mac: str, *addresses: str) -> dict[str, Any]:
    return {"hwaddr": mac, "addrs": [{"addr": one, "prefix": 24, "type": int(":" in one)} for one in addresses]}


class Domain:
    """What libvirt-python's object gives; `said` is by source, an error is raised."""

    def __init__(self, said: dict[str, Any], *, agent: str = "connected", active: bool = True) -> None:
        self.said, self.agent, self.active = said, agent, active
        self.limits: list[int] = []

    def lookupByUUIDString(self, _uuid: str) -> Domain:  # noqa: N802 -- libvirt's name
        return self

    def isActive(self) -> bool:  # noqa: N802
        return self.active

    def XMLDesc(self, _flags: int) -> str:  # noqa: N802
        return XML.format(channel=CHANNEL.format(state=self.agent) if self.agent else "")

    def agentSetResponseTimeout(self, seconds: int, _flags: int) -> None:  # noqa: N802
        self.limits.append(seconds)

    def interfaceAddresses(self, source: int, _flags: int) -> dict[str, Any]:  # noqa: N802
        found = self.said.get({number: name for name, number in SOURCES.items()}[source], {})
        if isinstance(found, str):
            raise libvirt.libvirtError(found)
        return dict(enumerate(found))  # type: ignore[return-value]


def read(domain: Domain) -> GuestAddresses:
    return _read(domain, "")  # type: ignore[arg-type] # as much of a connection as is asked


def test_each_address_is_named_once_with_the_surest_source():
    found = read(Domain({
        "agent": [card(MAC, "192.168.9.5", "2001:db8::5")], "lease": [card(MAC, "192.168.9.5", "192.168.9.6")],
        "arp": [card(MAC, "192.168.9.5")],
    })).found  # fmt: skip
    assert [(one.address, one.family, one.source) for one in found] == [
        ("192.168.9.5", "ipv4", "agent"), ("2001:db8::5", "ipv6", "agent"), ("192.168.9.6", "ipv4", "lease"),
    ]  # fmt: skip


def test_bridges_inside_the_guest_loopback_and_link_local_addresses_do_not_count():
    seen = read(Domain({"agent": [
        card(OTHER, "172.17.0.1"), card(MAC, "fe80::1", "169.254.3.4"), card("00:00:00:00:00:00", "127.0.0.1"),
    ]}))  # fmt: skip
    assert seen.found == ()
    assert seen.silent == (
        "its agent: none", "the leases of its networks: none", "the ARP table of its node: none",
    )  # fmt: skip


@pytest.mark.parametrize(("agent", "said"), [
    ("disconnected", "its agent is not connected"), ("", "it has no channel for an agent"),
])  # fmt: skip
def test_an_agent_that_is_not_there_is_not_asked(agent, said):
    domain = Domain({"agent": [card(MAC, "10.0.0.1")]}, agent=agent)
    assert read(domain).found == ()
    assert said in read(domain).silent
    assert domain.limits == []


def test_one_source_that_fails_costs_itself_and_says_why():
    domain = Domain({"agent": "the agent hangs", "arp": [card(MAC, "10.0.0.1")]})
    seen = read(domain)
    assert [one.source for one in seen.found] == ["arp"]
    assert seen.silent[0] == "its agent: the agent hangs"
    assert domain.limits == [5, -2], "its time is what it was (VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK)"


def test_a_guest_that_is_off_has_none():
    assert read(Domain({}, active=False)) == GuestAddresses(silent=("it is off",))
