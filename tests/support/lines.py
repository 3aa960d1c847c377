"""Many command lines on a simulated machine in one process: what is imported for the first serves all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

from vfioctl.testing.host import FakeHost

RUN = """
import json, sys
from vfioctl.entry import dispatch
from vfioctl.testing.entry import composition
here = composition(sys.argv[1])
for words in json.loads(sys.argv[2]):
    print("$", *words, flush=True)
    status = dispatch(here, words)
    print(f"exit {status}", flush=True)
"""


Said = dict[tuple[str, ...], tuple[int, str]]


def run_lines(host: FakeHost, lines: Sequence[Sequence[str]], *, seconds: float) -> Said:
    """Status and everything said of each command line; an exception ends them, as a traceback of the last one.

    Raises AssertionError with what was said so far when they do not end in time.
    """
    argv = [sys.executable, "-I", "-c", RUN, host.root, json.dumps(lines)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/") as process:
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"not in {seconds} s: {process.communicate()[0]}") from None
    parts = [part.rpartition("exit ") for part in said.removeprefix("$ ").split("\n$ ")]
    if process.returncode or len(parts) != len(lines):
        raise AssertionError(said)
    return {tuple(words): (int(status), text) for words, (text, _, status) in zip(lines, parts, strict=True)}
