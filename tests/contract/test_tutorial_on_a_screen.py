"""The tutorial typed at a terminal of 80 x 24: what stands there is what the page shows, as far as 80 columns go."""

from __future__ import annotations

import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from screens import COLUMNS, screen
from tutorial import BLOCK, MACHINE, PAGE, PROMPT, as_installed, said, timeless, typed

from vfioctl.testing.pytest_plugin import can_mount

QUESTION = "[y/N]:"
UNASKED = re.compile(r"Nobody was asked whether .*\n.*--end-session\n")  # the page's output has no terminal
RULE = re.compile(r"^─+$", re.MULTILINE)
HEAD = re.compile(r"^.*\n─+$", re.MULTILINE)  # a table without room is shown row by row, and has none
MOMENT = re.compile(r"\d{8}T\d{6}|\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|\d+\.\d+|(?<=-win11)-\d")  # the last: two in a second
COLOURED = {
    "\x1b[32mexact": "what can be undone", "\x1b[31mnever": "what cannot", "\x1b[31merror:": "an error",
    "\x1b[33mwarning:": "a warning",
}  # fmt: skip
pytestmark = [
    pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed"),
    pytest.mark.skipif(not can_mount(), reason="/dev/fuse cannot be used here"),
]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """What stands there when all of the page has been typed, and no to the question; plain, and with escapes."""
    commands = [command for block in BLOCK.findall(PAGE.read_text()) for command in typed(block)]
    shell = (sys.executable, "-I", "-m", "vfioctl.testing.shell", MACHINE)
    with screen(shell, tmp_path_factory.mktemp("screen")) as terminal:
        terminal.ends_with(PROMPT)
        for command in commands:
            terminal.type(command)
            terminal.ends_with(PROMPT, QUESTION)
            if terminal.last().endswith(QUESTION):
                terminal.type("n")
                terminal.ends_with(PROMPT)
        yield terminal.shows(), terminal.shows(escapes=True)


def answers(text: str) -> list[tuple[str, str]]:
    """What each command says, on a screen, whose last prompt waits, or on the page."""
    found = re.search(r"below (\S+)\. Leave", text)
    whole = as_installed(text.removesuffix(PROMPT.rstrip()), found[1]) if found else text
    return said(whole)


def page() -> list[tuple[str, str]]:
    return [answer for block in BLOCK.findall(PAGE.read_text()) for answer in answers(block)]


def is_wide(output: str) -> bool:
    """Whether it is a table that 80 columns have no room for."""
    return any(len(rule) > COLUMNS for rule in RULE.findall(output))


def answered(there: str, expected: str) -> tuple[str, str]:
    """Both without the question that only a terminal asks, and without what is said where nobody could be asked."""
    if QUESTION not in there:
        return there, expected
    question, _, rest = there.partition("\n")
    assert question.endswith(f"{QUESTION} n")
    return rest, UNASKED.sub("", expected)


def words(text: str) -> Counter[str]:
    """Those of `text` but for dates and times, which two runs do not share."""
    return Counter(MOMENT.sub("", text).split())


def test_what_stands_on_the_screen_is_what_the_page_shows(shown: tuple[str, str]) -> None:
    for (command, there), (_, expected) in zip(answers(shown[0]), page(), strict=False):
        now, then = answered(there, expected)
        if not is_wide(then):
            assert timeless(now).strip() == timeless(then).strip(), command


def test_a_table_without_room_loses_no_word_at_80_columns(shown: tuple[str, str]) -> None:
    wide = [(there, expected) for (_, there), (_, expected) in zip(answers(shown[0]), page(), strict=False)
            if is_wide(expected)]  # fmt: skip
    assert len(wide) > 1
    for there, expected in wide:
        assert words(HEAD.sub("", expected)) - words(there) == Counter()
        assert not is_wide(there)


def test_states_and_errors_have_their_colours(shown: tuple[str, str]) -> None:
    missing = {meaning for escape, meaning in COLOURED.items() if escape not in shown[1]}
    assert not missing


def test_every_command_of_the_page_was_typed(shown: tuple[str, str]) -> None:
    assert [command for command, _ in answers(shown[0])] == [command for command, _ in page()]
