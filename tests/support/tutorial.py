"""The tutorial's page: what it lets somebody type on the simulated machine, and how its output is compared."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from reference import ROOT

import vfioctl

PAGE = ROOT / "docs" / "tutorial" / "first-hand-off.md"
MACHINE = "single-gpu-nvidia-desktop"
PROMPT = "simulated# "
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


def typed(block: str) -> list[str]:
    """The commands of one block of the page."""
    return [line.removeprefix(PROMPT) for line in block.split("\n") if line.startswith(PROMPT)]


def said(text: str) -> list[tuple[str, str]]:
    """Each command at a prompt in `text`, with what stands below it."""
    parts = re.split(rf"^{PROMPT}", text, flags=re.MULTILINE)[1:]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


def as_installed(text: str, root: str) -> str:
    """`text` with the paths of the machine below `root`, and with those of an installation in /opt/vfioctl."""
    text = text.replace(root, "")
    text = text.replace(str(Path(vfioctl.__file__).parents[1]), "/opt/vfioctl/lib").replace(sys.prefix, "/opt/vfioctl")
    return re.sub(r"/opt/vfioctl/bin/python[\d.]*", "/opt/vfioctl/bin/python", text)


def timeless(text: str) -> str:
    """`text` without its times and dates, and without the widths that columns have for their sake."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE", text)
    text = re.sub(r"\d{8}T\d{6}-win11(-\d)? *", "ID ", text)  # a second hand-off in one second gets a number
    text = re.sub(r" +\d+\.\d+ s", " TIME", text)
    return re.sub(r"─+", "─", re.sub(r" {2,}", "  ", text))
