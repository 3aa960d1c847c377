"""How much memory and how many CPUs a guest can have on its node, said before libvirt or QEMU fails on it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vfioctl.plugin import Finding, as_size

if TYPE_CHECKING:
    from vfioctl.plugin import Capabilities, Node

LEAST = 16 << 20  # bytes: libvirt takes 1 KiB, with which no firmware starts


def findings(
    name: str, node: Node | str, there: Capabilities, *, memory: int | None, cpus: int | None
) -> Iterator[Finding]:
    """What speaks against so much; None for what is not asked."""
    if memory is not None and memory < LEAST:
        said = f"{name} is to get {as_size(memory)} of memory; a guest has at least {as_size(LEAST)}."
        yield _finding("guest.too_little_memory", said, "Give it more with --memory, such as 2G.")
    if memory is not None and memory > there.memory:
        said = f"{node} has {as_size(there.memory)} of memory; {name} is to get {as_size(memory)}."
        yield _finding("guest.too_much_memory", said, "Give it less with --memory.")
    if cpus is not None and cpus > there.cpus:
        said = f"A guest on {node} can have {there.cpus} CPUs; {name} is to get {cpus}."
        yield _finding("guest.too_many_cpus", said, "Give it fewer with --cpus.")


def _finding(code: str, message: str, hint: str) -> Finding:
    return Finding(code, message, hint=hint, source="guest")
