"""What docker and podman say of one container that the configuration names. Reads only, and starts no daemon."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError
from vfioctl.frozen import frozen
from vfioctl.host.containers import DOCKER, PODMAN, user_of

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.proc import Completed

TOOLS = (DOCKER, PODMAN)
SECONDS = 15.0  # podman opens its database first: 5 s on a slow disk are not enough
DAEMON = "docker.service"
UNIT_LABEL = "PODMAN_SYSTEMD_UNIT"
FORMAT = f'{{{{.Id}}}} {{{{.State.Status}}}} {{{{.HostConfig.AutoRemove}}}} {{{{index .Config.Labels "{UNIT_LABEL}"}}}}'
FIELDS = 4
RUNS = ("running", "paused", "restarting", "stopping")
ABSENT = "no such container"  # docker 20 to 28 and podman 4 and 5, in any case
UNSET = "<no value>"


@frozen
class Which:
    """A container by what names it for longer than one run: tool, name, and whose it is when it is rootless."""

    tool: str
    name: str
    user: str = ""

    @property
    def title(self) -> str:
        return f"{self.tool} container {self.name}{f' of user {self.user}' if self.user else ''}"


@frozen
class Seen:
    """A container now. `auto_remove`: it is gone when it stops. `unit`: systemd's unit that made it."""

    id: str
    runs: bool
    auto_remove: bool = False
    unit: str = ""


def which(text: str, tools: tuple[str, ...]) -> tuple[Which, ...]:
    """What an entry of the setting `containers` may name: TOOL:NAME, TOOL:USER/NAME, or NAME with any of `tools`."""
    tool, given, rest = text.rpartition(":")
    user, _, name = rest.rpartition("/")
    return tuple(Which(one, name, user) for one in ((tool,) if given else tools))


def command(which: Which, paths: Paths, *words: str) -> tuple[str, ...]:
    """The program and arguments that reach the container, as its user where it is rootless."""
    if not which.user:
        return (which.tool, *words)
    name, uid, home = user_of(paths, which.user)
    place = f"/run/user/{uid}"
    there = (f"HOME={home or '/'}", f"XDG_RUNTIME_DIR={place}", f"DOCKER_HOST=unix://{place}/docker.sock")
    return ("runuser", "-u", name, "--", "env", *there, which.tool, *words)


def look(host: Host, which: Which, *, deadline: float = SECONDS) -> Seen | None:
    """The container now; None when there is none. Raises VfioctlError("container.unreadable").

    Docker's socket would start its daemon: while that does not run, no container of it does.
    """
    if which.tool == DOCKER and not which.user and _sleeps(host):
        return None
    argv = command(which, host.paths, "container", "inspect", "--format", FORMAT, "--", which.name)
    shown = host.programs.run(argv, deadline=deadline)
    if tells_absence(shown):
        return None
    fields = shown.stdout.strip().split(" ", FIELDS - 1)
    if not shown.ok or len(fields) < FIELDS - 1:
        raise VfioctlError(
            "container.unreadable", f"The {which.title} cannot be looked at: {shown.why()}.",
            hints=(f"See what it says with: {which.tool} container inspect {which.name}",),
        )  # fmt: skip
    unit = fields[3] if len(fields) == FIELDS and fields[3] != UNSET else ""
    return Seen(fields[0], fields[1] in RUNS, fields[2] == "true", unit)


def tells_absence(ended: Completed) -> bool:
    """Whether the tool has failed for want of a container: to a start that may be another one than its own."""
    return not ended.ok and ABSENT in ended.stderr.lower()


def _sleeps(host: Host) -> bool:
    unit = host.unit(DAEMON)
    return unit.exists and not unit.is_active
