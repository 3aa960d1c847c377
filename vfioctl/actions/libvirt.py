"""The libvirt of a node, for verbs: never while a hook runs here, and never the daemon of another root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.actions.facts import refuse_while_running
from vfioctl.config.nodes import find
from vfioctl.errors import Refused
from vfioctl.virt.connection import connect

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.virt.connection import Connection

OURS = "/"


def connection(call: Call, node: str = "", *, read_only: bool = False) -> Connection:
    """The libvirt of `node`: a name or a URI, "" for this host. Whoever opens it closes it."""
    paths = call.paths
    wanted = find(paths, node)
    if wanted.is_local and wanted.uri.startswith("qemu:"):
        refuse_while_running(paths)
        if paths.root != OURS:
            raise Refused(
                "libvirt.other_root", f"{paths.root} has no libvirt daemon; that of {OURS} is not asked for it.",
                state="Nothing was changed.", hints=("Ask without --root.",),
            )  # fmt: skip
    return connect(wanted, read_only=read_only)
