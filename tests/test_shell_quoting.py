"""Quoting for the shell, judged by dash itself."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vfioctl.shell import call, quote

# What an argument of a program may hold: anything but NUL, and nothing that UTF-8 cannot carry.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)))


def printed(script: str) -> str:
    done = subprocess.run(["dash", "-c", script], capture_output=True, check=True, timeout=10)
    assert done.stderr == b""
    return done.stdout.decode()


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4))
@example(["-n", "it's", "$(reboot)", "`reboot`"])
@example(["a\nb\n", '"', "\\", "''"])
@example(["", "*", "~", "wïn 11 ゲスト"])
def test_dash_reads_back_exactly_what_was_quoted(values):
    script = f"show() {{ printf '%s\\036' \"$@\"; }}\n{call('show', *values)}"
    assert printed(script) == "".join(f"{value}\x1e" for value in values)


@settings(max_examples=50, deadline=None)
@given(TEXTS)
def test_a_quoted_value_survives_an_assignment(value):
    assert printed(f"x={quote(value)}\nprintf '%s' \"$x\"") == value


def test_a_nul_character_is_refused():
    with pytest.raises(ValueError, match="NUL"):
        quote("a\0b")
