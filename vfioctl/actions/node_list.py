"""The nodes as rows, and one of them in full: what its machine has, what guests on it can have. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vfioctl.actions.nodes import ask, chosen
from vfioctl.config.nodes import each, find
from vfioctl.errors import VfioctlError
from vfioctl.frozen import asdict, replace
from vfioctl.host.processor import processor_name
from vfioctl.result import incomplete
from vfioctl.virt.machine import SMBIOS, Machine, read_machine, read_summary

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.plugin.answers import Answer
    from vfioctl.result import Result
    from vfioctl.virt.machine import Summary
    from vfioctl.virt.nodes import Node

CPUINFO = "cpuinfo"  # where a processor's name comes from that the firmware does not tell


def listed(call: Call) -> Result:
    """Every node, with what its daemon says of itself, or why it does not answer."""
    known = dict(each(call.paths))
    answers = ask(call, read_summary, all_nodes=True)
    rows = [{**_known(one.node, known[one.node]), **_answered(one)} for one in answers.each]
    return incomplete({"nodes": rows}, answers.errors)


def shown(call: Call, name: str, option: str) -> Result:
    """The node `name`, or the one of --node, in full. Raises as `Call.connection`."""
    node = find(call.paths, chosen(call, name, option))
    ((_, machine),) = ask(call, read_machine, node.name or node.uri)
    data = {**_known(str(node), node), **_summary(machine.summary), **_parts(_named(call, node, machine))}
    return incomplete({"node": data}, ())


def _known(name: str, node: Node | VfioctlError) -> dict[str, Any]:
    """What is said of a node here; nothing of one whose file is wrong."""
    if isinstance(node, VfioctlError):
        return {"name": name, "uri": None, "labels": {}, "cordoned": None}
    return {"name": name, "uri": node.uri, "labels": dict(node.labels), "cordoned": node.cordoned}


def _answered(one: Answer[Summary]) -> dict[str, Any]:
    said = _summary(one.given) if one.given else dict.fromkeys(("hostname", "libvirt", "hypervisor", "guests"))
    return {**said, "answers": one.error is None, "error": one.reason}


def _summary(summary: Summary) -> dict[str, Any]:
    return {"hostname": summary.hostname, "libvirt": summary.libvirt, "hypervisor": summary.hypervisor,
            "guests": asdict(summary.guests)}  # fmt: skip


def _named(call: Call, node: Node, machine: Machine) -> Machine:
    """On this host the kernel knows the processor's name where the firmware does not tell it."""
    name = "" if machine.processors.source == SMBIOS or not node.is_local else processor_name(call.paths)
    return replace(machine, processors=replace(machine.processors, name=name, source=CPUINFO)) if name else machine


def _parts(machine: Machine) -> dict[str, Any]:
    processors = machine.processors
    return {
        "machine": asdict(machine.maker), "processors": {**asdict(processors), "threads": processors.threads},
        "memory": {"total": machine.memory, "available": machine.available},
        "cells": [
            {**asdict(cell), "cpus": list(cell.cpus), "pages": [asdict(one) for one in cell.pages],
             "distances": {str(other): far for other, far in cell.distances}} for cell in machine.cells
        ], "features": {**asdict(machine.features), "tpm": _list(machine.features.tpm)},
    }  # fmt: skip


def _list(values: tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else list(values)
