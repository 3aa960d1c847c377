"""Asks one node or all of them for a verb, each within its time; and what a cordoned node refuses. Changes nothing."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from vfioctl.actions.caller import NOTHING_CHANGED
from vfioctl.actions.errors import Misuse
from vfioctl.actions.libvirt import opened
from vfioctl.config.nodes import each, find
from vfioctl.errors import Refused, VfioctlError
from vfioctl.plugin.answers import Answer, Answers
from vfioctl.virt.nodes import LOCAL
from vfioctl.virt.together import together

if TYPE_CHECKING:
    from collections.abc import Callable

    from vfioctl.actions.caller import Call
    from vfioctl.paths import Paths
    from vfioctl.virt.connection import Connection
    from vfioctl.virt.nodes import Node

PATIENCE = 15.0  # seconds for all that one of many nodes is asked
AT_ONCE = 16  # nodes; for each, ssh is a process of its own
T = TypeVar("T")


def ask(call: Call, read: Callable[[Connection], T], node: str = "", *, all_nodes: bool = False) -> Answers[T]:
    """What `read` gets from `node`, or with `all_nodes` from each; one of those that does not answer is an error there.

    Raises what `Call.connection` and `read` raise where one node is asked, and Misuse where both are wanted.
    """
    if not all_nodes:
        with _looking(call, find(call.paths, node)) as one:
            return Answers((Answer(str(one.node), read(one)),))
    if node not in ("", LOCAL.name):
        raise Misuse(call.verb, f"--all-nodes asks every node, and --node only {node}: give one of them.")
    return Answers(tuple(together(partial(_answer, call, read), each(call.paths), at_once=AT_ONCE)))


def _answer(
    call: Call, read: Callable[[Connection], T], listed: tuple[str, Node | VfioctlError]
) -> Answer[T]:
    name, node = listed
    if isinstance(node, VfioctlError):
        return Answer(name, error=node)
    try:
        with _looking(call, node, until=time.monotonic() + PATIENCE) as one:
            return Answer(name, read(one))
    except VfioctlError as error:
        return Answer(name, error=error)


def _looking(call: Call, node: Node, *, until: float = math.inf) -> Connection:
    """A connection for a look. Without root that to this host only reads: for another polkit would ask for a password.

    Where polkit itself does not answer, a member of the group libvirt still has the other one.
    """
    if call.administers or not node.is_local:
        return opened(call, node, until=until)
    try:
        return opened(call, node, until=until, read_only=True)
    except Refused as error:
        if error.code not in ("libvirt.denied", "libvirt.failed"):
            raise
        return opened(call, node, until=until)


def must_be_uncordoned(paths: Paths, word: str) -> None:
    """Raise Refused("node.cordoned") where the node that `word` names takes no new guest and starts none."""
    node = find(paths, word)
    if node.cordoned:
        raise Refused(
            "node.cordoned", f"Node {node} is cordoned: it takes no new guest and starts none.",
            state=NOTHING_CHANGED, hints=(f"Give it back its work with: vfioctl node uncordon {node}",),
        )  # fmt: skip


def chosen(call: Call, name: str, option: str) -> str:
    """The node that a verb is about, given as its argument or with --node; not both. Raises Misuse."""
    if name and option not in ("", LOCAL.name, name):
        raise Misuse(call.verb, f"{name} and --node {option} are two nodes: give one of them.")
    return name or option
