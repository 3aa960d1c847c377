"""Adds nodes, removes them, and takes them out of use: changes of their files. No node is changed itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from vfioctl.actions.libvirt import opened
from vfioctl.actions.node_tls import has_another_name
from vfioctl.config import node_files
from vfioctl.config.nodes import file_of, named, read
from vfioctl.config.store import changing
from vfioctl.errors import Refused
from vfioctl.result import Message, Result
from vfioctl.shell import argument
from vfioctl.virt.machine import read_summary
from vfioctl.virt.nodes import LOCAL
from vfioctl.virt.reasons import CERTIFICATE, CERTIFICATE_NAME, Reason, about, reason

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.virt.machine import Summary
    from vfioctl.virt.nodes import Node

UNCONFIRMED = "node.unconfirmed_remove"
NOT_ADDED = "The node was not added."


def add(call: Call, name: str, uri: str, labels: Mapping[str, str]) -> Result:
    """Add the node `name` once its libvirt has answered. Raises NotRoot, Refused: "node.*", "libvirt.*"."""
    call.need_trust()
    node = node_files.new(call.paths, name, uri, labels)
    summary = _dialled(call, node)
    with changing(call.paths):
        file = node_files.add(call.paths, node_files.new(call.paths, name, uri, labels))  # others may have been faster
    said = f"Node {name} is added: {summary.hostname}, libvirt {summary.libvirt}, {summary.hypervisor}."
    data: dict[str, Any] = {
        "file": file, "name": name, "uri": uri, "labels": dict(labels), "hostname": summary.hostname,
        "libvirt": summary.libvirt, "hypervisor": summary.hypervisor,
    }  # fmt: skip
    return Result(data=data, messages=(Message(said, hint=f"See what it has with: vfioctl node show {name}"),))


def _dialled(call: Call, node: Node) -> Summary:
    """What the daemon says of itself. Raises Refused with the reason in a sentence where it does not answer."""
    try:
        with opened(call, node) as connection:
            return read_summary(connection)
    except Refused as error:
        if (why := _why(call, node, error.message)) is None:
            raise
        raise Refused(why.code, f"{why.sentence}{_words(error)}", state=NOT_ADDED, hints=(why.hint,)) from error


def _why(call: Call, node: Node, said: str) -> Reason | None:
    """The reason out of what was `said`; what libvirt does not say of a certificate is looked for."""
    found = reason(node, said)
    if found and found.code == CERTIFICATE and has_another_name(call.paths, node):
        return about(node, CERTIFICATE_NAME)
    return found


def _words(error: Refused) -> str:
    """libvirt's own, since they may say more; those of a connection that hung say nothing more."""
    said = error.__cause__ and error.__cause__.__cause__
    return f" libvirt says: {' '.join(str(said).split()).rstrip('.')}." if said else ""


def remove(call: Call, name: str, *, yes: bool) -> Result:
    """Remove the node `name`. Raises NotRoot, Refused: "node.unknown", "node.local", Unconfirmed."""
    call.need_trust()
    file = file_of(call.paths, named(call.paths, name))
    if yes:
        call.agree(UNCONFIRMED)
    if name != LOCAL.name:
        lines = (f"Node {name} is removed: {file} goes; nothing on that host is changed.",)
        call.need_agreement(UNCONFIRMED, lines)
    again = _again(call, name)
    with changing(call.paths):
        node_files.remove(call.paths, name)
    hint = f"Add it once more with: {again}" if again else ""
    return Result(data={"file": file, "name": name}, messages=(Message(f"Node {name} is removed.", hint=hint),))


def _again(call: Call, name: str) -> str:
    """The command line that adds it as it is now; "" for one whose file is wrong."""
    with suppress(Refused):
        node = read(call.paths, name)
        labels = (f"--label {argument(f'{key}={value}')}" for key, value in node.labels.items())
        return " ".join(("vfioctl node add", name, argument(node.uri), *labels))
    return ""


def cordon(call: Call, name: str, *, cordoned: bool) -> Result:
    """Let the node `name` take no more guests, or take them again. Raises NotRoot, Refused, ConfigError."""
    call.need_trust()
    with changing(call.paths):
        changed = node_files.cordon(call.paths, name, cordoned=cordoned)
    now = "is cordoned: it takes no new guest and starts none" if cordoned else "takes guests"
    said = f"Node {name} {now}." if changed else f"Node {name} {now}; that was so before."
    data = {"file": file_of(call.paths, name), "name": name, "cordoned": cordoned, "changed": changed}
    return Result(data=data, messages=(Message(said),))
