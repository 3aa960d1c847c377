"""Who cannot be asked is told the command line that does not ask: all that was asked for, and made in one place."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from reference import PLUGIN_DIRS, ROOT, SHIPPED

from vfioctl.actions.caller import Call, Caller
from vfioctl.compose import compose
from vfioctl.verbs.load import load
from vfioctl.verbs.row import Row
from vfioctl.verbs.table import BUILT_IN
from vfioctl.verbs.typed import typed

CHANGING = [row for row in (*BUILT_IN.rows, *SHIPPED.rows) if row.effect != "read" and row.is_open]
ASKING = [row for row in CHANGING if any("--yes" in param.opts for param in load(row).params)]
PACKAGE = ROOT / "vfioctl"
SOURCES = sorted(
    file for place in (PACKAGE / "actions", PACKAGE / "cli/commands", *PLUGIN_DIRS) for file in place.rglob("*.py")
    if file.name != "caller.py"
)  # fmt: skip


def given(param: click.Parameter) -> Any:
    """Some value for `param`, as a door has it."""
    if param.name == "yes":
        return False
    if param.nargs != 1 or getattr(param, "multiple", False):
        return ["one", "two words"]
    if isinstance(param, click.Option) and param.is_flag:
        return param.flag_value if not param.is_bool_flag else True
    return f"-{param.name}'s value"


def parsed(command: click.Command, words: list[str]) -> dict[str, Any]:
    """What click reads of the command line, before it judges the values."""
    options, left, _ = command.make_parser(click.Context(command)).parse_args(words)
    assert left == []
    return {name: list(value) if isinstance(value, list | tuple) else value for name, value in options.items()}


@pytest.mark.parametrize("row", CHANGING, ids=lambda row: row.name)
def test_a_verb_is_asked_for_once_more_with_every_parameter(row: Row, tmp_path: Path) -> None:
    command = load(row)
    parameters = {str(param.name): given(param) for param in command.params}
    call = Call(compose(str(tmp_path)), Caller(0), row.name)
    call.typed = typed(row.name, command, parameters)
    agrees = {"yes": True} if row in ASKING else {}
    words = shlex.split(call.again(*(["--yes"] if agrees else [])))
    assert words[: len(row.name.split()) + 1] == ["vfioctl", *row.name.split()]
    assert parsed(command, words[len(row.name.split()) + 1 :]) == {**parameters, **agrees}


def by_hand(source: str) -> Iterator[str]:
    """Strings that agree in the name of a person; neither declarations of the option nor documentation."""
    tree = ast.parse(source)
    said = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    declared = [part for node in calls if ast.unparse(node.func) == "click.option" for part in node.args]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and "--yes" in str(node.value) and node not in (*said, *declared):
            yield str(node.value)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_verb_writes_the_command_line_that_agrees_by_hand(path: Path) -> None:
    assert list(by_hand(path.read_text(encoding="utf-8"))) == []


def test_the_search_finds_a_command_line_that_agrees() -> None:
    source = '"""With --yes."""\nclick.option("--yes", is_flag=True)\nagain = f"vfioctl pool delete {name} --yes"\n'
    assert list(by_hand(source)) == [" --yes"]
