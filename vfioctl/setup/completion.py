"""The file from which a shell learns our commands: where it belongs, put there, taken away. Makes no script.

The directories are those from which each shell loads by itself: bash-completion(README, FAQ), zshcompsys(1) with the
fpath that distributions give zsh, and complete_path of fish(1). A package has its file below /usr/share.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

from vfioctl import files
from vfioctl.errors import Refused
from vfioctl.paths import Paths

PUBLIC = 0o644
MARK = "# Written by `vfioctl completion --install`; sha256 of the rest: "
NAMES = {"bash": "vfioctl", "zsh": "_vfioctl", "fish": "vfioctl.fish"}
SYSTEM = {
    "bash": "usr/local/share/bash-completion/completions",
    "zsh": "usr/local/share/zsh/site-functions",
    "fish": "etc/fish/completions",
}
LOADER = "usr/share/bash-completion/bash_completion"


def system_file(paths: Paths, shell: str) -> str:
    """Where the script of `shell` is for every user."""
    return paths.at(SYSTEM[shell], NAMES[shell])


def own_file(environ: Mapping[str, str], shell: str) -> str:
    """Where it is for the user of `environ` alone. Raises Refused("completion.no_place") for one without a home."""
    home = environ.get("HOME") or "."
    data = environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    config = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    directory = {
        "bash": f"{environ.get('BASH_COMPLETION_USER_DIR') or f'{data}/bash-completion'}/completions",
        "zsh": f"{data}/zsh/site-functions",
        "fish": f"{config}/fish/completions",
    }[shell]
    if not os.path.isabs(directory):
        raise Refused(
            "completion.no_place", f"There is no place for your own completions of {shell}: HOME is not set.",
            state="Nothing was changed.", hints=(f"Print the script with: vfioctl completion {shell}",),
        )  # fmt: skip
    return os.path.join(directory, NAMES[shell])


def signed(text: str) -> str:
    """The script with a line that tells it as ours; zsh wants `#compdef` in the first."""
    first, rest = text.split("\n", 1)
    if first.startswith("#compdef"):
        return f"{first}\n{_mark(text)}\n{rest}"
    return f"{_mark(text)}\n{text}"


def install(path: str, text: str) -> bool:
    """Whether the file had to be written. Raises Refused("completion.foreign", "file.irregular"), OSError."""
    written = signed(text)
    if _ours(path) == written:
        return False
    files.make_private_dir(os.path.dirname(path), mode=files.PARENT_DIR)
    files.atomic_write(path, written, mode=PUBLIC)
    return True


def remove(path: str) -> bool:
    """Whether the file was there. Raises as `install`."""
    if _ours(path) is None:
        return False
    files.remove(path)
    return True


def advice(paths: Paths, shell: str, path: str, *, own: bool) -> tuple[str, str]:
    """Why `shell` would not load the file by itself, and what to do; two times "" when it does."""
    if shell == "zsh" and own:
        line = f"fpath=({os.path.dirname(path)} $fpath)"
        return "zsh loads it only from the directories in its fpath.", f"In ~/.zshrc, before compinit: {line}"
    if shell == "bash" and not os.path.exists(paths.at(LOADER)):
        return "bash loads it by itself only with bash-completion, which is not installed.", f"In ~/.bashrc: . {path}"
    return "", ""


def _mark(text: str) -> str:
    return MARK + hashlib.sha256(text.encode()).hexdigest()


def _ours(path: str) -> str | None:
    """The text of the file, None where there is none. Raises Refused for what we did not write, or not like this."""
    text = files.read_text(path)
    if text is None:
        return None
    lines = text.split("\n")
    marks = [line for line in lines[:2] if line.startswith(MARK)]
    if not marks or signed("\n".join(line for line in lines if line not in marks)) != text:
        raise Refused(
            "completion.foreign", f"{path} is not as vfioctl writes it: somebody else did, or has changed it since.",
            state="Nothing was changed.", hints=(f"Put it aside, or remove it, and try again: {path}",),
        )  # fmt: skip
    return text
