"""logind sessions, as `loginctl` tells them. Reads only."""

from __future__ import annotations

from vfioctl.errors import VfioctlError
from vfioctl.host.model import Session
from vfioctl.host.properties import blocks, number
from vfioctl.proc import Programs

DEADLINE = 5.0
ATTEMPTS = 3
PROPERTIES = (
    "Id", "Name", "User", "Seat", "Type", "Class", "State", "Leader", "Service", "Remote", "TTY", "Scope",
)  # fmt: skip


def read_all(programs: Programs) -> tuple[Session, ...]:
    """Every session. Raises VfioctlError("session.unreadable") when logind does not answer.

    A session may end between list and look; loginctl then fails as a whole, and both are done again.
    """
    for _ in range(ATTEMPTS):
        listed = programs.run(("loginctl", "list-sessions", "--no-legend", "--no-pager"), deadline=DEADLINE)
        ids = [line.split()[0] for line in listed.stdout.splitlines() if line.split()]
        if listed.ok and not ids:
            return ()
        shown = programs.run(_show(ids), deadline=DEADLINE) if listed.ok else listed
        if shown.ok and (found := tuple(parse(block) for block in blocks(shown.stdout) if block.get("Id"))):
            return found
    raise VfioctlError(
        "session.unreadable", f"The login sessions cannot be read: {shown.why()}.",
        hints=("See what it says with: loginctl list-sessions",),
    )  # fmt: skip


def _show(ids: list[str]) -> tuple[str, ...]:
    # loginctl of systemd 252 does not split at commas: it would print nothing, and say success.
    return ("loginctl", "show-session", "--no-pager", *(f"--property={name}" for name in PROPERTIES), "--", *ids)


def parse(block: dict[str, str]) -> Session:
    """One block of `loginctl show-session`."""
    return Session(
        id=block["Id"],
        user=block.get("Name", ""),
        uid=number(block.get("User")) or 0,
        seat=block.get("Seat", ""),
        type=block.get("Type", "unspecified"),
        klass=block.get("Class", ""),
        state=block.get("State", ""),
        leader=number(block.get("Leader")) or 0,
        service=block.get("Service", ""),
        remote=block.get("Remote") == "yes",
        tty=block.get("TTY", ""),
        scope=block.get("Scope", ""),
    )
