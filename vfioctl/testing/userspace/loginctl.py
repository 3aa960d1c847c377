"""loginctl as systemd 252 answers: sessions listed, shown and ended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from vfioctl.testing.model import FakeSession
from vfioctl.testing.userspace.answers import Arguments, Reply, parse, table
from vfioctl.testing.userspace.systemctl import NOT_BOOTED
from vfioctl.testing.userspace.systemd import Systemd

if TYPE_CHECKING:
    from vfioctl.testing.kernel.core import Kernel

VALUED = ("-p", "-P", "-M", "-o", "-H", "-s", "-n", "--property", "--machine", "--output", "--signal", "--lines",
          "--kill-whom", "--kill-who")  # fmt: skip


def loginctl(kernel: Kernel, systemd: Systemd, argv: Sequence[str]) -> Reply:
    """Answer one call."""
    arguments = parse(argv, valued=VALUED)
    if not kernel.spec.systemd:
        return Reply(err=NOT_BOOTED, status=1)
    verb, names = (*arguments.words[:1], "list-sessions")[0], arguments.words[1:]
    if verb == "list-sessions":
        return _list(systemd, arguments)
    unknown = [name for name in names if name not in systemd.sessions]
    if verb == "show-session":
        if unknown:
            return Reply(err=f"Failed to get session path: No session '{unknown[0]}' known\n", status=1)
        return Reply(out="\n".join(_show(systemd.sessions[name], arguments) for name in names))
    if verb in ("terminate-session", "kill-session"):
        if unknown:
            return Reply(err=f"Failed to issue method call: No session '{unknown[0]}' known\n", status=1)
        for name in names:
            if verb == "terminate-session" and systemd.sessions[name].lingers:
                systemd.sessions[name] = replace(systemd.sessions[name], state="closing")
            else:
                systemd.end_session(name)
        return Reply()
    if verb in ("activate", "lock-session", "lock-sessions", "session-status", "enable-linger", "flush-devices"):
        return Reply()
    return Reply(err=f"Unknown command verb {verb}.\n", status=1)


def properties(session: FakeSession) -> dict[str, str]:
    """What `loginctl show-session` says, in its order."""
    return {
        "Id": session.id, "User": str(session.uid), "Name": session.user, "VTNr": "7" if session.seat else "0",
        "Seat": session.seat, "TTY": session.tty, "Remote": "yes" if session.remote else "no",
        "Service": session.service, "Scope": f"session-{session.id}.scope", "Leader": str(session.leader),
        "Audit": "0", "Type": session.type, "Class": session.klass,
        "Active": "yes" if session.state == "active" else "no", "State": session.state, "IdleHint": "no",
        "LockedHint": "no",
    }  # fmt: skip


def _show(session: FakeSession, arguments: Arguments) -> str:
    # Unlike systemctl, loginctl 252 does not split at commas: it then finds no such property and prints nothing.
    wanted = [value for name, value in arguments.options if name in ("-p", "-P", "--property")]
    bare = arguments.has("-P", "--value")
    # Empty strings are left out unless --all is given (bus_print_property in systemd 252).
    shown = {
        key: value for key, value in properties(session).items()
        if (not wanted or key in wanted) and (value or arguments.has("--all", "-a") or bool(wanted))
    }  # fmt: skip
    return "".join(f"{value}\n" if bare else f"{key}={value}\n" for key, value in shown.items())


def _list(systemd: Systemd, arguments: Arguments) -> Reply:
    sessions = sorted(systemd.sessions.values(), key=lambda session: session.id)
    if arguments.value("-o", "--output") == "json":
        rows = [
            {"session": one.id, "uid": one.uid, "user": one.user, "seat": one.seat or None, "tty": one.tty or None}
            for one in sessions
        ]
        return Reply(out=json.dumps(rows) + "\n")
    cells = [(one.id, str(one.uid), one.user, one.seat, one.tty) for one in sessions]
    if arguments.has("--no-legend"):
        return Reply(out=table(cells, right=(0, 1)))
    shown = table([("SESSION", "UID", "USER", "SEAT", "TTY"), *cells], right=(0, 1))
    return Reply(out=f"{shown}\n{len(cells)} sessions listed.\n")
