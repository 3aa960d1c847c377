"""The plugin's settings of one guest, and what is wrong with them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.plugin import Disk, Finding, Request, Severity, field, frozen
from vfioctl_snapshot.naming import name_at, template_problem

PLUGIN = "snapshot"
REQUIRE, TRY, SKIP = "require", "try", "skip"
DRIVES = ("cdrom", "floppy")


@frozen
class Settings:
    """The table [snapshot]; see vfioctl-plugin.toml."""

    enabled: bool = False
    policy: str = TRY
    disks: dict[str, str] = field(default_factory=dict)
    keep: int = 5
    name: str = "vfioctl-{date}-{time}"

    @classmethod
    def of(cls, request: Request) -> Settings:
        return cls(**request.config.table(PLUGIN))

    def policy_of(self, disk: Disk) -> str:
        """require, try or skip. A drive whose medium changes is left alone unless it is named."""
        return self.disks.get(disk.target, SKIP if disk.device in DRIVES else self.policy)

    def snapshot_name(self, request: Request) -> str:
        """The name of every snapshot of this start, to which the core adds the start's id."""
        return name_at(self.name, request.now)

    def full_name(self, request: Request) -> str:
        """The same with the id, for what is not named by the core."""
        name = self.snapshot_name(request)
        return f"{name}-{request.operation}" if request.operation else name

    @property
    def usable(self) -> bool:
        return self.enabled and not template_problem(self.name) and self.keep >= 0

    def problems(self, request: Request) -> Iterator[Finding]:
        """What is wrong with the settings themselves."""
        if problem := template_problem(self.name):
            yield finding("snapshot.name", f"snapshot.name is {self.name!r}: {problem}.")
        if self.keep < 0:
            yield finding("snapshot.keep", f"snapshot.keep is {self.keep}; it must be 0 (keep all) or more.")
        targets = [disk.target for disk in request.domain.disks]
        for target in self.disks:
            if target not in targets and self.disks[target] == REQUIRE:
                known = ", ".join(targets) or "none"
                yield finding(
                    "snapshot.no_disk",
                    f"snapshot.disks requires a snapshot of {target}, and guest {request.guest} has no such disk.",
                    hint=f"Its disks are: {known}",
                )


def finding(code: str, message: str, severity: Severity = Severity.BLOCK, hint: str = "") -> Finding:
    return Finding(code, message, severity, hint, PLUGIN)
