"""The tutorial shows what happens: its commands are run on the simulated machine, its output is compared.

--regenerate writes the output anew where more than its times and dates has changed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from reference import ROOT
from tutorial import BLOCK, MACHINE, PAGE, PROMPT, as_installed, timeless, typed

from vfioctl.testing.pytest_plugin import can_mount

MARK = "@@@"


def played(commands: list[str]) -> list[str]:
    """What each command of one shell on the simulated machine says; paths as on the machine."""
    script = "".join(f"printf '{MARK}\\n'\n{command} 2>&1\n" for command in commands) + f"printf '{MARK}\\n'; pwd\n"
    environ = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "TERM")}
    ended = subprocess.run(
        [sys.executable, "-I", "-m", "vfioctl.testing.shell", MACHINE, "sh", "-c", script],
        capture_output=True, text=True, check=False, env={**environ, "TZ": "UTC"}, timeout=100,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    *texts, root = ended.stdout.split(f"{MARK}\n")[1:]
    return [as_installed(text, root.strip()) for text in texts]


def rendered(page: str) -> str:
    """The page with the output that its commands have now."""
    commands = [command for block in BLOCK.findall(page) for command in typed(block)]
    answers = iter(played(commands))

    def block(found: re.Match[str]) -> str:
        parts = (f"{PROMPT}{command}\n{next(answers)}" for command in typed(found[1]))
        return f"```console\n{''.join(parts)}```"

    return BLOCK.sub(block, page)


def test_the_commands_say_what_the_tutorial_shows(request: pytest.FixtureRequest) -> None:
    if not can_mount():
        pytest.skip("/dev/fuse cannot be used here")
    page = PAGE.read_text()
    now = rendered(page)
    if request.config.getoption("--regenerate") and timeless(now) != timeless(page):
        PAGE.write_text(now)
        page = now
    assert timeless(now) == timeless(page)


PAGES = sorted((*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_of_shell_parses_and_names_scripts_that_are_there(page: Path) -> None:
    for script in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
        ended = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, f"{script}\n{ended.stderr}"
        for name in re.findall(r"(?:^|\s)(contrib/[\w./-]+)", script):
            assert (ROOT / name).exists(), f"{name} is not there"
