"""Every verb can be asked for through any door: it prompts for nothing, prints nothing, and looks at no terminal."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from reference import PLUGIN_DIRS, ROOT, SHIPPED

from vfioctl.cli.options import shared_options
from vfioctl.plugin.commands import EFFECTS
from vfioctl.verbs.load import SHARED, load, load_view, unsuited
from vfioctl.verbs.row import Row
from vfioctl.verbs.table import BUILT_IN

PACKAGE = ROOT / "vfioctl"
ROWS = (*BUILT_IN.rows, *SHIPPED.rows)
SOURCES = sorted([*(PACKAGE / "cli/commands").rglob("*.py"), *(PACKAGE / "actions").rglob("*.py"),
                  PACKAGE / "doors.py", *(file for place in PLUGIN_DIRS for file in place.rglob("*.py"))])  # fmt: skip
ATTRIBUTES = {"isatty", "geteuid"}  # of whatever they are asked
CALLS = {"click.echo", "click.secho", "click.confirm", "click.prompt", "click.confirmation_option", "ctx.exit", "print"}
# What a command still does by itself, by file, each with its reason. It may only become less.
EXEMPT = {"vfioctl/actions/states.py": {"geteuid"}}  # whether this process may do more than its caller


def forbidden(source: str) -> Iterator[str]:
    """What of the terminal the Python text `source` uses."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and (node.attr in ATTRIBUTES or ast.unparse(node) == "sys.stdin"):
            yield node.attr
        if isinstance(node, ast.Call) and ast.unparse(node.func) in CALLS:
            yield ast.unparse(node.func)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_command_prints_asks_or_looks_at_a_terminal(path: Path) -> None:
    found = set(forbidden(path.read_text(encoding="utf-8")))
    assert found == EXEMPT.get(str(path.relative_to(ROOT)), set()), "fewer: take it out of EXEMPT"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_no_parameter_asks_reads_the_environment_or_opens_a_file(row: Row) -> None:
    assert unsuited(load(row)) == ""


class Nameless(click.ParamType):
    """A type whose author forgot its name."""


@pytest.mark.parametrize(
    ("option", "why"),
    [
        (click.Option(["--name"], prompt=True), "--name asks by itself"),
        (click.Option(["--name"], envvar="NAME"), "--name reads the environment"),
        (click.Argument(["name"], type=click.File()), "name opens a file"),
        (click.Option(["--name"], type=Nameless()), "--name has a type without a name (Nameless.name)"),
        (click.Option(["--format", "image_format"]), "--format is an option of every verb"),
    ],
)
def test_a_command_that_not_every_door_can_call_is_found_out(option: click.Parameter, why: str) -> None:
    assert unsuited(click.Command("shelf", params=[option])).startswith(why)


def test_a_group_is_no_command() -> None:
    assert unsuited(click.Group("shelf")) == "it is a group of commands, and a row names one"


def test_the_options_that_the_terminal_adds_to_every_verb_are_known() -> None:
    assert {flag for option in shared_options() for flag in option.opts} == SHARED


OF_THIS_HOST = ("guest profile list", "ssh-key list")  # which keeps them itself
LISTS = [row for row in SHIPPED.rows if row.name.endswith(" list") and row.name not in OF_THIS_HOST]


@pytest.mark.parametrize("row", LISTS, ids=lambda row: row.name)
def test_every_list_of_a_plugin_asks_one_node_or_all(row: Row) -> None:
    """What lists something of one guest, which has to be named, asks its node."""
    params = load(row).params
    of_one = any(isinstance(param, click.Argument) and param.required for param in params)
    assert {"node", *(() if of_one else ("all_nodes",))} <= {param.name for param in params}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_is_whole(row: Row) -> None:
    assert row.effect in EFFECTS
    assert row.help.endswith(".")
    assert callable(load_view(row))


def test_the_search_finds_what_it_looks_for() -> None:
    source = "click.echo(1)\nctx.exit(2)\nsys.stdin.read()\nos.geteuid()\nsys.stdout.isatty()\nclick.confirm('x')\n"
    assert set(forbidden(source)) == {"click.echo", "ctx.exit", "stdin", "geteuid", "isatty", "click.confirm"}
