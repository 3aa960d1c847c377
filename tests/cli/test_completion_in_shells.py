"""What is installed as completion works in the shell itself: typed at a terminal, loaded from its directory."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typing_shells import completed

from vfioctl.cli.app import root_group
from vfioctl.cli.shells import script
from vfioctl.paths import Paths
from vfioctl.setup import completion

GPU, RECORD = "0000:01:00.0", "20260101T000000-win11"
LOADER = "/usr/share/bash-completion/bash_completion"
TYPED = [
    ("hook ver", "hook verify"),
    ("plan wi", "plan win11"),
    ("plan my", "plan my guest"),
    ("plan one", "plan one, two"),
    ("config set deadlines.prep", "config set deadlines.prepare"),
    ("config set session ke", "config set session keep"),
    ("gpu holders 0", f"gpu holders {GPU}"),
    ("gpu holders 0000:01", f"gpu holders {GPU}"),
    ("gpu holders 0000:01:00.", f"gpu holders {GPU}"),
    ("history la", "history last"),
    ("history 2026", f"history {RECORD}"),
    ("history --form", "history --format"),
    ("plan win11 --xml {home}/doma", "plan win11 --xml {home}/domain.xml"),
]
Type = Callable[[str], str]


@pytest.fixture
def host(root: Path) -> Path:
    """A host with three guests, a card and a record of a hand-off."""
    for place in ("etc/libvirt/qemu", "var/lib/vfioctl/history", f"sys/bus/pci/devices/{GPU}"):
        (root / place).mkdir(parents=True)
    (root / f"var/lib/vfioctl/history/{RECORD}.json").write_text("{}")
    for name in ("win11", "my guest", "one, two"):
        (root / f"etc/libvirt/qemu/{name}.xml").write_text("")
    return root


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of a user who can call vfioctl, also behind sudo."""
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    (home / "domain.xml").write_text("")
    for name, what in (("vfioctl", f"{sys.executable} -I -m vfioctl.entry"), ("sudo", "")):
        program = home / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {what} "$@"\n')
        program.chmod(0o755)
    return home


def environ(home: Path) -> dict[str, str]:
    path = f"{home}/bin:{os.environ['PATH']}"
    return {"HOME": str(home), "PATH": path, "TERM": "xterm", "LC_ALL": "C.UTF-8"}


def at(shell: str, host: Path, home: Path) -> Type:
    """Types behind `vfioctl` in a shell that has our completion for this user."""
    if not shutil.which(shell) or (shell == "bash" and not Path(LOADER).exists()):
        pytest.skip(f"{shell} is not installed, or cannot load completions")
    place = completion.own_file(environ(home), shell)
    completion.install(place, script(shell, root_group()))
    (home / ".bashrc").write_text(f". {LOADER}\n")
    _, hint = completion.advice(Paths(), "zsh", place, own=True)
    (home / ".zshrc").write_text(f"{hint.partition(': ')[2]}\nautoload -U compinit\ncompinit -u\n")
    begin = f"vfioctl --root {host} "

    def typed(words: str) -> str:
        return completed(shell, begin + words.format(home=home), home, environ(home)).removeprefix(begin)

    return typed


@pytest.mark.parametrize(("words", "whole"), TYPED)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_what_is_typed(shell: str, words: str, whole: str, host: Path, home: Path) -> None:
    assert at(shell, host, home)(words).rstrip() == whole.format(home=home)


def test_bash_completes_what_stands_behind_the_equals_sign_of_an_option(host: Path, home: Path) -> None:
    typed = at("bash", host, home)
    assert typed("history --format=js").rstrip() == "history --format=json"
    assert typed("plan win11 --xml={home}/doma").rstrip() == f"plan win11 --xml={home}/domain.xml"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_it_completes_behind_sudo(shell: str, host: Path, home: Path) -> None:
    at(shell, host, home)
    typed = completed(shell, f"sudo vfioctl --root {host} gpu holders 0000:01", home, environ(home))
    assert typed.rstrip() == f"sudo vfioctl --root {host} gpu holders {GPU}"


def test_what_is_no_word_of_ours_stays_as_it_was_typed(host: Path, home: Path) -> None:
    assert at("bash", host, home)("plan zz").rstrip() == "plan zz"
