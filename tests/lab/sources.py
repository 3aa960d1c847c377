"""Where Debian packages come from: this computer's own apt sources, for its own suite or for another. Reads only,
but for the package lists of another suite, which `Archive` keeps in a directory of its own."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Sequence

from tests.lab import commands
from tests.lab.errors import CannotRun

FILES = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources")
SUITES = {"12": "bookworm", "13": "trixie"}  # https://www.debian.org/releases/
PARTS = ("", "-updates", "-security")
LISTS_LAST = 12 * 3600.0
DEADLINE = 300.0


def own_suite() -> str:
    """The code name of this computer's Debian."""
    return _release()["VERSION_CODENAME"]


def suite_of(number: str) -> str:
    """The code name of Debian `number`; "" is this computer's own."""
    own = _release()
    if number in {"", own.get("VERSION_ID", "").strip('"')}:
        return own["VERSION_CODENAME"]
    if number not in SUITES:
        raise CannotRun(f"Debian {number} is not known here; there are {' and '.join(SUITES)}.")
    return SUITES[number]


def _release() -> dict[str, str]:
    with open("/etc/os-release", encoding="utf-8") as file:
        values = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
    if values.get("ID") != "debian":
        raise CannotRun("The lab is built from Debian packages with the apt sources of a Debian; this is none.")
    return values


def entries(suite: str) -> str:
    """The entries of this computer's apt for `suite`, its updates and its security updates, as one file (deb822).

    Where it has none, those of its own suite, with the suite replaced.
    """
    found = _entries(suite)
    if not found:
        own = own_suite()
        found = [renamed(stanza, own, suite) for stanza in _entries(own)]
    if not found:
        raise CannotRun(f"This computer's apt has no source for {suite}.")
    return "\n\n".join(found) + "\n"


def _entries(suite: str) -> list[str]:
    wanted = {f"{suite}{part}" for part in PARTS}
    found: list[str] = []
    for path in sorted(path for pattern in FILES for path in glob.glob(pattern)):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        found += deb822(text, wanted) if path.endswith(".sources") else one_line(text, wanted)
    return found


def renamed(stanza: str, old: str, new: str) -> str:
    """The stanza for the suite `new` instead of `old`."""
    names = {f"{old}{part}": f"{new}{part}" for part in PARTS}
    lines = []
    for line in stanza.splitlines():
        key, colon, value = line.partition(":")
        if key.lower() == "suites":
            value = "".join(f" {names.get(word, word)}" for word in value.split())
        lines.append(f"{key}{colon}{value}")
    return "\n".join(lines)


def deb822(text: str, wanted: set[str]) -> list[str]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    stanzas = [part for part in "\n".join(lines).split("\n\n") if part.strip()]
    return [part.strip() for part in stanzas if wanted & set(suites(part))]


def suites(stanza: str) -> list[str]:
    return [word for line in stanza.splitlines() if line.lower().startswith("suites:") for word in line.split()[1:]]


def one_line(text: str, wanted: set[str]) -> list[str]:
    """`deb [options] URI SUITE COMPONENT…`, as stanzas."""
    found = []
    for line in text.splitlines():
        head, _, rest = line.partition("#")[0].strip().partition(" ")
        options, rest = rest[1:].split("]", 1) if rest.startswith("[") else ("", rest)
        words = rest.split()
        if head == "deb" and len(words) > 2 and words[1] in wanted:
            keys = [word for word in options.split() if word.startswith("signed-by=")]
            signed = [f"Signed-By: {word.partition('=')[2]}" for word in keys]
            stanza = ["Types: deb", f"URIs: {words[0]}", f"Suites: {words[1]}", f"Components: {' '.join(words[2:])}"]
            found.append("\n".join([*stanza, *signed]))
    return found


def proxies() -> dict[str, str]:
    """What this computer's apt is told to use, by scheme."""
    found = {scheme: commands.output_of(["apt-config", "shell", "P", f"Acquire::{scheme}::Proxy"])
             for scheme in ("http", "https")}  # fmt: skip
    return {scheme: said.partition("=")[2].strip("'\"") for scheme, said in found.items() if said}


class Archive:
    """The package lists of one suite: this computer's own, or in `directory` those of another."""

    def __init__(self, suite: str, directory: str) -> None:
        self.suite = suite
        self.directory = directory

    def show(self, package: str) -> dict[str, str]:
        """The fields of the newest version of a package."""
        said = commands.output_of(["apt-cache", *self._options(), "show", "--no-all-versions", package])
        if not said:
            raise CannotRun(f"apt knows no package {package} in {self.suite}.")
        return dict(line.split(": ", 1) for line in said.splitlines() if ": " in line and line[0] != " ")

    def _options(self) -> Sequence[str]:
        if self.suite == own_suite():
            return ()
        places = {"Etc::SourceList": "apt.sources", "Etc::SourceParts": "none", "State": "state", "Cache": "cache"}
        options = [f"-oDir::{key}={self.directory}/{name}" for key, name in places.items()]
        if self._are_old():
            self._update(options)
        return options

    def _are_old(self) -> bool:
        try:
            return time.time() - os.stat(f"{self.directory}/updated").st_mtime > LISTS_LAST
        except FileNotFoundError:
            return True

    def _update(self, options: Sequence[str]) -> None:
        for name in ("none", "state/lists/partial", "cache/archives/partial"):
            os.makedirs(f"{self.directory}/{name}", exist_ok=True)
        with open(f"{self.directory}/apt.sources", "w", encoding="utf-8") as file:
            file.write(entries(self.suite))
        commands.run(["apt-get", *options, "update"], f"{self.directory}/apt.log", DEADLINE)
        with open(f"{self.directory}/updated", "w", encoding="ascii"):
            pass
