"""Services that hold devices, as files, so that they can be stopped and started again."""

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
