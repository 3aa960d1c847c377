"""Makes Debian trees in directories, of this computer's suite or another; caches those in which something runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from tests.lab import commands, sources
from tests.lab.cache import Cache, key
from tests.lab.payload import CHECKOUT

GIB_NEEDED = 2.0
DEADLINE = 900.0
TESTS_NEED = ("ca-certificates", "git", "procps", "python3", "python3-venv")
INSIDE = os.path.join(CHECKOUT, "contrib/inside.sh")


def make(tree: str, suite: str, packages: Iterable[str], options: Sequence[str], deadline: float) -> None:
    """Fill the directory `tree`; the log and the sources lie beside it. `options` are further ones of mmdebstrap."""
    beside = os.path.dirname(tree)
    entries = os.path.join(beside, "debian.sources")
    with open(entries, "w", encoding="utf-8") as file:
        file.write(sources.entries(suite))
    argv = [*_bootstrap(packages), *options, suite, tree, entries]
    commands.run(argv, os.path.join(beside, "build.log"), deadline)


def _bootstrap(packages: Iterable[str]) -> list[str]:
    """In a mount namespace of its own: what it mounts below the tree must go with it when it is killed."""
    argv = ["unshare", "--mount", "--propagation=private", "mmdebstrap", "--variant=minbase", "--mode=root"]
    argv += [f'--aptopt=Acquire::{scheme}::Proxy "{proxy}"' for scheme, proxy in sources.proxies().items()]
    return [*argv, f"--include={','.join(packages)}"]


def for_tests(cache: Cache, suite: str, packages: Iterable[str], patience: float) -> str:
    """The directory of the tree that rings 1 and 2 run in: with these packages, and what they need anyway."""
    return _cached(cache, "tree", suite, [*TESTS_NEED, *packages], patience)


def compiler(cache: Cache, suite: str, packages: Iterable[str], patience: float) -> str:
    """The same, of a tree with these packages that something is compiled in."""
    return _cached(cache, "compiler", suite, packages, patience)


def of(cache: Cache, suite: str, packages: Iterable[str], patience: float) -> str:
    """The same, of a tree with these packages and nothing besides, which is copied and not written to."""
    return _cached(cache, "bare", suite, packages, patience)


def _cached(cache: Cache, kind: str, suite: str, packages: Iterable[str], patience: float) -> str:
    wanted = sorted(set(packages))
    fill = lambda part: make(os.path.join(part, "root"), suite, wanted, (), DEADLINE * patience)  # noqa: E731
    name = f"{kind}-{key(suite, *wanted)}"
    return os.path.join(cache.made(name, fill, needs_gib=GIB_NEEDED, within=cache.place(suite)), "root")


def inside(tree: str, *directories: str) -> list[str]:
    """What goes before a command so that it runs in the tree, with these directories of this computer."""
    return [INSIDE, tree, *directories, "--"]
