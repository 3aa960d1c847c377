"""systemd-run and systemd-inhibit: real programs, started by the machine and not by the caller."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vfioctl.testing.model import FakeUnit
from vfioctl.testing.userspace.answers import Reply, parse, table
from vfioctl.testing.userspace.systemctl import NOT_BOOTED
from vfioctl.testing.userspace.systemd import SUFFIXES, Systemd, Unit, UnitError

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel

VALUED = (
    "-u", "-p", "-E", "-M", "-H", "--unit", "--property", "--setenv", "--description", "--slice", "--service-type",
    "--uid", "--gid", "--nice", "--working-directory", "--on-active", "--on-boot", "--on-startup", "--on-calendar",
    "--on-unit-active", "--on-unit-inactive", "--timer-property", "--machine", "--host",
)  # fmt: skip
WHOLE = re.compile(r"\$[A-Za-z_]\w*")
PART = re.compile(r"\$(?:\{(\w+)\}|\$)")
UNITS = {"us": 1e-6, "ms": 1e-3, "min": 60.0, "m": 60.0, "s": 1.0, "h": 3600.0}


def seconds(text: str) -> float:
    """A time span with at most one unit (systemd.time(7)); a bare number means seconds."""
    for suffix, factor in UNITS.items():
        if text.endswith(suffix):
            return float(text.removesuffix(suffix)) * factor
    return float(text)


def expanded(words: Sequence[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The command that systemd makes of `words` (systemd.service(5)): "$$" is a dollar sign, a word "$NAME" is split,
    "${NAME}" is replaced anywhere; what is not set is empty."""
    found: list[str] = []
    for word in words:
        if WHOLE.fullmatch(word):
            found += environment.get(word[1:], "").split()
        else:
            found.append(PART.sub(lambda part: environment.get(part[1], "") if part[1] else "$", word))
    return tuple(found)


def systemd_run(kernel: Kernel, systemd: Systemd, argv: Sequence[str]) -> Reply:
    """Run a command as a transient service, at once or from a timer."""
    if not kernel.spec.systemd:
        return Reply(err=NOT_BOOTED, status=1)
    arguments = parse(argv, valued=VALUED, stop_at_word=True)
    name = arguments.value("-u", "--unit") or f"run-r{len(systemd.log_names):032x}.service"
    name = name if name.endswith(SUFFIXES) else f"{name}.service"
    systemd.log_names.append(name)
    pairs = (pair.partition("=") for pair in arguments.values("-E", "--setenv"))
    environment = {key: value for key, _, value in pairs}
    delay, every = arguments.value("--on-active"), arguments.value("--on-unit-active")
    properties = dict(pair.partition("=")[::2] for pair in arguments.values("-p", "--property"))
    unit = Unit(
        FakeUnit(name, description=arguments.value("--description") or " ".join(arguments.words)), "inactive",
        command=expanded(arguments.words, environment), environment=environment,
        due=time.monotonic() + seconds(delay) if delay else None, every=seconds(every) if every else None,
        kill_group=properties.get("KillMode") != "process", only_if=properties.get("ConditionPathExists", ""),
        transient=True,
    )  # fmt: skip
    try:
        systemd.run_transient(unit)
    except UnitError as error:
        return Reply(err=f"{error}\n", status=error.status)
    if arguments.has("-q", "--quiet"):
        return Reply()
    if delay:
        return Reply(err=f"Running timer as unit: {unit.timer}\nWill run service as unit: {name}\n")
    return Reply(err=f"Running as unit: {name}\n")


def systemd_inhibit(kernel: Kernel, systemd: Systemd, argv: Sequence[str], pid: int) -> Reply:
    """Hold an inhibitor for as long as the command runs; it takes the place of the caller."""
    if not kernel.spec.systemd:
        return Reply(err=NOT_BOOTED, status=1)
    arguments = parse(argv, valued=("--what", "--who", "--why", "--mode"), stop_at_word=True)
    if arguments.has("--list") or not arguments.words:
        rows = [(one["who"], "0", "root", one["pid"], "systemd-inhibit", one["what"], one["why"], one["mode"])
                for one in systemd.live_inhibitors()]  # fmt: skip
        shown = table([("WHO", "UID", "USER", "PID", "COMM", "WHAT", "WHY", "MODE"), *rows], right=(1, 3))
        return Reply(out=f"{shown}\n{len(rows)} inhibitors listed.\n")
    systemd.inhibitors[pid] = {
        "pid": str(pid), "who": arguments.value("--who") or "", "why": arguments.value("--why") or "Unknown reason",
        "what": arguments.value("--what") or "idle:sleep:shutdown", "mode": arguments.value("--mode") or "block",
    }  # fmt: skip
    return Reply(run=arguments.words)
