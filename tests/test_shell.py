"""A hint can be pasted into a shell as it stands, whatever the guest is called."""

from __future__ import annotations

import shlex

import click
import pytest

from vfioctl.cli.app import root_group
from vfioctl.shell import argument, word

NAMES = ["win11", "-win", "--help", "my 'own' $(guest)", "größe", "a;b"]


def parsed(line: str) -> dict[str, object]:
    """What the command line in a shell gives to its command."""
    command: click.Command = root_group()
    words = shlex.split(line)
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found
        command = found
    return command.make_context("vfioctl", words).params


@pytest.mark.parametrize("name", NAMES)
def test_a_guest_can_be_named_as_an_argument(name: str):
    assert parsed(f"enable {argument(name)}")["guest"] == name


@pytest.mark.parametrize("name", NAMES)
def test_a_guest_can_be_named_as_the_value_of_an_option(name: str):
    assert parsed(f"config set session end --guest {word(name)}")["guest"] == name


def test_a_plain_name_is_left_as_it_is():
    assert (word("win-11.x"), argument("win-11.x")) == ("win-11.x", "win-11.x")


def test_what_a_terminal_would_obey_is_shown_as_an_escape():
    assert "\x1b" not in argument("\x1b[31mred")
