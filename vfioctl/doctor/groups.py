"""Whether each card can be given without what it shares an IOMMU group with. Reads only."""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host
from vfioctl.plugin.group import in_the_way


def findings(host: Host) -> Iterator[Finding]:
    """A warning for each card that others hold back; which settings help depends on the guest, so `plan` says it."""
    for card in host.gpus():
        given = (card.address, *(other.address for other in host.companions(card.address)))
        for member in in_the_way(given, host):
            yield Finding(
                "group.unviable",
                f"{card.address} shares the IOMMU group {member.iommu_group} with {member.address}, which is on the "
                f"driver {member.driver}: it must go along, or lose that driver.",
                Severity.WARN, "See the group with: vfioctl gpu list; what helps a guest with: vfioctl plan GUEST",
                evidence=f"/sys/kernel/iommu_groups/{member.iommu_group}/devices",
            )  # fmt: skip
