"""Whether the processor and the kernel can run guests at full speed. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterator

from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host
from vfioctl.host.processor import processor_flags

EXTENSIONS = {"vmx": "VT-x", "svm": "AMD-V"}


def findings(host: Host) -> Iterator[Finding]:
    """No extension, or an extension without /dev/kvm (kernel, Documentation/virt/kvm/api.rst)."""
    found = sorted(EXTENSIONS.keys() & processor_flags(host.paths))
    if not found:
        yield Finding(
            "cpu.no_extension", "The processor shows no extension for guests, so these would only be emulated.",
            Severity.WARN, "Turn on VT-x or SVM in the firmware; inside of a guest, ask its host for nested guests.",
            evidence="/proc/cpuinfo: neither vmx nor svm among the flags",
        )  # fmt: skip
    elif not os.path.exists(os.path.join(host.paths.dev, "kvm")):
        module = "kvm_intel" if "vmx" in found else "kvm_amd"
        yield Finding(
            "cpu.no_kvm", f"The processor has {EXTENSIONS[found[0]]}, but the kernel offers no /dev/kvm.",
            Severity.WARN, f"Load it with: modprobe {module}; if that fails, the firmware has it turned off.",
            evidence="/dev/kvm is not there",
        )  # fmt: skip
