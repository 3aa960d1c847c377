"""Containers by the id that a control group shows: their runtime, name, and what stops them. Reads, asks no daemon.

Docker keeps config.v2.json and hostconfig.json in containers/ID below its data-root; Podman's storage names its
containers in *-containers/containers.json. A rootless store is its user's: text to show and nothing to obey, read in a
child with a deadline, since a home may lie on a network.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.frozen import frozen
from vfioctl.host.model import Holder
from vfioctl.paths import Paths
from vfioctl.proc import in_child

if TYPE_CHECKING:
    from typing import Any

DOCKER, PODMAN, KUBERNETES, MACHINE, LXC = "docker", "podman", "kubernetes", "machine", "lxc"
SCOPES = (
    ("docker-", DOCKER), ("libpod-", PODMAN), ("crio-", KUBERNETES), ("cri-containerd-", KUBERNETES),
    ("machine-", MACHINE), ("systemd-nspawn@", MACHINE),
)  # fmt: skip
STOPS = {DOCKER: "docker stop {}", PODMAN: "podman stop {}", MACHINE: "machinectl stop {}", LXC: "lxc-stop -n {}"}
ID = r"[0-9a-f]{12,64}"
NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}"  # the grammar of both runtimes; also safe to paste
SHORT = 12  # characters of an id that both runtimes show, and take
SECONDS = 1.0
LARGEST = 4 << 20
PROJECT = "com.docker.compose.project"
DOCKER_ROOTS = ("var/lib/docker", "var/snap/docker/common/var-lib-docker")
PODMAN_ROOTS = ("var/lib/containers/storage",)
DAEMON_FILE = "etc/docker/daemon.json"
Stored = tuple[str, str, bool]  # name, compose project, auto_remove
NOTHING: Stored = ("", "", False)
GUEST = r"qemu-\d+-(.+)"  # libvirt's machines in machined


@frozen
class Container:
    """One container. `name` is "" where it is not known; `user` has a rootless one; `unit` starts and stops it."""

    id: str
    runtime: str
    name: str = ""
    user: str = ""
    uid: int | None = None
    project: str = ""  # of compose
    unit: str = ""
    auto_remove: bool = False  # of Docker: it is gone once it has stopped; one of Podman may have a unit that makes it

    @property
    def title(self) -> str:
        """What people call it, with whose it is."""
        called = self.name or self.id[:SHORT]
        owner = f" of user {self.user}" if self.user else ""
        return f"{called} ({self.runtime}{owner}{f', compose project {self.project}' if self.project else ''})"

    @property
    def stop(self) -> str:
        """The command that stops it for longer than a moment, or "" when there is none to name."""
        if self.unit:
            manager = "systemctl" if self.uid is None else f"systemctl --user --machine={self.uid}@.host"
            return f"{manager} stop {self.unit}"
        if guest := re.fullmatch(GUEST, self.name):
            return f"virsh shutdown {guest[1]}"
        command = STOPS.get(self.runtime, "").format(self.name or self.id[:SHORT])
        return f"sudo -u {self.user} XDG_RUNTIME_DIR=/run/user/{self.uid} {command}" if self.user else command

    @property
    def setting(self) -> str:
        """What the guest file says under `containers` or `units` so that it is stopped and started, or ""."""
        if self.unit:
            return "" if self.uid is not None else f'units = ["{self.unit}"]'
        if self.runtime not in (DOCKER, PODMAN) or not self.name or self.auto_remove:
            return ""
        return f'containers = ["{self.runtime}:{f"{self.user}/" if self.user else ""}{self.name}"]'


def runtime(holder: Holder) -> str:
    """The runtime of the container that `holder` is in, by the scope that it made; "" outside of containers."""
    if not holder.container:
        return ""
    scope = holder.user_unit or holder.unit or ""
    for prefix, name in SCOPES:
        if scope.startswith(prefix):
            return name
    if holder.container.startswith("kubepods-"):
        return KUBERNETES
    if scope.endswith(".service") or holder.container.startswith("libpod-"):
        return PODMAN  # below the unit itself, as --cgroups=split puts it: quadlet
    return DOCKER if re.fullmatch(ID, holder.container) else LXC


def named(paths: Paths, holders: Iterable[Holder]) -> dict[str, Container]:
    """The containers of `holders` by the id that the holder has; names as far as the stores tell them in time."""
    found = {holder.container: _bare(paths, holder) for holder in holders if holder.container}
    asked = {key: one for key, one in found.items() if one.runtime in (DOCKER, PODMAN) and re.fullmatch(ID, one.id)}
    if not asked:
        return found
    report = in_child(lambda: json.dumps(_stored(paths, asked)).encode(), deadline=SECONDS)
    said = {} if report.stuck or report.errno else json.loads(report.data or b"{}")
    return {key: _with(one, *said.get(key, NOTHING)) for key, one in found.items()}


def _bare(paths: Paths, holder: Holder) -> Container:
    kind, key = runtime(holder), str(holder.container)
    scope = holder.user_unit or holder.unit or ""
    user, uid = ("", None) if holder.user_unit is None else (user_of(paths, holder.uid)[0], holder.uid)
    name = _unescaped(key) if kind in (MACHINE, LXC) else ""
    unit = scope if kind == PODMAN and scope.endswith(".service") else ""
    return Container(key.removeprefix("libpod-"), kind, name, user, uid, unit=unit)


def _with(container: Container, name: str, project: str, auto_remove: bool) -> Container:  # noqa: FBT001 -- a row
    from vfioctl.frozen import replace

    fits = container.name or (name if re.fullmatch(NAME, name) else "")
    shown = project if re.fullmatch(NAME, project) else ""
    return replace(container, name=fits, project=shown, auto_remove=auto_remove)


def _unescaped(text: str) -> str:
    """A name in a unit's name, where systemd writes what it may not have as \\xNN (systemd.unit(5))."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), text)


def user_of(paths: Paths, who: int | str) -> tuple[str, int | None, str]:
    """Name, uid and home of a local user, given by uid or by name; the name alone where there is none."""
    try:
        text = files.read_text(paths.at("etc/passwd"), follow=True) or ""
    except OSError:
        text = ""
    for row in (line.split(":") for line in text.splitlines()):
        if len(row) > 5 and row[2].isdecimal() and str(who) in (row[0], row[2]):  # noqa: PLR2004 -- passwd(5)
            return row[0], int(row[2]), row[5]
    return str(who), who if isinstance(who, int) else None, ""


# What the stores say. In a child: any of these files may be on a network, or be something else than a file.


def _stored(paths: Paths, asked: Mapping[str, Container]) -> dict[str, Stored]:
    return {key: (_docker if one.runtime == DOCKER else _podman)(paths, one) for key, one in asked.items()}


def _docker(paths: Paths, container: Container) -> Stored:
    for root in _roots(paths, container, "docker", (_data_root(paths), *DOCKER_ROOTS)):
        place = os.path.join(root, "containers", container.id)
        data = _json(os.path.join(place, "config.v2.json"))
        if isinstance(data, dict):
            labels = _dict(_dict(data.get("Config")).get("Labels"))
            removed = _dict(_json(os.path.join(place, "hostconfig.json"))).get("AutoRemove") is True
            return _text(data.get("Name")).removeprefix("/"), _text(labels.get(PROJECT)), removed
    return NOTHING


def _podman(paths: Paths, container: Container) -> Stored:
    for root in _roots(paths, container, "containers/storage", PODMAN_ROOTS):
        for directory in sorted(_listed(root)):
            if directory.endswith("-containers"):
                for item in _list(_json(os.path.join(root, directory, "containers.json"))):
                    if _dict(item).get("id") == container.id:
                        return _text(next(iter(_list(_dict(item).get("names"))), "")), "", False
    return NOTHING


def _roots(paths: Paths, container: Container, own: str, system: tuple[str, ...]) -> tuple[str, ...]:
    """Where the store may be: below the user's home, or in the system's places."""
    if container.uid is not None:
        home = user_of(paths, container.uid)[2]
        return (paths.at(home, ".local/share", own),) if home.startswith("/") else ()
    return tuple(paths.at(place) for place in system if place)


def _data_root(paths: Paths) -> str:
    return _text(_daemon(paths).get("data-root")).lstrip("/")


def live_restore(paths: Paths) -> bool:
    """Whether Docker's containers go on when its daemon ends (live-restore in daemon.json)."""
    return _daemon(paths).get("live-restore") is True


def _daemon(paths: Paths) -> Mapping[str, Any]:
    return _dict(_json(os.path.realpath(paths.at(DAEMON_FILE))))


def _listed(directory: str) -> tuple[str, ...]:
    try:
        return tuple(os.listdir(directory))
    except OSError:
        return ()


def _json(path: str) -> Any:
    """What the plain file `path` says, None when it is none, too large or not JSON."""
    try:
        return json.loads(files.read_bytes(path, foreign=True, limit=LARGEST))
    except (OSError, ValueError, RecursionError):
        return None


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
