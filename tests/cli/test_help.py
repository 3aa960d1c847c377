"""--help is complete, cheap, and imports nothing that it does not show."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from vfioctl.cli.lazy import made
from vfioctl.verbs.table import ROWS

HEAVY = ("rich", "sh", "tomlkit", "libvirt", "asyncio", "logging", "importlib.metadata", "pluggy", "tomllib",
         "vfioctl.txn.engine", "vfioctl.txn.journal", "vfioctl.host.host", "vfioctl.cli.render.output",
         "vfioctl.plugin", "vfioctl.verbs.judged")  # fmt: skip


LEAVES = {row.name: row for row in ROWS}


@pytest.mark.parametrize("path", LEAVES)
def test_every_command_of_the_table_loads_and_says_in_its_first_line_what_the_table_says(path: str) -> None:
    command = made(LEAVES[path])
    assert command.name == path.rpartition(" ")[2]
    assert command.help
    first = command.help.split("\n\n")[0].replace("\n", " ")
    assert first.rstrip(".").startswith(LEAVES[path].help.rstrip("."))


@pytest.mark.parametrize("path", ["", "gpu", "hook", "config", "plugins", *LEAVES])
def test_help_of_every_command_is_shown(path: str, run) -> None:
    shown = run(*path.split(), "--help")
    assert shown.status == 0
    assert shown.out.startswith(f"Usage: vfioctl {path}".rstrip())
    assert shown.err == ""


def test_the_whole_help_is_as_it_was(run, golden) -> None:
    golden("help.txt", run("--help").whole)


@pytest.mark.parametrize("argv", [["--help"], ["gpu", "--help"], ["hook", "--help"]])
def test_help_imports_no_command_no_engine_and_nothing_heavy(argv: list[str]) -> None:
    code = (
        "import sys\n"
        "from vfioctl.entry import dispatch\n"
        "from vfioctl.compose import compose\n"
        f"dispatch(compose(), {argv!r})\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ended.stderr.split())
    assert "Usage:" in ended.stdout
    assert loaded.isdisjoint(HEAVY), loaded & set(HEAVY)
    assert not {name for name in loaded if name.startswith("vfioctl.cli.commands.")}


def test_every_option_has_a_line_of_help() -> None:
    for path, entry in LEAVES.items():
        for option in made(entry).params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.help, f"{path}: {option.opts}"


def test_a_wrong_command_names_the_help(run, golden) -> None:
    golden("wrong_command.txt", run("gpu", "lst").whole)


def test_completion_knows_the_commands_without_importing_them(run) -> None:
    ended = subprocess.run(
        [sys.executable, "-I", "-m", "vfioctl.entry"], capture_output=True, text=True, check=False,
        env={"_VFIOCTL_COMPLETE": "bash_complete", "COMP_WORDS": "vfioctl hook ", "COMP_CWORD": "2"},
    )  # fmt: skip
    assert ended.stdout.split() == ["plain,install", "plain,uninstall", "plain,verify"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_of_a_shell_names_our_variable(shell: str, run) -> None:
    assert "_VFIOCTL_COMPLETE" in run("completion", shell).out


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("stat", "status"), ("plugin list", "plugins"), ("gpus", "gpu"), ("log", "history"), ("holders", "gpu holders"),
     ("gpu lst", "list")],
)  # fmt: skip
def test_an_unknown_command_is_answered_with_the_nearest(run, typed: str, meant: str) -> None:
    shown = run(*typed.split())
    assert shown.status == 2
    assert f'; did you mean "{meant}"? [usage]' in shown.err


def test_a_word_that_is_like_no_command_is_only_unknown(run) -> None:
    assert "There is no command 'zzzz'. [usage]" in run("zzzz").err


@pytest.mark.parametrize(
    ("typed", "said"), [("--json", "did you mean \"--format json\"?"), ("--roo", "There is no option '--roo'.")]
)
def test_no_hidden_option_is_advised(run, typed: str, said: str) -> None:
    shown = run("status", typed).err
    assert said in shown
    assert '"--root"' not in shown
