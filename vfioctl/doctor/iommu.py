"""Whether the kernel has an IOMMU, why not, and whether its groups are true. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterator

from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host
from vfioctl.host.processor import is_arm

# By which firmware describes the units of Intel, of AMD and of Arm. The last is there without a unit, too: it has the
# ways of interrupts as well (Arm DEN 0049, "IO Remapping Table").
TABLES = ("DMAR", "IVRS", "IORT")
OFF = ("iommu=off", "intel_iommu=off", "amd_iommu=off")  # kernel, Documentation/admin-guide/kernel-parameters.txt


def findings(host: Host) -> Iterator[Finding]:
    """Why there is no IOMMU, with the cause where it can be seen; or that the groups of one are invented."""
    words = host.kernel_command_line().split()
    if not host.iommu_on():
        yield _why_off(host, words)
    if acs := [word for word in words if word.startswith("pcie_acs_override")]:
        yield Finding(
            "iommu.acs_override",
            "The kernel runs with pcie_acs_override: the IOMMU groups it shows do not isolate the guest from the host.",
            Severity.WARN, "Remove it from the kernel's command line if the groups allow it without.",
            evidence=f"/proc/cmdline: {acs[0]}",
        )  # fmt: skip


def _why_off(host: Host, words: list[str]) -> Finding:
    if off := [word for word in OFF if word in words]:
        return Finding(
            "iommu.kernel_off", f"The kernel was told to leave the IOMMU off ({off[0]}).",
            hint=f"Remove {off[0]} from the kernel's command line, then restart.", evidence=f"/proc/cmdline: {off[0]}",
        )  # fmt: skip
    directory = os.path.join(host.paths.sys, "firmware/acpi/tables")
    found = [name for name in TABLES if os.path.exists(os.path.join(directory, name))]
    unit = "the SMMU" if "IORT" in found or is_arm(host.paths) else "VT-d or AMD-Vi"
    hint = f"Turn on {unit} in the firmware."
    if not found and os.path.isdir(directory):
        return Finding(
            "iommu.firmware_off", "The firmware describes no IOMMU.", hint=hint,
            evidence=f"/sys/firmware/acpi/tables has none of {', '.join(TABLES)}",
        )  # fmt: skip
    if unit != "the SMMU":
        hint = "Turn on VT-d or AMD-Vi in the firmware; Intel also needs intel_iommu=on on the kernel command line."
    if "DMAR" in found and "intel_iommu=on" not in words:
        hint = "Add intel_iommu=on to the kernel's command line, then restart."
    return Finding(
        "iommu.off", "The IOMMU is off, so no device can be given to a guest.", hint=hint,
        evidence="/sys/class/iommu is empty" + "".join(f"; the firmware has the table {name}" for name in found),
    )  # fmt: skip
