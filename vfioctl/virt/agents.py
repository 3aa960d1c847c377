"""Asks the agent of a running guest to run a program in it (QEMU guest agent protocol, guest-exec). Changes no host.

Each answer of the agent has a deadline of its own; the program has one for all of it.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from vfioctl.errors import VfioctlError
from vfioctl.frozen import frozen
from vfioctl.wait import Backoff

if TYPE_CHECKING:
    from libvirt import virConnect, virDomain

    from vfioctl.virt.connection import Connection

ANSWER = 5  # seconds for one answer of an agent
FIRST, LONGEST = 0.05, 1.0  # seconds between two looks whether it has ended
T = TypeVar("T")


@frozen
class GuestRun:
    """How a program ended in a guest: its `status`, or the `signal` that ended it; what it said, as bytes.

    `is_cut`: it said more than the agent keeps, 16 MiB.
    """

    pid: int
    status: int
    signal: int
    stdout: bytes
    stderr: bytes
    is_cut: bool = False


@contextmanager
def answering_within(domain: virDomain, seconds: int) -> Iterator[None]:
    """For what libvirt asks the agent in the body: it has `seconds` for an answer, and as long as it likes again then.

    Raises libvirtError.
    """
    import libvirt

    domain.agentSetResponseTimeout(seconds, 0)
    try:
        yield
    finally:
        with suppress(libvirt.libvirtError):  # it has ended
            domain.agentSetResponseTimeout(libvirt.VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, 0)


def run_in_guest(connection: Connection, uuid: str, argv: Sequence[str], *, limit: float) -> GuestRun:
    """Run `argv` in the guest `uuid` and wait for at most `limit` seconds. No shell is between.

    Raises VfioctlError as `Connection.ask`, "guest.exec_deadline" where it has not ended: then it runs on.
    """
    asked = {"path": argv[0], "arg": list(argv[1:]), "capture-output": True}
    pid = ask_agent(connection, uuid, "guest-exec", asked, lambda said: int(said["pid"]))
    for _ in Backoff(limit, first=FIRST, longest=LONGEST):
        ended = ask_agent(connection, uuid, "guest-exec-status", {"pid": pid}, lambda said: _ended(pid, said))
        if ended:
            return ended
    raise VfioctlError(
        "guest.exec_deadline", f"{argv[0]} has not ended in the guest within {limit:g} s.",
        state=f"It runs on there as process {pid}; what it says is lost.",
        hints=("Wait longer with: --timeout SECONDS",),
    )  # fmt: skip


def _ended(pid: int, said: dict[str, Any]) -> GuestRun | None:
    """None while it runs."""
    if not said["exited"]:
        return None
    return GuestRun(
        pid, int(said.get("exitcode", 0)), int(said.get("signal", 0)), b64decode(said.get("out-data", "")),
        b64decode(said.get("err-data", "")), bool(said.get("out-truncated") or said.get("err-truncated")),
    )  # fmt: skip


def ask_agent(
    connection: Connection, uuid: str, command: str, arguments: dict[str, Any], take: Callable[[Any], T]
) -> T:
    """What `take` finds in what the agent of the guest `uuid` returns for `command`.

    Raises VfioctlError as `Connection.ask`, "guest.agent_malformed" for what is no answer to that.
    """
    import libvirt_qemu

    text = json.dumps({"execute": command, "arguments": arguments})

    def ask(libvirt: virConnect) -> str:
        return str(libvirt_qemu.qemuAgentCommand(libvirt.lookupByUUIDString(uuid), text, ANSWER, 0))

    said = connection.ask(ask, "its agent")
    try:
        return take(json.loads(said)["return"])
    except (ValueError, KeyError, TypeError) as error:
        raise VfioctlError(
            "guest.agent_malformed", f"The agent of the guest gave no answer to {command}.",
            hints=("See whether its version is one of qemu-ga.",),
        ) from error  # fmt: skip
