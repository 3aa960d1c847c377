"""The libvirt of a node, for verbs: never while a hook runs here, and never the daemon of another root."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from vfioctl.actions.caller import NOTHING_CHANGED
from vfioctl.actions.facts import refuse_while_running
from vfioctl.config.nodes import find
from vfioctl.errors import Refused, VfioctlError
from vfioctl.host.host import Host
from vfioctl.setup import daemon
from vfioctl.virt.connection import connect

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.paths import Paths
    from vfioctl.virt.connection import Connection
    from vfioctl.virt.nodes import Node

OURS = "/"


def has_daemon(paths: Paths) -> bool:
    """Whether the daemon that answers on this machine is that of the root of `paths`."""
    return paths.root == OURS


def connection(call: Call, node: str = "", *, read_only: bool = False) -> Connection:
    """The libvirt of `node`: a name or a URI, "" for this host. Whoever opens it closes it.

    Raises Refused: "node.*", "libvirt.*".
    """
    return opened(call, find(call.paths, node), read_only=read_only)


def opened(call: Call, wanted: Node, *, read_only: bool = False, until: float = math.inf) -> Connection:
    """The libvirt of the node `wanted`, which answers nothing any more after `until`. Raises as `connection`."""
    paths = call.paths
    if wanted.is_local and wanted.uri.startswith("qemu:"):
        refuse_while_running(paths)
        if not has_daemon(paths):
            raise Refused(
                "libvirt.other_root", f"{paths.root} has no libvirt daemon; that of {OURS} is not asked for it.",
                state=NOTHING_CHANGED, hints=("Ask without --root.",),
            )  # fmt: skip
    try:
        return connect(wanted, read_only=read_only, until=until)
    except VfioctlError as error:
        raise _refused(call, wanted, error) from error


def _refused(call: Call, node: Node, error: VfioctlError) -> Refused:
    """The `error` of a connection that was not opened: whoever wants one has touched nothing yet."""
    if error.code == "libvirt.down" and node.is_local:
        return down(call, str(error.__cause__))
    return Refused(error.code, error.message, state=NOTHING_CHANGED, hints=error.hints)


def down(call: Call, why: str) -> Refused:
    """Nobody at the other end: not a word about a guest, which may well exist. `why` is what libvirt or virsh said."""
    said = [part.strip(" .") for part in why.split("error:") if part.strip(" .")]
    reason = ": ".join(said[1:] or said)
    host = Host(call.composition.paths, call.composition.programs)
    there = daemon.find(host)
    hint = f"Start it with: {daemon.start_command(host)}"
    if there and there.pid:
        hint = f"See why with: journalctl -b -u {there.name}"
    return Refused("libvirt.down", f"libvirt does not answer: {reason}.", state=NOTHING_CHANGED, hints=(hint,))
