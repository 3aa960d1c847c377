"""Huge pages of a new guest: of a size that the node has, as many as it needs, a whole number of them."""

from __future__ import annotations

import pytest
from vfioctl_guest.pages import findings
from vfioctl_guest.site import Site

from vfioctl.plugin import Pages, Severity
from vfioctl.virt.capabilities import Capabilities
from vfioctl.virt.nodes import LOCAL

MIB, GIB = 1 << 20, 1 << 30
NODE = Capabilities("kvm", "x86_64", "q35", "/qemu", 8, 4 * GIB, *(frozenset[str](),) * 4)
SITE = Site(LOCAL.uri, LOCAL, NODE, pages=(Pages(2 * MIB, 1024, 512), Pages(GIB, 4, None)))


def said(memory: int, page: int) -> list[tuple[Severity, str]]:
    return [(one.severity, one.message) for one in findings(memory, page, SITE)]


@pytest.mark.parametrize(("memory", "page"), [(GIB, 0), (GIB, 2 * MIB), (4 * GIB, GIB)])
def test_nothing_is_said_where_there_are_enough(memory: int, page: int) -> None:
    assert said(memory, page) == []


@pytest.mark.parametrize(("memory", "page", "severity", "words"), [
    (GIB, 16 * MIB, Severity.BLOCK, "has no huge pages of 16.0 MiB; it has those of 2.0 MiB, 1.0 GiB."),
    (GIB + MIB, 2 * MIB, Severity.BLOCK, "is no whole number"),
    (4 * GIB, 2 * MIB, Severity.BLOCK, "has 1024 huge pages of 2.0 MiB, and the guest needs 2048."),
    (2 * GIB, 2 * MIB, Severity.WARN, "512 of the 1024 huge pages of 2.0 MiB of local are free now"),
])  # fmt: skip
def test_what_the_node_cannot_give_is_said(memory: int, page: int, severity: Severity, words: str) -> None:
    ((found, message),) = said(memory, page)
    assert found is severity
    assert words in message
