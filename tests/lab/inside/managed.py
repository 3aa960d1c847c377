"""What vfioctl answers, and what it leaves behind."""

from __future__ import annotations

import glob
import json
import os
from typing import Any

from tests.lab.inside import card, programs
from tests.lab.inside.checks import eventually
from tests.lab.inside.lab import Lab

HOOK = "/etc/libvirt/hooks/qemu.d/50-vfioctl"
INSTALLED = ("vfioctl-recover.service", "vfioctl-recover-rest.service")
PLACES = ("journal", "resources", "guests", "stuck")


def bind() -> None:
    """Let vfioctl's environment have Debian's own libvirt-python, in the place of one that is built for it."""
    (place,) = glob.glob("/opt/vfioctl/lib/python3.*/site-packages")
    for path in glob.glob("/usr/lib/python3/dist-packages/libvirt*"):
        os.symlink(path, os.path.join(place, os.path.basename(path)))
    programs.must(["/opt/vfioctl/bin/python3", "-c", "import libvirt"])  # makes __pycache__ there, a change as well
    refresh = ["vfioctl", "plugins", "refresh"]  # of another environment; each try has 10 s, in a verb as well
    eventually(lambda: programs.run(refresh).returncode == 0, 60, "the plugins are not read in 10 s")


def run(*words: str) -> str:
    return programs.must(["vfioctl", *words])


def data(*words: str) -> Any:
    return json.loads(run(*words, "--format", "json"))["data"]


def has_finished(lab: Lab, label: str, deadline: float = 90.0) -> None:
    with lab.check(f"{label}: the return is finished, nothing of it stays behind"):
        eventually(lambda: not leftovers(), deadline, lambda: f"left: {leftovers()}")


def leftovers() -> list[str]:
    """Open journals, held resources and markers; helper processes and transient units of a hand-off."""
    found = [path for place in PLACES for path in glob.glob(f"/run/vfioctl/{place}/*")]
    found += [path for path in glob.glob("/proc/[0-9]*/cmdline") if "vfioctl.entry" in card.read(path)]
    units = programs.must(["systemctl", "list-units", "--all", "--plain", "--no-legend", "vfioctl*"])
    return found + [line for line in units.splitlines() if not any(unit in line for unit in INSTALLED)]


def times() -> dict[str, float]:
    """Seconds of each recorded hand-off, as vfioctl counted them, oldest first."""
    records = data("history")["hand_offs"]
    return {f"{number}. {item['event']}": item["duration"] for number, item in enumerate(records[::-1], 1)}
