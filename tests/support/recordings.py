"""What a booted Debian 12 printed (tests/data/recorded), one file a command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PLACE = Path(__file__).parents[1] / "data" / "recorded"


@dataclass(frozen=True, slots=True)
class Recording:
    """One command as it ran on the booted machine."""

    head: dict[str, str]
    stdout: str
    stderr: str

    @property
    def command(self) -> str:
        return self.head["command"]

    @property
    def status(self) -> int:
        return int(self.head["status"])


def recording(name: str) -> Recording:
    head, _, rest = (PLACE / f"{name}.txt").read_text().partition("--- stdout\n")
    stdout, _, stderr = rest.partition("--- stderr\n")
    fields = (line.removeprefix("# ").partition(": ") for line in head.splitlines())
    return Recording({key: value for key, _, value in fields}, stdout, stderr)
