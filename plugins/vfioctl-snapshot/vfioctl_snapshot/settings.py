"""The plugin's settings of one guest, and what is wrong with them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.plugin import TYPE_CHECKING, Finding, Refused, Severity, field, frozen, read_text
from vfioctl_snapshot.naming import name_at, template_problem

if TYPE_CHECKING:
    from vfioctl.plugin import Disk, GuestDisk, Host, Request

PLUGIN = "snapshot"
REQUIRE, TRY, SKIP = "require", "try", "skip"
DRIVES = ("cdrom", "floppy")
MOST_IMAGES = 190


@frozen
class Settings:
    """The table [snapshot]; see vfioctl-plugin.toml."""

    enabled: bool = False
    policy: str = TRY
    disks: dict[str, str] = field(default_factory=dict)
    keep: int = 5
    name: str = "vfioctl-{date}-{time}"
    chain: int = 100

    @property
    def longest_chain(self) -> int:
        """How many images may lie over each other: libvirt itself reads no more than 200."""
        return min(max(self.chain, 1), MOST_IMAGES)

    @classmethod
    def of(cls, request: Request) -> Settings:
        return cls(**request.config.table(PLUGIN))

    def policy_of(self, disk: Disk | GuestDisk) -> str:
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


def settings_of(host: Host, guest: str) -> Settings:
    """The settings of `guest` for the verbs, without its other tables. Raises Refused("snapshot.settings")."""
    path = host.paths.guest_config(guest)
    if not (text := read_text(path)):
        return Settings()
    import tomllib  # compiles patterns for 6 ms; most guests that have snapshots have no file

    try:
        table = tomllib.loads(text).get(PLUGIN, {})
        return Settings(**table)
    except (ValueError, TypeError, AttributeError) as error:
        raise Refused(
            "snapshot.settings", f"The table [snapshot] of {path} cannot be used: {error}.",
            state="Nothing was changed.", hints=("See what is wrong with: vfioctl config validate",),
        ) from error  # fmt: skip
