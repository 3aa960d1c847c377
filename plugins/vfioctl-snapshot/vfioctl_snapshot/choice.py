"""Which disks are snapshotted at this start, and why the others are not. Reads images; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.plugin import Disk, Finding, Request, Severity, frozen
from vfioctl_snapshot.chain import owned_by_libvirt
from vfioctl_snapshot.image import Image, look
from vfioctl_snapshot.settings import REQUIRE, SKIP, Settings, finding

FORMAT = "qcow2"
QUIET = ("snapshot.raw", "snapshot.not_here", "snapshot.unsuited")  # normal beside a disk that has snapshots


@frozen
class Choice:
    """A disk that is to be snapshotted: its image, or why it is not."""

    disk: Disk
    policy: str
    image: Image

    @property
    def wanted(self) -> bool:
        return not self.image.code

    def findings(self, guest: str) -> tuple[Finding, ...]:
        if self.wanted:
            return ()
        message = f"{self.disk.target} of guest {guest} is not snapshotted: {self.image.why}."
        hint = self._hint()
        return (finding(self.image.code, message, self._severity(), hint),)

    def _severity(self) -> Severity:
        if self.image.code == "snapshot.incoming":
            return Severity.WARN if self.policy == REQUIRE else Severity.INFO
        if self.policy == REQUIRE or self.image.code == "snapshot.in_use":
            return Severity.BLOCK
        return Severity.INFO if self.image.code in QUIET else Severity.WARN

    def _hint(self) -> str:
        severity = self._severity()
        if self.image.code == "snapshot.in_use":
            return "Stop what uses it; no snapshot of an image in use is taken."
        if severity is Severity.BLOCK:
            return f'Start without it by setting {self.disk.target} = "skip" under [snapshot.disks] in the guest file.'
        return ""


def choices(settings: Settings, request: Request) -> Iterator[Choice]:
    """What happens to each disk; one whose policy is skip is not looked at."""
    return (choice for disk in request.domain.disks if (choice := choose(disk, settings, request)))


def choose(disk: Disk, settings: Settings, request: Request) -> Choice | None:
    """What happens to `disk`; None when its policy is skip."""
    policy = settings.policy_of(disk)
    if policy == SKIP:
        return None
    code, why = unsuited(disk) or _not_now(disk, request)
    image = Image(code=code, why=why) if code else look(request.host, disk.source or "")
    return Choice(disk, policy, image)


def unsuited(disk: Disk) -> tuple[str, str] | None:
    """The code and the reason why such a disk never has a snapshot of ours."""
    if disk.type != "file" or not disk.source:
        return "snapshot.not_here", f"it is no image file on this host (its type is {disk.type!r})"
    if disk.readonly or disk.shareable or disk.transient:
        return "snapshot.unsuited", "it is read-only, shared or transient"
    if (disk.format or "raw") == "raw":
        return "snapshot.raw", f"it is a raw image, and only {FORMAT} holds snapshots"
    if disk.format != FORMAT:
        return "snapshot.format", f"it is a {disk.format} image, and only {FORMAT} holds snapshots"
    return None


def _not_now(disk: Disk, request: Request) -> tuple[str, str]:
    if request.incoming:
        return "snapshot.incoming", "the guest comes with its memory from a migration or a saved state"
    if owner := owned_by_libvirt(disk, request):
        return "snapshot.external", f"{owner}, and internal and external snapshots must not be mixed"
    return "", ""
