"""The completion scripts of shells, and what each sends when a word is completed. Offers nothing itself."""

from __future__ import annotations

import os

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from vfioctl.cli.app import COMPLETING, PROGRAM

SHELLS = ("bash", "zsh", "fish")
BLANKS_AND_QUOTES = frozenset(" \t\n\"'")
# bash takes a word apart at COMP_WORDBREAKS, where `:` and `=` are: PCI addresses and --option=value are more than one
# piece to it. So it sends the line, and gets back what belongs behind the last break.
BASH = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
        dir) compopt -o dirnames ;;
        file) compopt -o default ;;
        plain) printf -v value %%q "$value" && COMPREPLY+=("$value") ;;
        esac
    done < <(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class Bash(BashComplete):
    """As click's, for words in which bash sees more than one."""

    source_template = BASH

    def source(self) -> str:
        """The script; click's own runs bash first, to ask for its version."""
        return ShellComplete.source(self)

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the cursor, and the one at it; a script of click's own sends them already taken apart."""
        if "COMP_LINE" not in os.environ:
            return super().get_completion_args()
        *words, last = split_arg_string(f"{os.environ['COMP_LINE']}x")  # one more letter: there is a last word
        return words[1:], last[:-1]

    def complete(self) -> str:
        args, incomplete = self.get_completion_args()
        items = self.get_completions(args, incomplete)
        if "COMP_LINE" in os.environ:
            items = [CompletionItem(behind_break(item.value, incomplete), item.type) for item in items]
        return "\n".join(map(self.format_completion, items))


class Fish(FishComplete):
    """As click's, whose script cuts values and descriptions at their first comma."""

    source_template = FishComplete.source_template.replace("string split", "string split --max 1")


def behind_break(value: str, incomplete: str) -> str:
    """What of `value` takes the place of that part of `incomplete` which bash sees as the word."""
    option = incomplete[: incomplete.find("=") + 1] if incomplete.startswith("-") else ""
    breaks = set(os.environ.get("COMP_WORDBREAKS", "")) - BLANKS_AND_QUOTES
    return f"{option}{value}"[1 + max((incomplete.rfind(one) for one in breaks), default=-1) :]


def register() -> None:
    """Let click answer bash and fish with our own."""
    add_completion_class(Bash)
    add_completion_class(Fish)


def script(shell: str, root: click.Command) -> str:
    """The script that `shell`, one of SHELLS, reads."""
    register()
    found = get_completion_class(shell)
    assert found is not None
    return found(root, {}, PROGRAM, COMPLETING).source()
