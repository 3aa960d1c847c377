"""Whether the processor and the kernel can run guests at full speed. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterator

from vfioctl.findings import Finding, Severity
from vfioctl.host.host import Host
from vfioctl.host.processor import is_arm, processor_flags

EXTENSIONS = {"vmx": "VT-x", "svm": "AMD-V"}


def findings(host: Host) -> Iterator[Finding]:
    """No /dev/kvm (kernel, Documentation/virt/kvm/api.rst), with the cause: each architecture has its own extension."""
    if os.path.exists(os.path.join(host.paths.dev, "kvm")):
        return
    found = sorted(EXTENSIONS.keys() & processor_flags(host.paths))
    if found:
        module = "kvm_intel" if "vmx" in found else "kvm_amd"
        hint = f"Load it with: modprobe {module}; if that fails, the firmware has it turned off."
        yield _no_kvm(f"The processor has {EXTENSIONS[found[0]]}, but the kernel offers no /dev/kvm.", hint)
    elif is_arm(host.paths):
        hint = "Start a kernel with KVM, and have the firmware start it in EL2; a guest needs nested guests for that."
        yield _no_kvm("The kernel offers no /dev/kvm, so guests would only be emulated.", hint)
    else:
        yield Finding(
            "cpu.no_extension", "The processor shows no extension for guests, so these would only be emulated.",
            Severity.WARN, "Turn on VT-x or SVM in the firmware; inside of a guest, ask its host for nested guests.",
            evidence="/proc/cpuinfo: neither vmx nor svm among the flags",
        )  # fmt: skip


def _no_kvm(said: str, hint: str) -> Finding:
    return Finding("cpu.no_kvm", said, Severity.WARN, hint, evidence="/dev/kvm is not there")
