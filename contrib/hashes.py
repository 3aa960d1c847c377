"""Writes contrib/requirements/*.txt: what constraints.txt names, with the hash of every file that the index has of it.

    VENV/bin/python contrib/hashes.py

Run it after a change of constraints.txt. It asks the index that pip is configured with, through pip itself: no address
is here or in what it writes. A hash says that a file is the one that was there on the day of this run, whatever the
platform and the Python; it does not say that the file is harmless.
"""

# ruff: noqa: SLF001 -- pip has no interface of its own for this
from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pip._internal.commands.download import DownloadCommand
from pip._internal.index.collector import parse_links
from pip._internal.models.link import Link
from pip._internal.utils.compatibility_tags import get_supported
from pip._vendor.packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename
from pip._vendor.packaging.version import Version

HERE = Path(__file__).resolve().parent
HEADING = re.compile(r"# ([a-z-]+): ")
HEAD = "# Made from contrib/constraints.txt by contrib/hashes.py.\n"
WHEELS = "--only-binary :all:\n"  # what builds a package has no hash here, unless it is of the section "build"
BUILT = ("libvirt",)  # has no wheels
PYTHONS = ("311", "312", "313", "314")
PLATFORMS = [*(f"manylinux_2_{glibc}_x86_64" for glibc in range(5, 37)), "manylinux2014_x86_64"]  # Debian 12: 2.36


class Index:
    """The package indexes that pip uses on this machine."""

    def __init__(self) -> None:
        command = DownloadCommand("download", "the files of a release")
        options, _ = command.parse_args(["--disable-pip-version-check"])
        self.finder: Any = command._build_package_finder(options, command._build_session(options))
        self.collector = self.finder._link_collector

    def files(self, name: str, version: str) -> dict[str, str]:
        """The SHA-256 of every file of this version. Raises SystemExit when one has none, or there is no file."""
        wanted = (canonicalize_name(name), Version(version))
        links = [link for link in self._links(wanted[0]) if release(link.filename) == wanted]
        if not links or any(link.hash_name != "sha256" for link in links):
            raise SystemExit(f"{name} {version}: the index has no such release, or a file of it without a SHA-256")
        return {link.filename: str(link.hash) for link in links}

    def _links(self, name: str) -> Iterator[Any]:
        for address in self.finder.search_scope.get_index_urls_locations(name):
            if page := self.collector.fetch_response(Link(address)):
                yield from parse_links(page)


def release(filename: str) -> tuple[str, Version] | None:
    """The project and the version of a wheel or an sdist; None for what is neither."""
    try:
        return parse_wheel_filename(filename)[:2] if filename.endswith(".whl") else parse_sdist_filename(filename)
    except ValueError:
        return None


def sections(text: str) -> dict[str, list[str]]:
    """The requirements below each heading "# NAME: …" of constraints.txt."""
    found: dict[str, list[str]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        if heading := HEADING.match(line):
            found[heading[1]] = current = []
        elif not line.startswith("#"):
            current.append(line)
    return found


def lacking(names: Iterable[str]) -> list[str]:
    """The Pythons that find no wheel among the files `names` of one release."""
    wheels = [parse_wheel_filename(name)[3] for name in names if name.endswith(".whl")]
    return [one for one in PYTHONS if not any(tags & {*get_supported(one, PLATFORMS)} for tags in wheels)]


def entry(index: Index, requirement: str, *, built: bool) -> str:
    """The requirement with its hashes. Raises SystemExit when a Python would have to build it."""
    files = index.files(*requirement.split("=="))
    if not built and (without := lacking(files)):
        raise SystemExit(f"{requirement}: there is no wheel for Python {', '.join(without)}")
    return " \\\n".join((requirement, *(f"    --hash=sha256:{value}" for value in sorted({*files.values()})))) + "\n"


def main() -> None:
    index = Index()
    for name, requirements in sections((HERE / "constraints.txt").read_text()).items():
        built = name in BUILT
        text = "".join(entry(index, requirement, built=built) for requirement in requirements)
        (HERE / "requirements" / f"{name}.txt").write_text(HEAD + ("" if built else WHEELS) + text)
        sys.stdout.write(f"{name}: {len(requirements)} releases, {text.count('--hash')} files\n")


if __name__ == "__main__":
    main()
