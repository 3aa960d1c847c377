"""Services as files, so that they can be stopped and started again, and whether one has run."""

from __future__ import annotations

from tests.lab.inside import programs

SYSTEM = "/etc/systemd/system"
USER = "/etc/systemd/user"


def holding(name: str, *nodes: str, directory: str = SYSTEM) -> None:
    """Make the service `name`, which has these device nodes open; a system service is started."""
    opened = " ".join(f"{number}<{node}" for number, node in enumerate(nodes, 3))
    with open(f"{directory}/{name}", "w", encoding="utf-8") as file:
        file.write(f"[Service]\nExecStart=/bin/sh -c 'exec sleep infinity {opened}'\n")
    if directory == SYSTEM:
        programs.must(["systemctl", "daemon-reload"])
        programs.must(["systemctl", "start", name])


def install(name: str, text: str) -> None:
    """Make a system service of this text; it is started, now and at every boot."""
    with open(f"{SYSTEM}/{name}", "w", encoding="utf-8") as file:
        file.write(text)
    programs.must(["systemctl", "daemon-reload"])
    programs.must(["systemctl", "enable", "--now", name])


def ran(name: str) -> bool:
    """Whether a oneshot service has run in this boot, and ended well."""
    states = ("ExecMainStartTimestampMonotonic", "ActiveState", "Result")
    begun, state, result = (programs.unit(name, key) for key in states)
    return begun != "0" and (state, result) == ("inactive", "success")
