"""systemctl as systemd 252 answers: show, is-active, list-units, list-jobs, start, stop, reset-failed and relatives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from vfioctl.testing.userspace.answers import Arguments, Reply, parse
from vfioctl.testing.userspace.systemd import SUFFIXES, Systemd, Unit, UnitError

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel

VALUED = ("-p", "-P", "-M", "-t", "-o", "-H", "-s", "--property", "--machine", "--type", "--state", "--output",
          "--signal", "--kill-whom", "--kill-who", "--job-mode", "--lines", "-n")  # fmt: skip
NOT_BOOTED = (
    "System has not been booted with systemd as init system (PID 1). Can't operate.\n"
    "Failed to connect to bus: Host is down\n"
)
JOB_ID = "4711"
SIGNALS = {"STOP": "pause", "CONT": "resume", "KILL": "kill", "9": "kill"}  # others end


def systemctl(kernel: Kernel, systemd: Systemd, argv: Sequence[str]) -> Reply:
    """Answer one call."""
    arguments = parse(argv, valued=VALUED)
    if not kernel.spec.systemd:
        return Reply(err=NOT_BOOTED, status=1)
    verb, names = (*arguments.words[:1], "list-units")[0], arguments.words[1:]
    try:
        uid = _manager(kernel, systemd, arguments, verb)
        return _verb(systemd, arguments, verb, names, uid)
    except UnitError as error:
        return Reply(err=f"{error}\n", status=error.status)


def _manager(kernel: Kernel, systemd: Systemd, arguments: Arguments, verb: str) -> int | None:
    if not arguments.has("--user"):
        return None
    who = (arguments.value("-M", "--machine") or "0@").partition("@")[0]
    uid = int(who) if who.isdigit() else next((int(uid) for uid, user in kernel.spec.users if user == who), -1)
    if not systemd.has_manager(uid):
        doing = {"show": "get properties", "list-units": "list units", "list-jobs": "list jobs"}
        raise UnitError(f"Failed to {doing.get(verb, verb)}: Transport endpoint is not connected")
    return uid


def _verb(systemd: Systemd, arguments: Arguments, verb: str, names: tuple[str, ...], uid: int | None) -> Reply:
    if verb == "show":
        return _show(systemd, arguments, names, uid)
    if verb == "is-active":
        return _is_active(systemd, arguments, names, uid)
    if verb in ("list-units", "list-jobs"):
        return (_list_units if verb == "list-units" else _list_jobs)(systemd, arguments, names, uid)
    if verb == "kill":
        verb = SIGNALS.get((arguments.value("-s", "--signal") or "").removeprefix("SIG"), "end")
        if arguments.value("--kill-who", "--kill-whom") == "main":
            _must_have_main(systemd, names, uid)
    if verb in ("start", "stop", "restart", "try-restart", "reset-failed", *SIGNALS.values(), "end"):
        for name in names:
            _act(systemd, verb, name, uid)
        return Reply()
    if verb == "is-system-running":
        return Reply(out="running\n")
    if verb in ("daemon-reload", "enable", "disable", "isolate", "set-property"):
        return Reply()
    return Reply(err=f"Unknown command verb {verb}.\n", status=1)


def _must_have_main(systemd: Systemd, names: tuple[str, ...], uid: int | None) -> None:
    """Raise UnitError for a unit whose main process is not known (unit_kill_common in systemd's unit.c)."""
    for name in names:
        if (unit := systemd.find(name, uid)) and not systemd.main_pid(unit):
            raise UnitError(f"Failed to kill unit {name}: No main process to kill", 1)


def _act(systemd: Systemd, verb: str, name: str, uid: int | None) -> None:
    if verb == "kill" and (session := name.removeprefix("session-").removesuffix(".scope")) in systemd.sessions:
        systemd.end_session(session)
        return
    unit = systemd.find(name, uid)
    full = name if name.endswith(SUFFIXES) else f"{name}.service"
    if unit is None or unit.spec.load_state != "loaded":
        _refuse(verb, full, masked=unit is not None and unit.spec.load_state == "masked")
        return
    if verb == "reset-failed":
        unit.starts = 0
        unit.active_state = "inactive" if unit.active_state == "failed" else unit.active_state
    elif verb == "kill":
        systemd.kill(unit)
    elif verb == "end":
        for pid in systemd.processes_of(unit):
            systemd.kernel.processes.end(pid)
    elif verb in ("pause", "resume"):
        if main := systemd.kernel.processes.by_pid.get(systemd.main_pid(unit)):
            main.paused = verb == "pause"
    else:
        {"start": systemd.start, "stop": systemd.stop}.get(verb, systemd.restart)(unit)


def _refuse(verb: str, name: str, *, masked: bool) -> None:
    """What is said of a unit that is not loaded. Stopping a masked one says nothing. Raises UnitError."""
    if verb == "reset-failed":
        raise UnitError(f"Failed to reset failed state of unit {name}: Unit {name} not loaded.", 1)
    if verb in (*SIGNALS.values(), "end"):
        raise UnitError(f"Failed to kill unit {name}: Unit {name} not loaded.", 1)
    if masked and verb != "stop":
        raise UnitError(f"Failed to {verb} {name}: Unit {name} is masked.", 1)
    if not masked:
        raise UnitError(f"Failed to {verb} {name}: Unit {name} not {'loaded' if verb == 'stop' else 'found'}.", 5)


def properties(systemd: Systemd, unit: Unit | None, name: str) -> dict[str, str]:
    """What `systemctl show` says about a unit, in its order; a unit that is not there has values as well."""
    if unit is None:
        full = name if name.endswith(SUFFIXES) else f"{name}.service"
        return {"MainPID": "0", "Id": full, "Names": full, "Description": full, "LoadState": "not-found",
                "ActiveState": "inactive", "SubState": "dead", "FragmentPath": "", "Job": ""}  # fmt: skip
    spec = unit.spec
    found = spec.load_state == "loaded"
    return {
        "Type": "simple", "Restart": "no", "MainPID": str(systemd.main_pid(unit)), "Result": "success",
        "ExecMainPID": str(systemd.main_pid(unit)), "Id": unit.name, "Names": " ".join((unit.name, *spec.aliases)),
        "Description": spec.description or unit.name, "LoadState": spec.load_state,
        "ActiveState": unit.active_state, "SubState": _sub_state(unit),
        "FragmentPath": f"/lib/systemd/system/{unit.name}" if found else "",
        "UnitFileState": "enabled" if found else "",
        "Job": JOB_ID if spec.job else "", "Transient": "yes" if unit.command else "no",
        "ControlGroup": f"/system.slice/{unit.name}" if unit.is_active and spec.uid is None else "",
    }  # fmt: skip


def _sub_state(unit: Unit) -> str:
    return {"active": "running", "failed": "failed", "activating": "start-pre"}.get(unit.active_state, "dead")


def _show(systemd: Systemd, arguments: Arguments, names: tuple[str, ...], uid: int | None) -> Reply:
    wanted = arguments.values("-p", "-P", "--property")
    bare = arguments.has("-P", "--value")
    blocks = []
    for name in names or ("-.slice",):
        values = properties(systemd, systemd.find(name, uid), name)
        # An empty "Job" is shown when it is asked for by name.
        shown = {
            key: value for key, value in values.items()
            if (key in wanted if wanted else value or key != "Job" or arguments.has("--all", "-a"))
        }  # fmt: skip
        blocks.append("".join(f"{value}\n" if bare else f"{key}={value}\n" for key, value in shown.items()))
    return Reply(out="\n".join(blocks))


def _is_active(systemd: Systemd, arguments: Arguments, names: tuple[str, ...], uid: int | None) -> Reply:
    units = [systemd.find(name, uid) for name in names]
    out = "".join(f"{unit.active_state if unit else 'inactive'}\n" for unit in units)
    active = any(unit and unit.is_active for unit in units)
    return Reply(out="" if arguments.has("-q", "--quiet") else out, status=0 if active else 3)


def _list_units(systemd: Systemd, arguments: Arguments, patterns: tuple[str, ...], uid: int | None) -> Reply:
    states = arguments.values("--state")
    types = arguments.values("-t", "--type")
    rows = [
        (unit.name, unit.spec.load_state, unit.active_state, _sub_state(unit), unit.spec.description or unit.name)
        for (owner, _), unit in sorted(systemd.units.items(), key=lambda item: item[0][1])
        if owner == uid and (unit.is_active or arguments.has("--all", "-a"))
        and (not states or unit.active_state in states or _sub_state(unit) in states)
        and (not types or unit.name.rpartition(".")[2] in types)
        and (not patterns or any(fnmatchcase(unit.name, pattern) for pattern in patterns))
    ]  # fmt: skip
    if arguments.value("-o", "--output") == "json":
        keys = ("unit", "load", "active", "sub", "description")
        return Reply(out=json.dumps([dict(zip(keys, row, strict=True)) for row in rows]) + "\n")
    indent = "" if arguments.has("--plain") else "  "
    lines = "".join(f"{indent}{' '.join(row)}\n" for row in rows)
    if arguments.has("--no-legend"):
        return Reply(out=lines)
    return Reply(out=f"{indent}UNIT LOAD ACTIVE SUB DESCRIPTION\n{lines}\n{len(rows)} loaded units listed.\n")


def _list_jobs(systemd: Systemd, arguments: Arguments, names: tuple[str, ...], uid: int | None) -> Reply:
    rows = [
        f"{JOB_ID} {unit.name} {unit.spec.job} waiting\n" for (owner, _), unit in systemd.units.items()
        if owner == uid and unit.spec.job and (not names or unit.name in names)
    ]  # fmt: skip
    if arguments.has("--no-legend"):
        return Reply(out="".join(rows))
    if not rows:
        return Reply(out="No jobs running.\n")
    return Reply(out=f"JOB UNIT TYPE STATE\n{''.join(rows)}\n{len(rows)} jobs listed.\n")
