"""The hook that libvirt calls, as text: rendered for one installation. Writes nothing."""

from __future__ import annotations

import importlib.util
import os
import shlex
from typing import TYPE_CHECKING

from vfioctl import files
from vfioctl.setup.data import render, template

if TYPE_CHECKING:
    from vfioctl.compose import Composition

TEMPLATE = ("libvirt", "50-vfioctl.sh.in")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin"
FIRST_LINE = "#!/bin/sh"


def entry_file(composition: Composition) -> str:
    """The source file of the module that the hook starts: when it is gone, so is vfioctl."""
    argv = composition.self_argv
    module = argv[argv.index("-m") + 1]
    spec = importlib.util.find_spec(module)
    return (spec.origin if spec else None) or module


def programs_path(composition: Composition) -> str:
    """PATH for what the hook starts: the host's programs, then the system's own, so that sh and flock are found."""
    parts = f"{composition.paths.programs}:{SYSTEM_PATH}".split(":")
    return ":".join(dict.fromkeys(parts))


def rendered(composition: Composition, owner: int | None = None) -> str:
    """The hook for this installation, which acts only in processes of `owner`: the user who installs it, by default."""
    python, *args = composition.self_argv
    entry = entry_file(composition)
    module = args.index("-m")
    args[module : module + 2] = [entry]  # runpy, which -m needs, costs every call 2 ms
    values = {
        "PYTHON": python,
        "ENTRY": entry,
        "CONFIGS": composition.paths.guest_configs,
        "MARKS": composition.paths.markers,
        "RUN": composition.paths.run,
        "PATH": programs_path(composition),
        "OWNER": str(os.geteuid() if owner is None else owner),
    }
    quoted = {name: shlex.quote(value) for name, value in values.items()}
    return render(template(*TEMPLATE), {**quoted, "ARGS": shlex.join(args)})


def installed(path: str) -> str | None:
    """The hook that is installed, byte for byte, or None. Line ends are kept: CRLF is one of the ways to break it."""
    return files.read_text(path, follow=True)


def interpreter_of(text: str) -> str:
    """The interpreter that the hook in `text` calls, or "" when that cannot be told."""
    return _assigned(text, "python")


def entry_of(text: str) -> str:
    """The source file that it starts with that, or "" when that cannot be told."""
    return _assigned(text, "entry")


def _assigned(text: str, name: str) -> str:
    """What the script in `text` assigns to the variable `name`, a plain word; "" for nothing."""
    for line in text.splitlines():
        if line.startswith(f"{name}="):
            words = shlex.split(line.removeprefix(f"{name}="), comments=True)
            return words[0] if words else ""
    return ""
