"""Interactive shells whose prompt, PATH and commands are ours, whatever the user's start-up files say. Opens none.

A shell that reads them may find the real `virsh` first, and the tutorial would then start and end real guests.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Mapping

from vfioctl import files

PROMPT = "simulated# "
KEPT = ("TERM", "LANG", "LC_ALL", "LC_CTYPE", "HOME", "USER", "LOGNAME", "TZ", "COLUMNS", "LINES", "EDITOR", "VISUAL",
        "NO_COLOR", "XDG_CACHE_HOME", "TMPDIR")  # fmt: skip
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ANSWER = 10.0  # seconds: a start-up file may do anything
SAID = "This shell finds another virsh than that of the simulated machine. It ends: that could reach real guests."

POSIX = """\
unalias -a
unset -f vfioctl virsh command_not_found_handle 2>/dev/null
unset PROMPT_COMMAND HISTFILE
PATH={bin}:{path} PS1='{prompt}'
for program in vfioctl virsh; do
    [ "$(command -v "$program")" = {bin}/"$program" ] || {{ echo '{said}' >&2; exit 1; }}
done
unset program
"""
ZSH = """\
unsetopt PROMPT_SUBST
unset HISTFILE
PATH={bin}:{path} PROMPT='{prompt}' RPROMPT=''
for program in vfioctl virsh; do
    [[ ${{commands[$program]}} = {bin}/$program && -z ${{aliases[$program]}}${{functions[$program]}} ]] || {{
        print -u2 -r '{said}'; exit 1
    }}
done
unset program
"""
FISH = """\
set -gx PATH {bin} (string split : '{path}')
set -g fish_greeting
function fish_prompt; printf '{prompt}'; end
for program in vfioctl virsh
    if functions -q $program; or test (command -s $program) != {bin}/$program
        echo '{said}' >&2
        exec false # an `exit` in a file that is sourced leaves an interactive fish running
    end
end
"""


def environment(outside: Mapping[str, str], programs: str) -> dict[str, str]:
    """The environment of the shell: a clean one, in which the directory `programs` comes first."""
    kept = {name: outside[name] for name in KEPT if name in outside}
    return {**kept, "PATH": f"{programs}:{SYSTEM_PATH}", "PS1": PROMPT}


def command(shell: str, programs: str, inside: dict[str, str]) -> list[str]:
    """How the user's `shell` is started with a start-up file of ours below `programs`; bash in place of an unknown one.

    Adds to the environment `inside` where the shell takes the file's place from there.
    """
    return SHELLS.get(os.path.basename(shell), _instead)(shell, programs, inside)


def _instead(_shell: str, programs: str, inside: dict[str, str]) -> list[str]:
    shell = next((path for path in ("/bin/bash", "/usr/bin/bash") if os.access(path, os.X_OK)), "/bin/sh")
    return SHELLS[os.path.basename(shell)](shell, programs, inside)


def _bash(shell: str, programs: str, _inside: dict[str, str]) -> list[str]:
    return [shell, "--noprofile", "--rcfile", _written(programs, "bashrc", POSIX), "-i"]


def _posix(shell: str, programs: str, inside: dict[str, str]) -> list[str]:
    inside["ENV"] = _written(programs, "shrc", POSIX)  # what an interactive sh reads (POSIX, sh)
    return [shell, "-i"]


def _zsh(shell: str, programs: str, inside: dict[str, str]) -> list[str]:
    ours = {**inside, "ZDOTDIR": os.path.dirname(_written(programs, ".zshrc", ZSH))}
    if _place_of_zsh(shell, ours) != ours["ZDOTDIR"]:
        return _instead(shell, programs, inside)
    inside.update(ours)
    return [shell, "-d", "-i"]  # -d: not the host's files either


def _place_of_zsh(shell: str, inside: Mapping[str, str]) -> str:
    """Where it would look for .zshrc: /etc/zsh/zshenv, which is read whatever the options, may set it (zshall(1))."""
    argv = (shell, "-f", "-i", "-c", 'print -r -- "$ZDOTDIR"')
    try:
        ended = subprocess.run(
            argv, env=inside, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            errors="replace", check=False, timeout=ANSWER, start_new_session=True,  # -i takes a terminal that it finds
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (ended.stdout.splitlines() or [""])[-1]


def _fish(shell: str, programs: str, _inside: dict[str, str]) -> list[str]:
    start = f"source {_fish_quoted(_written(programs, 'config.fish', FISH, quote=_fish_quoted))}"
    return [shell, "--no-config", "--private", "--init-command", start, "-i"]


def _fish_quoted(text: str) -> str:
    """`text` as one word of fish, whose single quotes know two escapes (fishshell.com/docs, "Quotes")."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS: Mapping[str, Callable[[str, str, dict[str, str]], list[str]]] = {
    "bash": _bash, "zsh": _zsh, "fish": _fish, "sh": _posix, "dash": _posix, "ksh": _posix, "mksh": _posix,
}  # fmt: skip


def _written(programs: str, name: str, template: str, *, quote: Callable[[str], str] = shlex.quote) -> str:
    """The path of a start-up file of ours, which it makes below `programs`."""
    path = os.path.join(programs, name)
    text = template.format(bin=quote(programs), path=SYSTEM_PATH, prompt=PROMPT, said=SAID)
    files.atomic_write(path, text)
    return path
