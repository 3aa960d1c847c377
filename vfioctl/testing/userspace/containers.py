"""docker and podman as their clients answer: container inspect, stop, start, rm. Podman's words are those of 4.3.

A container keeps its id from stop to start; one made with --rm is gone with its stop.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vfioctl.testing.kernel.nodes import Wait
from vfioctl.testing.userspace.answers import Reply, parse

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel
    from vfioctl.testing.model import FakeContainer
    from vfioctl.testing.userspace.systemd import Systemd

VALUED = ("-t", "--time", "--timeout", "-f", "--format")
DAEMON = "docker.service"
NO_DAEMON = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n"
ABSENT = {
    "docker": "Error response from daemon: No such container: {}\n",
    "podman": 'Error: no container with name or ID "{}" found: no such container\n',
}
NO_DEVICE = 'Error response from daemon: error gathering device information for "{}": no such file or directory\n'
STATUS = {"docker": 1, "podman": 125}


@dataclass(slots=True)
class Container:
    spec: FakeContainer
    runs: bool


class Containers:
    """Every container of the machine, and what of it runs."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.all: list[Container] = []
        for spec in kernel.spec.containers:
            one = Container(spec, runs=False)
            self.all.append(one)
            if spec.running:
                self.start(one)

    def find(self, tool: str, uid: int, name: str) -> Container | None:
        """The container of that tool and user with this name, or whose id begins so."""
        own = (one for one in self.all if one.spec.tool == tool and (one.spec.uid or 0) == uid)
        return next((one for one in own if name == one.spec.name or one.spec.id.startswith(name)), None)

    def missing(self, one: Container) -> str | None:
        """A device that it was made with and that is not there: then neither runtime starts it."""
        needed = (process.requires for process in one.spec.brings if process.requires)
        return next((node for node in needed if not self.kernel.nodes.matching(node)), None)

    def start(self, one: Container) -> None:
        """Let it run with new processes; nothing when it runs, or lacks a device."""
        if one.runs or self.missing(one):
            return
        one.runs = True
        runtime = one.spec.tool if one.spec.uid is None else f"{one.spec.tool}@{one.spec.uid}"
        for process in one.spec.brings:
            self.kernel.processes.restart(replace(process, container=one.spec.id, runtime=runtime))

    def stop(self, one: Container) -> None:
        """End its processes. May raise Wait."""
        if one.spec.stop_hangs:
            raise Wait(lambda: False, lambda: None, owner=one.spec.name)
        one.runs = False
        self.end(one.spec.id)
        if one.spec.auto_remove:
            self.all.remove(one)

    def end(self, identifier: str) -> None:
        for process in self.kernel.processes.where(container=identifier):
            self.kernel.processes.end(process.pid)

    def daemon_stops(self, unit: str) -> None:
        """Docker ends every container of it with its daemon, unless live-restore is on."""
        words = [word for process in self.kernel.processes.where(unit=unit) for word in process.spec.cmdline]
        if "--live-restore" in words or self._live_restore():
            return
        for process in self.kernel.processes.where(runtime="docker"):
            if process.spec.container:
                self.kernel.processes.end(process.pid)
        for one in self.all:
            one.runs = one.runs and (one.spec.tool != "docker" or one.spec.uid is not None)

    def daemon_starts(self) -> None:
        """Docker starts those again that have a restart policy."""
        for one in self.all:
            if one.spec.tool == "docker" and one.spec.uid is None and one.spec.restarts:
                self.start(one)

    def _live_restore(self) -> bool:
        try:
            with open(os.path.join(self.kernel.shown_root, "etc/docker/daemon.json"), encoding="utf-8") as file:
                return bool(re.search(r'"live-restore"\s*:\s*true', file.read()))
        except OSError:
            return False


def client(systemd: Systemd, containers: Containers, tool: str, argv: Sequence[str], uid: int = 0) -> Reply:
    """Answer one call of `tool` by the user `uid`."""
    daemon = systemd.find(DAEMON, None)
    if tool == "docker" and uid == 0 and daemon and not daemon.is_active:
        return Reply(err=NO_DAEMON, status=1)
    words = [word for word in argv if word != "container"] if argv[:1] == ["container"] else list(argv)
    arguments = parse(words[1:], valued=VALUED)
    verb, form = words[0], arguments.value("-f", "--format") or ""
    found = [(name, containers.find(tool, uid, name)) for name in arguments.words]
    replies = [_act(containers, one, verb, name, form) if one else _absent(tool, verb, name) for name, one in found]
    return Reply("".join(one.out for one in replies), "".join(one.err for one in replies),
                 max((one.status for one in replies), default=0))  # fmt: skip


def _absent(tool: str, verb: str, name: str) -> Reply:
    inspects = verb == "inspect" and tool == "podman"
    said = f"Error: inspecting object: no such container {name}\n" if inspects else ABSENT[tool].format(name)
    return Reply(err=said, status=STATUS[tool], out="\n" if verb == "inspect" and tool == "docker" else "")


def _act(containers: Containers, one: Container, verb: str, name: str, form: str) -> Reply:
    if verb == "inspect":
        return Reply(out=_filled(form, one) + "\n")
    if verb not in ("stop", "start", "rm"):
        return Reply(err=f"unknown command {verb!r}\n", status=STATUS[one.spec.tool])
    if verb == "rm":
        return _remove(containers, one, name)
    if verb == "start" and not one.runs and (node := containers.missing(one)):
        return Reply(err=NO_DEVICE.format(node), status=STATUS[one.spec.tool])
    silent = verb == "start" and one.runs and one.spec.tool == "podman"
    (containers.stop if verb == "stop" else containers.start)(one)
    return Reply(out="" if silent else f"{name}\n")


def _remove(containers: Containers, one: Container, name: str) -> Reply:
    """One that runs stays."""
    if one.runs:
        return Reply(err=f"cannot remove container {name}: it is running\n", status=STATUS[one.spec.tool])
    containers.all.remove(one)
    return Reply(out=f"{name}\n")


def _filled(form: str, one: Container) -> str:
    """The Go template `form` for this container, as far as it asks what we know."""
    labels = dict(one.spec.labels)
    known = {
        ".Id": one.spec.id, ".Name": one.spec.name, ".State.Status": "running" if one.runs else "exited",
        ".State.Running": str(one.runs).lower(), ".HostConfig.AutoRemove": str(one.spec.auto_remove).lower(),
    }  # fmt: skip
    text = re.sub(r"\{\{index \.Config\.Labels \"([^\"]+)\"\}\}", lambda match: labels.get(match[1], ""), form)
    return re.sub(r"\{\{([^}]+)\}\}", lambda match: known.get(match[1], "<no value>"), text)
