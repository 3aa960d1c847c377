"""What would tell a stranger whose a host is, taken out of texts: each thing gets one name wherever it stands. Pure.

Kept is what a hand-off is about: PCI addresses, ids of vendors and devices, versions, units, paths of the system.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from vfioctl.frozen import field, frozen

UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
MAC = r"(?<![0-9a-fA-F:])[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}(?![0-9a-fA-F:])"
IPV4 = r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"
# Eight groups, or fewer around "::": four groups are the ids of a device and its subsystem.
IPV6 = r"(?<![\w:.])(?:(?:{0}:){{7}}{0}|(?:{0}:){{1,6}}(?::{0}){{1,6}})(?![\w:.])".format("[0-9a-fA-F]{1,4}")
# Links that udev names after a device's serial number or a file system's label, and words that give one.
LINK = r"(?<=/dev/disk/by-)(?:id|uuid|partuuid|label|partlabel|diskseq)/[^\s\"',:]+|(?<=/by-id/)[^\s\"',:]+"
WORD = r"(?i)(?<=serial=)[^\s\"',]+|(?<=serial: )[^\s\"',]+|(?<=\bUUID=)[^\s\"',]+|(?<=\bLABEL=)[^\s\"',]+"
HOME = r"(?<=/home/)[^/\s\"',:]+"
NAMED = "name"


@frozen
class Redactor:
    """Takes things out of texts. `known` maps a word to what it is: "alice" → "user", "win11" → "guest"."""

    known: Mapping[str, str]
    given: dict[str, str] = field(default_factory=dict)  # what was found → what stands there now

    def value(self, value: Any) -> Any:
        """`value`, as JSON keeps it, without what would tell; the keys of tables stay."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {key: self.value(one) for key, one in value.items()}
        return [self.value(one) for one in value] if isinstance(value, list | tuple) else value

    def text(self, text: str) -> str:
        """`text` without what would tell."""
        for pattern, kind in self._patterns():
            text = pattern.sub(self._as(kind), text)
        return text

    def counts(self) -> dict[str, int]:
        """How many different things of each kind were taken out."""
        kinds = [name.rpartition("-")[0] for name in self.given.values()]
        return {kind: kinds.count(kind) for kind in sorted(set(kinds))}

    def _patterns(self) -> Iterator[tuple[re.Pattern[str], str]]:
        for pattern, kind in ((UUID, "uuid"), (MAC, "mac"), (LINK, "serial"), (WORD, "serial")):
            yield re.compile(pattern), kind
        if self.known:
            yield re.compile(rf"(?<![\w])(?:{'|'.join(_longest_first(self.known))})(?![\w])"), NAMED
        for pattern, kind in ((HOME, "user"), (IPV4, "address"), (IPV6, "address")):
            yield re.compile(pattern), kind

    def _as(self, kind: str) -> Callable[[re.Match[str]], str]:
        return lambda found: self._name(found[0], self.known.get(found[0], kind))

    def _name(self, found: str, kind: str) -> str:
        if found in self.given.values():
            return found  # it has been taken out already
        if found not in self.given:
            number = sum(name.rpartition("-")[0] == kind for name in self.given.values()) + 1
            self.given[found] = f"{kind}-{number}"
        return self.given[found]


def _longest_first(words: Iterable[str]) -> list[str]:
    return [re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word))]
