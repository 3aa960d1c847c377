"""Words of the kernel's command line: which ones are wanted here, and texts with words added and removed. Pure but
for `wanted`, which reads facts."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from vfioctl.plugin import Refused, field, frozen, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vfioctl.plugin import Host

# No character that a shell or a boot loader's language would take for its own.
WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,:=/@+-]*")
OFF = ("iommu=off", "intel_iommu=off", "amd_iommu=off")  # kernel, Documentation/admin-guide/kernel-parameters.txt
ON_INTEL = "intel_iommu=on"  # AMD's IOMMU is on by itself


@frozen
class Words:
    """What the command line is to have, and what it is not to have."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.add or self.remove)

    def hold_in(self, words: Iterable[str]) -> bool:
        """Whether a command line of these words is as it should be."""
        there = set(words)
        return there.issuperset(self.add) and there.isdisjoint(self.remove)

    def apply(self, words: Iterable[str]) -> tuple[str, ...]:
        """The words as they should be, in their order."""
        kept = tuple(word for word in words if word not in self.remove)
        return (*kept, *(word for word in self.add if word not in kept))


@frozen
class Asked:
    """What somebody asks for on top of what the host needs."""

    add: tuple[str, ...] = field(default=())
    remove: tuple[str, ...] = field(default=())


def checked(words: Iterable[str]) -> tuple[str, ...]:
    """The words themselves. Raises Refused("setup.bad_word") for one that a boot loader might take otherwise."""
    given = tuple(words)
    for word in given:
        if not WORD.fullmatch(word):
            raise Refused(
                "setup.bad_word", f"{word!r} cannot stand on the kernel's command line here.",
                state="Nothing was changed.", hints=("Give one word such as iommu=pt: letters, digits and .,:=/@+-_",),
            )  # fmt: skip
    return given


def wanted(host: Host, asked: Asked) -> Words:
    """What lets this host give devices, and what somebody asks for. Where the IOMMU is on, nothing else is needed."""
    add = list(checked(asked.add))
    remove = list(checked(asked.remove))
    if not host.iommu_on():
        remove += [word for word in OFF if word not in remove]
        if is_intel(host) and ON_INTEL not in (*add, *remove):
            add.insert(0, ON_INTEL)
    return Words(tuple(dict.fromkeys(add)), tuple(word for word in dict.fromkeys(remove) if word not in add))


def is_intel(host: Host) -> bool:
    """Whether the IOMMU of this host is Intel's: its firmware has the table, or its processor is Intel's."""
    if os.path.exists(os.path.join(host.paths.sys, "firmware/acpi/tables/DMAR")):
        return True
    return "GenuineIntel" in (read_text(os.path.join(host.paths.proc, "cpuinfo")) or "")


def is_arm(host: Host) -> bool:
    """Whether the IOMMU of this host is Arm's SMMU, which no word turns on (/proc/cpuinfo of Arm has no vendor)."""
    return "CPU implementer" in (read_text(os.path.join(host.paths.proc, "cpuinfo")) or "")


def without(text: str, words: Iterable[str]) -> str:
    """`text` without these words, each with a blank beside it; everything else stays as it is, byte for byte."""
    for word in map(re.escape, words):
        behind = rf"[ \t]+{word}(?=[\s\"']|$)"
        first = rf"(?<![^\s\"']){word}(?:[ \t]+|(?=[\s\"']|$))"
        text = re.sub(f"{behind}|{first}", "", text, flags=re.MULTILINE)
    return text
