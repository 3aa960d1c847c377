"""What a person would type for a verb that a door has called, and the same once more with further words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest

from vfioctl.actions.caller import Call, Caller
from vfioctl.compose import compose
from vfioctl.verbs.typed import typed

SHELF = click.Command("fill", params=[
    click.Argument(["name"]), click.Option(["-n", "--node"], default="local"),
    click.Option(["--lock/--no-lock"]), click.Option(["--dry-run"], is_flag=True),
    click.Option(["--tag", "tags"], multiple=True), click.Option(["--on", "to_do"], flag_value="on"),
    click.Option(["--off", "to_do"], flag_value="off"), click.Option(["--size"], nargs=2),
    click.Option(["--pair", "pairs"], nargs=2, multiple=True),
])  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"name": "oak"}, ("oak",)),
        ({"name": "oak", "node": "tank"}, ("--node", "tank", "oak")),
        ({"name": "oak", "node": None, "dry_run": False}, ("oak",)),
        ({"name": "oak", "lock": True, "dry_run": True}, ("--lock", "--dry-run", "oak")),
        ({"name": "oak", "lock": False}, ("--no-lock", "oak")),
        ({"name": "oak", "tags": ["a", "b c"]}, ("--tag", "a", "--tag", "b c", "oak")),
        ({"name": "oak", "to_do": "off"}, ("--off", "oak")),
        ({"name": "oak", "size": [3, 4]}, ("--size", "3", "4", "oak")),
        ({"name": "oak", "pairs": [["a", "b"], ["c", "d"]]}, ("--pair", "a", "b", "--pair", "c", "d", "oak")),
        ({"name": "-oak", "node": "tank"}, ("--node", "tank", "--", "-oak")),
    ],
)
def test_each_parameter_becomes_its_words(parameters: dict[str, Any], words: tuple[str, ...]) -> None:
    assert typed("shelf fill", SHELF, parameters) == ("shelf", "fill", *words)


def test_further_words_stand_before_what_is_no_option(tmp_path: Path) -> None:
    call = Call(compose(str(tmp_path)), Caller(0), "shelf fill")
    call.typed = ("shelf", "fill", "--", "-oak tree")
    assert call.again("--yes") == "vfioctl shelf fill --yes -- '-oak tree'"


def test_a_call_without_a_command_line_is_named_by_its_verb(tmp_path: Path) -> None:
    assert Call(compose(str(tmp_path)), Caller(0), "shelf fill").again("--yes") == "vfioctl shelf fill --yes"
