"""The desktop on the card: the display manager's unit, the X server, the greeter. Looks, and changes nothing."""

from __future__ import annotations

import glob

from tests.lab.inside import card, programs

MANAGER = "display-manager.service"
GREETER = "lightdm-gtk-gre"  # as in /proc/PID/comm
NODE = "/dev/dri/card0"


def processes(comm: str) -> list[int]:
    """Pids of the processes with this /proc/PID/comm."""
    found = []
    for path in glob.glob("/proc/[0-9]*/comm"):
        if card.read(path) == comm:
            found.append(int(path.split("/")[2]))
    return found


def shows_greeter() -> bool:
    """The unit is active, an X server holds the card, and the greeter runs: `active` alone proves nothing."""
    if programs.unit(MANAGER) != "active" or not processes(GREETER):
        return False
    return "Xorg" in card.openers(NODE).values()


def what_runs() -> str:
    return f"{MANAGER} {programs.unit(MANAGER)}, holders of {NODE}: {card.openers(NODE)}, greeter: {processes(GREETER)}"


def is_gone() -> bool:
    return programs.unit(MANAGER) == "inactive" and not processes("Xorg") and not processes(GREETER)
