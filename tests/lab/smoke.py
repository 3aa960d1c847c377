"""The ring-3 smoke test: boots a real kernel with an IOMMU and a card, and runs the checks of inside/ in it.

    python -m tests.lab.smoke --venv DIR [--record FILE] [--json FILE] [--keep DIR] [--floor]

Prints one line a check. Exit status: 0 all passed, 1 a check failed or the machine died, 2 cannot run here.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import selectors
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from tests.lab import machine, record

MARK = "@lab "
BOOT_DEADLINE = 120.0
WHOLE_DEADLINE = 340.0
TAIL = 150
CANNOT_RUN = 2


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Run:
    """One boot: the vng process in a session of its own, its events, and its logs in `keep`."""

    def __init__(self, boot: machine.Boot, command: str, keep: str, patience: float) -> None:
        self.keep = keep
        self.patience = patience
        self.started = time.monotonic()
        self.booted = False
        self.stderr = open(os.path.join(keep, "console.log"), "wb")  # noqa: SIM115 -- closed in end()
        self.output = open(os.path.join(keep, "output.log"), "wb")  # noqa: SIM115 -- closed in end()
        self.child = subprocess.Popen(
            ["nice", "-n", "5", *boot.argv(command)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self.stderr, env=boot.environment(), start_new_session=True,
        )  # fmt: skip

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def events(self) -> Iterator[dict[str, Any]]:
        """What the script inside reports, until the machine ends. Raises TimeoutError at a deadline."""
        for line in self._lines():
            self.output.write(line)
            text = line.decode(errors="replace").strip()
            if text.startswith(MARK):
                self.booted = True
                yield json.loads(text.removeprefix(MARK))

    def _lines(self) -> Iterator[bytes]:
        stream = self.child.stdout
        assert stream
        os.set_blocking(stream.fileno(), False)
        selector = selectors.DefaultSelector()
        selector.register(stream, selectors.EVENT_READ)
        rest = b""
        while True:
            selector.select(self._left())
            chunk = stream.read()
            if chunk == b"":
                return
            *whole, rest = (rest + (chunk or b"")).split(b"\n")
            yield from (line + b"\n" for line in whole)

    def _left(self) -> float:
        deadline = (WHOLE_DEADLINE if self.booted else BOOT_DEADLINE) * self.patience
        left = deadline - self.seconds
        if left <= 0:
            what = "did not end" if self.booted else "did not boot"
            raise TimeoutError(f"The machine {what} within {deadline:.0f} s.")
        return left

    def end(self) -> None:
        """End what we started, by its own process group, and close the logs."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()
        if self.child.stdout:
            self.child.stdout.close()
        self.stderr.close()
        self.output.close()


def check_line(event: dict[str, Any]) -> str:
    word = {"passed": "ok  ", "failed": "FAIL", "skipped": "skip"}[event["verdict"]]
    return f"{word} {event['seconds']:7.2f} s  {event['name']}{': ' if event['said'] else ''}{event['said']}"


def collect(run: Run, result: dict[str, Any]) -> str | None:
    """Print the checks as they come and keep them in `result`; return why the run is worthless, or None."""
    try:
        for event in run.events():
            if event["event"] == "check":
                result["checks"].append(event)
                say(check_line(event))
            else:
                result[event["event"]] = event["data"]
    except TimeoutError as error:
        return str(error)
    finally:
        run.end()
    if "end" not in result:
        return "The machine ended before the checks did."
    failed = [check["name"] for check in result["checks"] if check["verdict"] == "failed"]
    return f"{len(failed)} checks failed: {', '.join(failed)}." if failed else None


def show_logs(keep: str) -> None:
    """Print the ends of the console and of what the script wrote."""
    for name in ("output.log", "console.log"):
        path = os.path.join(keep, name)
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.rstrip() for line in file if not line.startswith(MARK)]
        say(f"--- the end of {path}")
        for line in lines[-TAIL:]:
            say(line)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.smoke", description=__doc__.partition("\n")[0])
    parser.add_argument("--venv", default=sys.prefix, help="virtual environment with vfioctl and its plugins")
    parser.add_argument("--record", metavar="FILE", help="add a dated result to this page")
    parser.add_argument("--json", metavar="FILE", help="write the result here")
    parser.add_argument("--keep", metavar="DIR", help="where the logs go")
    parser.add_argument("--floor", action="store_true", help="a plain shell hook instead of vfioctl")
    parser.add_argument("--patience", type=float, default=1.0, help="multiplies the deadlines, on a busy computer")
    parser.add_argument("--packages", action="store_true", help="print the Debian packages it needs, and end")
    return parser.parse_args()


def inside_command(options: argparse.Namespace, checkout: str) -> str:
    """The command that runs in the machine: the interpreter of the virtual environment, isolated."""
    python = os.path.join(options.venv, "bin", "python")
    inside = os.path.join(checkout, "tests/lab/inside")
    first = ["sh", os.path.join(inside, "start.sh"), *machine.cached_places(options.venv, checkout), "--"]
    argv = [*first, python, "-I", "-B", inside, "--venv", options.venv, f"--patience={options.patience}"]
    return shlex.join([*argv, "--floor"] if options.floor else argv)


def run_smoke(options: argparse.Namespace, checkout: str, keep: str) -> int:
    kernel = machine.newest_kernel()
    vng = machine.find_vng(options.venv)
    assert kernel
    assert vng
    boot = machine.Boot(vng, kernel)
    result: dict[str, Any] = {
        "scenario": "floor" if options.floor else "smoke",
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": record.commit(checkout),
        "checks": [],
    }
    run = Run(boot, inside_command(options, checkout), keep, options.patience)
    trouble = collect(run, result)
    skipped = sum(check["verdict"] == "skipped" for check in result["checks"])
    verdict = trouble or ("passed" if not skipped else f"passed, {skipped} skipped for want of time")
    result |= {"seconds": round(run.seconds, 1), "verdict": verdict, "load": os.getloadavg()[1]}
    target = options.json or os.path.join(keep, "result.json")
    with open(target, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
    if options.record and not options.floor:
        record.add(options.record, result)
    if trouble:
        show_logs(keep)
    say(f"smoke: {verdict}; {len(result['checks'])} checks, {run.seconds:.0f} s; logs in {keep}")
    return 1 if trouble else 0


def main() -> int:
    options = arguments()
    if options.packages:
        say(" ".join(machine.PACKAGES))
        return 0
    options.venv = os.path.abspath(options.venv)
    checkout = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    obstacles = machine.obstacles(options.venv, checkout, needs_vfioctl=not options.floor)
    for obstacle in obstacles:
        say(f"smoke: cannot run here. {obstacle}")
    if obstacles:
        return CANNOT_RUN
    keep = options.keep or tempfile.mkdtemp(prefix="vfioctl-smoke-")
    os.makedirs(keep, exist_ok=True)
    return run_smoke(options, checkout, os.path.abspath(keep))


if __name__ == "__main__":
    sys.exit(main())
