"""Containers by the id that a control group shows: their runtime, name, and what stops them. Reads, asks no daemon.

Docker keeps config.v2.json and hostconfig.json in containers/ID below its data-root; Podman's storage names its
containers in *-containers/containers.json. A rootless store is its user's: text to show and nothing to obey, read in a
child with a deadline, since a home may lie on a network.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.frozen import frozen
from vfioctl.host.model import Holder
from vfioctl.paths import Paths
from vfioctl.proc import in_child

if TYPE_CHECKING:
    from typing import Any

DOCKER, PODMAN, NERDCTL, KUBERNETES, MACHINE = "docker", "podman", "nerdctl", "kubernetes", "machine"
LXC, INCUS, LXD, BUILD = "lxc", "incus", "lxd", "docker build"
SCOPES = (
    ("docker-", DOCKER), ("libpod-", PODMAN), ("nerdctl-", NERDCTL), ("crio-", KUBERNETES),
    ("cri-containerd-", KUBERNETES), ("machine-", MACHINE), ("systemd-nspawn@", MACHINE),
)  # fmt: skip
STOPS = {
    DOCKER: "docker stop {}", PODMAN: "podman stop {}", NERDCTL: "nerdctl stop {}", MACHINE: "machinectl stop {}",
    LXC: "lxc-stop -n {}", INCUS: "incus stop {}", LXD: "lxc stop {}",
}  # fmt: skip
# Both make their containers by liblxc, in directories of their own, which lxc-stop does not look into.
LXC_PLACES = (
    ("var/lib/incus/containers", INCUS), ("var/lib/lxd/containers", LXD),
    ("var/snap/lxd/common/lxd/containers", LXD),
)  # fmt: skip
ID = r"[0-9a-f]{64}"  # of Docker and Podman; BuildKit's ids, in scopes of the same name, have 25 letters and digits
NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}"  # the grammar of both runtimes; also safe to paste
SHORT = 12  # characters of an id that both runtimes show, and take
SECONDS = 1.0
LARGEST = 4 << 20
PROJECT = "com.docker.compose.project"
DOCKER_ROOTS = ("var/lib/docker", "var/snap/docker/common/var-lib-docker")
PODMAN_ROOTS = ("var/lib/containers/storage",)
DAEMON_FILE = "etc/docker/daemon.json"
TRUE = ("1", "t", "T", "true", "True", "TRUE")  # of an option of dockerd: Go's ParseBool
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
        called = _in_project(self.name) if self.runtime in (INCUS, LXD) else self.name or self.id[:SHORT]
        command = STOPS.get(self.runtime, "").format(called)
        return f"sudo -u {self.user} XDG_RUNTIME_DIR=/run/user/{self.uid} {command}" if self.user else command

    @property
    def way_out(self) -> str:
        """What to do so that it lets go for longer than a moment, without a full stop; "" when nothing is known."""
        if self.runtime == KUBERNETES:
            return ("Its kubelet would start it again: scale what made it down to 0 with kubectl; its pod is named by: "
                    f"crictl inspect {self.id[:SHORT]}")  # fmt: skip
        if not self.stop:
            return ""
        listed = f", or let each start do it with this setting in the guest file: {self.setting}"
        return f"Stop it with: {self.stop}{listed if self.setting else ''}"

    @property
    def setting(self) -> str:
        """What the guest file says under `containers` or `units` so that it is stopped and started, or ""."""
        if self.unit:
            return "" if self.uid is not None else f'units = ["{self.unit}"]'
        if self.runtime not in (DOCKER, PODMAN) or not self.name or self.auto_remove:
            return ""
        return f'containers = ["{self.runtime}:{f"{self.user}/" if self.user else ""}{self.name}"]'


def _in_project(name: str) -> str:
    """What Incus and LXD call a container: liblxc has PROJECT_NAME, where neither part may have an underscore."""
    project, _, own = name.rpartition("_")
    return f"--project {project} {own}" if project else name


def runtime(holder: Holder) -> str:
    """The runtime of the container that `holder` is in, by the place of its group; "" outside of containers."""
    if not holder.container:
        return ""
    if holder.container.startswith("kubepods-"):
        return KUBERNETES
    scope = holder.user_unit or holder.unit or ""
    known = next((name for prefix, name in SCOPES if scope.startswith(prefix)), None)
    if known is None:
        return _bare_runtime(holder.container, scope)
    return known if known != DOCKER or re.fullmatch(ID, holder.container) else BUILD


def _bare_runtime(container: str, scope: str) -> str:
    """Of one without a scope: /libpod_parent/libpod-ID, /lxc/NAME, /docker/ID, or one below the unit itself."""
    if container.startswith("libpod-"):
        return PODMAN
    if not re.fullmatch(ID, container):
        return LXC
    return PODMAN if scope.endswith(".service") else DOCKER  # quadlet, as --cgroups=split puts it


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
    kind = _of_lxc(paths, name) if kind == LXC else kind
    unit = scope if kind == PODMAN and scope.endswith(".service") else ""
    return Container(key.removeprefix("libpod-").removeprefix("kubepods-"), kind, name, user, uid, unit=unit)


def _of_lxc(paths: Paths, name: str) -> str:
    """What manages the container `name` of liblxc: it has a directory, or a link to its pool, there."""
    return next((kind for place, kind in LXC_PLACES if os.path.lexists(paths.at(place, name))), LXC)


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


def live_restore(paths: Paths, argv: Sequence[str] = ()) -> bool:
    """Whether the containers of the dockerd that runs as `argv` go on when it ends: by an option, or by its file."""
    if "--live-restore" in argv or _option(argv, "--live-restore") in TRUE:
        return True
    return _daemon(paths, _option(argv, "--config-file") or DAEMON_FILE).get("live-restore") is True


def _option(argv: Sequence[str], name: str) -> str | None:
    """The value of the option `name` in `argv`: behind "=", or the next word."""
    values = [word.partition("=")[2] for word in argv if word.startswith(f"{name}=")]
    values += [value for word, value in pairwise(argv) if word == name]
    return values[-1] if values else None


def _daemon(paths: Paths, file: str = DAEMON_FILE) -> Mapping[str, Any]:
    return _dict(_json(os.path.realpath(paths.at(file))))


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
