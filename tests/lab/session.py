"""A running lab machine and the talk with what runs inside: orders, its questions, its verdicts.

Owns the files of one run (in `keep`) and the QEMU process; it is ended whatever happens.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.lab import pictures
from tests.lab.commands import tail
from tests.lab.errors import Hung, LabError
from tests.lab.line import Gone, Line
from tests.lab.machine import Machine
from tests.lab.process import Qemu
from tests.lab.qmp import Qmp

BOOT = 150.0
RESUME = 60.0
POWER_OFF = 150.0
GRACE = 45.0  # what the inside has to tell its logs after its own deadline
SILENCE = 90.0  # the inside says every few seconds that it lives
SERIAL_TAIL = 30
STILL = 1.0
QUESTIONS = ("picture", "same_picture", "still_picture", "disk", "qemu")

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Order:
    """A function inside, and how long it may take."""

    module: str
    body: str
    deadline: float
    patience: float
    memory: dict[str, Any]

    def message(self) -> Event:
        return {"module": self.module, "body": self.body, "deadline": self.deadline, "patience": self.patience,
                "memory": self.memory}  # fmt: skip


class Session:
    """One machine from start to end, over any number of boots; use it in a `with` block."""

    def __init__(self, machine: Machine, keep: str, pidfile: str, listen: Callable[[Event], None]) -> None:
        self.machine = machine
        self.keep = keep
        self.pidfile = pidfile
        self.listen = listen
        self.pictures: dict[str, pictures.Picture] = {}
        self.qemu: Qemu | None = None
        self.line: Line | None = None
        self.qmp: Qmp | None = None

    def __enter__(self) -> Session:
        os.makedirs(self.keep, exist_ok=True)
        self.sockets = tempfile.mkdtemp(prefix="vfioctl-lab-")  # short: a socket's path has 107 bytes
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.sockets, ignore_errors=True)

    def run(self, order: Order) -> Event:
        """Start the machine, give the order, follow it over every boot; the event that ended it."""
        self.start(order.patience)
        while True:
            last = self.follow(order)
            if last["event"] == "end":
                return last
            order = self.boot_again(last, order)

    def start(self, patience: float) -> None:
        self.line = Line(os.path.join(self.sockets, "line"))
        self.qmp = Qmp(os.path.join(self.sockets, "qmp"))
        machine = replace(self.machine, sockets=self.sockets)
        self.qemu = Qemu(machine.argv(), os.path.join(self.keep, "qemu.log"), self.pidfile)
        try:
            self.qmp.open(RESUME * patience)
            self.line.accept(RESUME * patience)
            if machine.state:
                self.qmp.go_on(RESUME * patience)
            else:
                self._booted(BOOT * patience)
        except Gone:
            raise LabError(f"The machine did not start. {self.qemu.why_it_ended()}") from None

    def _booted(self, deadline: float) -> None:
        assert self.line
        try:
            self.line.receive(time.monotonic() + deadline)
        except TimeoutError:
            raise LabError(f"The machine did not boot within {deadline:.0f} s.\n{self.serial_tail()}") from None
        except Gone as gone:
            raise LabError(f"{gone}\n{self.serial_tail()}") from None

    def follow(self, order: Order) -> Event:
        """Give it, answer its questions, pass on what it tells; the event that ended this boot's part."""
        assert self.line
        self.line.send(order.message())
        until = time.monotonic() + order.deadline + GRACE * order.patience
        while True:
            silence = SILENCE * order.patience
            try:
                event = self.line.receive(min(until, time.monotonic() + silence))
            except TimeoutError:
                raise self._hung(order, silence, late=time.monotonic() >= until) from None
            except Gone:
                assert self.qemu
                raise LabError(f"The machine ended. {self.qemu.why_it_ended()}\n{self.serial_tail()}") from None
            self.note(event)
            kind = event["event"]
            if kind in {"end", "power_cut", "shut_down", "reset"}:
                return event
            if kind == "done":
                raise LabError(f"No verdict, but an end with status {event['status']}.\n{self.serial_tail()}")
            if kind in QUESTIONS:
                self.line.send(self.answer(event))
            elif kind == "log":
                self._keep(f"{event['name']}.txt", event["text"].encode())
            elif kind != "alive":
                self.listen(event)

    def _hung(self, order: Order, silence: float, *, late: bool) -> Hung:
        """The error, after everything that shows why was kept."""
        assert self.qmp
        with contextlib.suppress(LabError):  # QEMU may hang too
            for look in ("first", "second"):
                self._keep(f"registers-{look}.txt", self.qmp.registers().encode())
            self._keep_picture("hung")
        why = f"No end after {order.deadline:.0f} s" if late else f"Not a word for {silence:.0f} s"
        return Hung(f"{why}: it hangs.\n{self.serial_tail()}")

    def wait_done(self, patience: float) -> None:
        """Until the agent waits for the next order: the machine may be saved then."""
        assert self.line
        self.line.receive(time.monotonic() + RESUME * patience)

    def answer(self, question: Event) -> Event:
        """The answer to a question from inside; what QEMU refuses is told there, and fails the scenario."""
        asked: dict[str, Callable[[Event], Event]] = {
            "picture": self._picture, "same_picture": self._same_picture, "still_picture": self._still_picture,
            "disk": self._disk, "qemu": self._qemu,
        }  # fmt: skip
        try:
            return asked[question["event"]](question)
        except Gone:
            raise
        except LabError as error:
            return {"error": str(error)}

    def _picture(self, question: Event) -> Event:
        self.pictures[question["name"]] = self._keep_picture(question["name"])
        return {}

    def _same_picture(self, question: Event) -> Event:
        """Polls, since a screen is not drawn at once."""
        wanted = self.pictures[question["name"]]
        until = time.monotonic() + question["deadline"]
        while difference := pictures.difference(wanted, self.look()):
            if time.monotonic() > until:
                self._keep_picture(f"{question['name']}-not")
                break
            time.sleep(0.3)
        return {"same": not difference, "difference": difference}

    def _still_picture(self, question: Event) -> Event:
        """Waits for one that does not change, and shows something: an X server is black before its greeter draws."""
        before = self.look()
        equal_since = time.monotonic()
        until = equal_since + BOOT
        while time.monotonic() < equal_since + STILL:
            time.sleep(0.3)
            now = self.look()
            if now != before or (pictures.is_empty(now) and not question.get("may_be_empty")):
                before, equal_since = now, time.monotonic()
            if time.monotonic() > until:
                self._keep_picture("restless")
                raise LabError("The picture never stood still, or showed nothing.")
        self._keep_picture("settled")
        return {}

    def _disk(self, question: Event) -> Event:
        """An empty disk, which a device can be plugged in with as drive=NAME; it ends with this machine."""
        assert self.qmp
        path = os.path.join(self.sockets, f"{question['name']}.raw")
        with open(path, "wb") as file:
            file.truncate(question["mib"] << 20)
        self.qmp.execute(
            "blockdev-add", **{"driver": "raw", "node-name": question["name"],
                               "file": {"driver": "file", "filename": path}},
        )  # fmt: skip
        return {}

    def _qemu(self, question: Event) -> Event:
        assert self.qmp
        return {"return": self.qmp.execute(question["command"], **question["arguments"])}

    def look(self) -> pictures.Picture:
        assert self.qmp
        path = os.path.join(self.sockets, "picture.ppm")
        self.qmp.picture(path)
        return pictures.read(path)

    def boot_again(self, last: Event, order: Order) -> Order:
        """After the power was cut, or the machine has shut down or been reset: a cold boot of the same disk."""
        self.listen({"event": "note", "text": f"{last['event'].replace('_', ' ')}, then a cold boot"})
        if last["event"] == "reset":
            self._booted(BOOT * order.patience)
        else:
            self._started_again(last, order.patience)
        return replace(order, body=last["then"], memory=last["memory"])

    def _started_again(self, last: Event, patience: float) -> None:
        assert self.qemu
        assert self.qmp
        if last["event"] == "power_cut":
            self.qmp.quit()
        self.qemu.wait(POWER_OFF * patience)
        self.stop()
        self.machine = replace(
            self.machine, state="", append=last["append"], devices=tuple(last["devices"])
        )  # fmt: skip
        self.start(patience)

    def stop(self) -> None:
        """End QEMU, if it still runs, and keep its serial log."""
        if self.qemu:
            self.qemu.end()
        for end in (self.line, self.qmp and self.qmp.line):
            if end:
                end.close()
                with contextlib.suppress(FileNotFoundError):  # somebody cleaned /tmp
                    os.unlink(end.path)
        self.qemu = self.line = self.qmp = None
        serial = os.path.join(self.sockets, "serial.log")
        if os.path.exists(serial):
            with open(serial, "rb") as file, open(os.path.join(self.keep, "serial.log"), "ab") as kept:
                shutil.copyfileobj(file, kept)
            os.unlink(serial)

    def serial_tail(self) -> str:
        path = os.path.join(self.sockets, "serial.log")
        said = tail(path, SERIAL_TAIL) if os.path.exists(path) else ""
        return f"The end of its serial console:\n{said}" if said else "It wrote nothing on its serial console."

    def note(self, event: Event) -> None:
        if event["event"] not in {"log", "alive"}:
            self._keep("events.jsonl", json.dumps(event).encode() + b"\n")

    def _keep(self, name: str, data: bytes) -> None:
        with open(os.path.join(self.keep, name), "ab") as file:
            file.write(data)

    def _keep_picture(self, name: str) -> pictures.Picture:
        picture = self.look()
        with open(os.path.join(self.keep, f"{name}.png"), "wb") as file:
            file.write(pictures.png(picture))
        return picture
