"""Root does not work on a host that somebody else has made: `--root` would run the programs that are there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from access_lists import grant
from installations import Installation
from locked_memory import ALICE, Mount

NOBODY = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="giving files away needs root")
PROGRAMS = ("virsh", "systemctl", "getenforce", "loginctl", "busctl", "lsmod", "systemd-run", "udevadm", "docker")
COMMANDS = (
    ("plan", "win11"), ("hook", "verify"), ("hook", "install"), ("hook", "uninstall"), ("rescue", "--yes"), ("status",),
    ("list",), ("enable", "win11"), ("disable", "win11"), ("recover",), ("plugins", "refresh"), ("plugins", "list"),
    ("history",), ("gpu", "list"), ("gpu", "holders", "0000:01:00.0"), ("config", "show"), ("config", "validate"),
    ("config", "set", "deadlines.prepare", "60"),
)  # fmt: skip


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parents[3] / "theirs")
    path.parents[3].joinpath("theirs").write_text("")
    os.chown(path.parents[3] / "theirs", NOBODY, NOBODY)


FOREIGN: dict[str, tuple[str, Callable[[Path], object]]] = {
    "directory": (".", lambda path: os.chown(path, NOBODY, NOBODY)),
    "open": (".", lambda path: path.chmod(0o777)),
    "group": (".", lambda path: path.chmod(0o775)),
    "list": (".", lambda path: grant(path, NOBODY)),
    "above": ("..", lambda path: os.chown(path, NOBODY, NOBODY)),
    "above list": ("..", lambda path: grant(path, NOBODY)),
    "usr": ("usr", lambda path: os.chown(path, NOBODY, NOBODY)),
    "programs": ("usr/bin", lambda path: os.chown(path, NOBODY, NOBODY)),
    "local programs": ("usr/local/sbin", lambda path: path.chmod(0o777)),
    "program": ("usr/bin/virsh", lambda path: os.chown(path, NOBODY, NOBODY)),
    "open program": ("usr/bin/virsh", lambda path: path.chmod(0o777)),
    "listed program": ("usr/bin/virsh", lambda path: grant(path, NOBODY)),
    "linked program": ("usr/bin/virsh", _link),
}


@pytest.fixture
def proof(installation: Installation, place: Path) -> Path:
    """The file that the programs of the host leave when they are run."""
    made = place / "proof"
    (installation.host / "usr/local/sbin").mkdir(parents=True)
    for name in PROGRAMS:
        program = installation.host / "usr/bin" / name
        program.write_text(f"#!/bin/sh\necho {name} >>{made}\n")
        program.chmod(0o755)
    return made


def test_a_root_of_roots_alone_is_worked_on(installation: Installation, proof: Path):
    assert installation.on_host("list").returncode == 0
    installation.on_host("hook", "verify")
    assert proof.exists()


@pytest.mark.parametrize("foreign", FOREIGN)
def test_nothing_below_a_root_of_somebody_else_is_run(installation: Installation, proof: Path, foreign: str):
    part, change = FOREIGN[foreign]
    change(installation.host / part)
    for arguments in (("plan", "win11"), ("hook", "verify"), ("rescue", "--yes")):
        ended = installation.on_host(*arguments)
        assert (ended.returncode, "[root.writable]" in ended.stderr) == (3, True)
    assert not proof.exists()


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_no_command_works_below_a_root_of_somebody_else(
    installation: Installation, proof: Path, arguments: tuple[str, ...]
):
    os.chown(installation.host, NOBODY, NOBODY)
    before = sorted(installation.host.rglob("*"))
    after_the_verb = installation.run(*arguments, "--root", str(installation.host))
    for ended in (installation.on_host(*arguments), after_the_verb):
        assert (ended.returncode, "[root.writable]" in ended.stderr) == (3, True)
        assert f"{installation.host} belongs to uid {NOBODY}, not to root" in ended.stderr
    assert not proof.exists()
    assert sorted(installation.host.rglob("*")) == before


def test_a_root_that_is_named_by_a_link_is_judged_by_where_it_leads(installation: Installation, proof: Path):
    os.chown(installation.host, NOBODY, NOBODY)
    link = installation.home.parent / "link"
    link.symlink_to(installation.host)
    assert installation.run("--root", str(link), "hook", "verify").returncode == 3
    assert not proof.exists()


def test_a_root_that_is_no_directory_is_wrong_usage(installation: Installation):
    """What others can write there is not said: nobody should follow a hint about /dev/null."""
    ended = installation.run("--root", "/dev/null", "list")
    assert (ended.returncode, "/dev/null is no directory" in ended.stderr) == (2, True)


def test_the_owner_of_a_root_works_on_it(installation: Installation):
    """A simulated host or a chroot of an ordinary user."""
    shutil.chown(installation.host, NOBODY, NOBODY)
    ended = subprocess.run(
        [installation.python, "-m", "vfioctl.entry", "--root", installation.host, "list"], cwd="/", text=True,
        capture_output=True, check=False, user=NOBODY, env={"PATH": os.defpath},
    )  # fmt: skip
    assert (ended.returncode, "root.writable" in ended.stderr) == (0, False)


@pytest.mark.parametrize("words", [("status",), ("recover",), ("rescue", "--yes")])
@pytest.mark.usefixtures("alone")
def test_a_root_that_does_not_answer_is_refused_by_name(place: Path, words: tuple[str, ...]):
    with Mount(place / "share", ALICE, open_to_all=True) as mount:
        mount.silent.set()
        argv = [sys.executable, "-m", "vfioctl.entry", "--root", str(place / "share"), *words]
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20, cwd="/")
    assert (ended.returncode, f"{place / 'share'} does not answer" in ended.stderr) == (3, True), ended
