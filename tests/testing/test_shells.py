"""The interactive shells: prompt, PATH and virsh are ours, whatever the user's start-up files and environment say."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vfioctl.testing import shells

HOSTILE = {
    ".bashrc": "PS1='mine$ '; PATH={evil}:$PATH; virsh() {{ echo EVIL; }}; alias vfioctl='echo EVIL'\n",
    ".bash_profile": "PATH={evil}:$PATH\n",
    ".profile": "PATH={evil}:$PATH\n",
    ".shrc": "PATH={evil}:$PATH\n",
    ".zshenv": "path=({evil} $path)\n",
    ".zshrc": "PROMPT='mine%% '; path=({evil} $path); alias virsh='echo EVIL'\n",
    ".config/fish/config.fish": "set -gx PATH {evil} $PATH; function virsh; echo EVIL; end\n",
}
TYPED = "virsh list\nvfioctl status\necho @$PATH@\nexit\n"


def program(path: Path, says: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of a user whose start-up files put another virsh first."""
    home = tmp_path / "home"
    for name, text in HOSTILE.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text.format(evil=tmp_path / "evil"))
    for name in ("virsh", "vfioctl"):
        program(tmp_path / "evil" / name, "EVIL")
    return home


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """The directory of the simulated machine's programs; its name needs quoting."""
    directory = tmp_path / "it's ours"
    for name in ("virsh", "vfioctl"):
        program(directory / name, f"OUR-{name}")
    return directory


def typed_in(shell: str, home: Path, ours: Path) -> str:
    """What a terminal shows of a session with `shell`."""
    outside = {
        **os.environ, "HOME": str(home), "ENV": str(home / ".shrc"), "BASH_ENV": str(home / ".shrc"), "TERM": "dumb",
        "ZDOTDIR": str(home), "PROMPT_COMMAND": "PATH=/evil", "BASH_FUNC_virsh%%": "() { echo EVIL; }",
    }  # fmt: skip
    inside = shells.environment(outside, str(ours))
    argv = shells.command(shell, str(ours), inside)
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(home)
        os.execve(argv[0], argv, inside)
    os.write(master, TYPED.encode())
    shown = b""
    try:
        while part := os.read(master, 65536):
            shown += part
    except OSError:  # EIO: the terminal has no other end any more
        pass
    finally:
        os.close(master)
        os.waitpid(pid, 0)
    return shown.decode(errors="replace")


@pytest.mark.parametrize("name", ["bash", "dash", "zsh", "fish", "tcsh"])
def test_whatever_the_start_up_files_say_the_programs_are_ours(name: str, home: Path, ours: Path) -> None:
    shell = shutil.which(name) or f"/bin/{name}"
    if name != "tcsh" and not os.path.exists(shell):
        pytest.skip(f"{name} is not installed")
    shown = typed_in(shell, home, ours)
    assert "OUR-virsh" in shown
    assert "OUR-vfioctl" in shown
    assert "EVIL" not in shown
    assert "mine" not in shown


@pytest.mark.parametrize("name", ["bash", "dash", "zsh", "fish"])
def test_the_prompt_is_the_tutorials(name: str, home: Path, ours: Path) -> None:
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    assert shells.PROMPT.strip() in typed_in(shutil.which(name) or "", home, ours)


@pytest.mark.parametrize("name", ["bash", "dash", "zsh", "fish"])
def test_a_shell_that_would_find_another_virsh_ends_at_once(name: str, home: Path, ours: Path) -> None:
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    (ours / "virsh").unlink()
    shown = typed_in(shutil.which(name) or "", home, ours)
    assert "could reach real guests" in shown
    assert "OUR-vfioctl" not in shown


@pytest.mark.parametrize(("says", "is_taken"), [
    ('echo Welcome; echo "$ZDOTDIR"', True), ('echo "$HOME/.config/zsh"', False), ("exit 1", False),
])  # fmt: skip
def test_a_zsh_that_would_read_other_files_than_ours_is_not_taken(
    home: Path, ours: Path, tmp_path: Path, says: str, *, is_taken: bool
) -> None:
    zsh = tmp_path / "zsh"
    zsh.write_text(f"#!/bin/sh\n{says}\n")
    zsh.chmod(0o755)
    inside = shells.environment({"HOME": str(home)}, str(ours))
    argv = shells.command(str(zsh), str(ours), inside)
    assert (argv[0] == str(zsh), "ZDOTDIR" in inside) == (is_taken, is_taken)


ASKED = """
import sys
from vfioctl.testing import shells
print(shells.command(sys.argv[1], sys.argv[2], {"HOME": "/"})[0])
"""
COVER = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'


@pytest.mark.skipif(os.geteuid() != 0, reason="a file of /etc is covered in a mount namespace")
def test_a_zsh_whose_global_file_sets_zdotdir_is_not_taken(ours: Path, tmp_path: Path) -> None:
    zsh, there = shutil.which("zsh"), Path("/etc/zsh/zshenv")  # where Debian has it
    if not zsh or not there.exists():
        pytest.skip("zsh is not installed")
    (tmp_path / "zshenv").write_text('export ZDOTDIR="$HOME/.config/zsh"\n')
    namespace = ["unshare", "-m", "--propagation", "private", "sh", "-c", COVER, "sh"]
    namespace += [str(tmp_path / "zshenv"), str(there)]
    if subprocess.run([*namespace, "true"], check=False).returncode:
        pytest.skip("no file of /etc can be covered here")
    asked = [sys.executable, "-I", "-c", ASKED, zsh, str(ours)]
    taken = [subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
             for argv in (asked, [*namespace, *asked])]  # fmt: skip
    assert (taken[0], taken[1] != zsh) == (zsh, True)


def test_the_environment_is_a_clean_one_with_our_programs_first() -> None:
    inside = shells.environment({"PATH": "/evil", "LD_PRELOAD": "x", "LANG": "de_DE.UTF-8", "BASH_ENV": "x"}, "/ours")
    assert inside == {"PATH": f"/ours:{shells.SYSTEM_PATH}", "PS1": shells.PROMPT, "LANG": "de_DE.UTF-8"}
