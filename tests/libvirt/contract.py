"""What libvirt does with its hooks differs between versions: one column for each that was measured."""

from __future__ import annotations

from dataclasses import dataclass

Version = tuple[int, int]


@dataclass(frozen=True)
class Contract:
    """EXTRA of `release`, by how the guest ended; that of every other operation is "-" (libvirt.org/hooks.html)."""

    destroyed: str  # virsh destroy
    failed: str  # a hook refused its start, or QEMU did
    lost: str  # QEMU ended while no daemon ran

    @property
    def life(self) -> list[str]:
        """The calls of a start and a destroy."""
        return ["prepare begin -", "start begin -", "started begin -", "stopped end -", f"release end {self.destroyed}"]

    @property
    def refused(self) -> list[str]:
        """The calls of a start that `prepare` refuses."""
        return ["prepare begin -", "stopped end -", f"release end {self.failed}"]


MEASURED: dict[Version, Contract] = {
    (9, 0): Contract(destroyed="-", failed="-", lost="-"),
    (11, 3): Contract(destroyed="destroyed", failed="failed", lost="crashed"),
}


def contract(version: Version) -> Contract:
    """That of the newest version measured that is not newer; the oldest for what is older still."""
    return MEASURED[max((known for known in MEASURED if known <= version), default=min(MEASURED))]
