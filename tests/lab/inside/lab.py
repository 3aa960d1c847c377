"""The lab as a scenario sees it from inside: checks, and what only the outside can do (pictures, power, devices)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from tests.lab.inside.channel import Channel
from tests.lab.inside.checks import CheckError, expect

Then = Callable[["Lab"], None]


class Lab:
    """One scenario's run. `memory` is what it left before the last boot."""

    def __init__(self, channel: Channel, patience: float, memory: dict[str, Any]) -> None:
        self.channel = channel
        self.patience = patience
        self.memory = memory

    @contextmanager
    def check(self, name: str) -> Iterator[list[str]]:
        """One check: what the block appends is said beside its verdict. A failure is told, and ends the scenario."""
        said: list[str] = []
        started = time.monotonic()
        try:
            yield said
        except CheckError as failure:
            self._verdict(name, "failed", started, str(failure))
            raise
        self._verdict(name, "passed", started, "; ".join(said))

    def time(self, name: str, seconds: float) -> None:
        """A duration for the page of results."""
        self.channel.tell("time", name=name, seconds=round(seconds, 3))

    def note(self, text: str) -> None:
        self.channel.tell("note", text=text)

    def picture(self, name: str) -> None:
        """Keep what the card shows now, under `name`."""
        self.channel.ask("picture", name=name)

    def same_picture(self, name: str, deadline: float = 60.0) -> None:
        """Wait until the card shows what it showed in picture `name`, pixel by pixel."""
        answer = self.channel.ask("same_picture", name=name, deadline=deadline * self.patience)
        expect(truth=answer["same"], otherwise=f"the picture differs from {name!r}: {answer['difference']}")

    def plug(self, device: str) -> None:
        """Hot-plug a device (QEMU's -device argument); free root ports: port1, port2, port3. Function 0 comes last."""
        driver, _, rest = device.partition(",")
        self.qemu("device_add", driver=driver, **dict(option.split("=", 1) for option in rest.split(",")))

    def disk(self, name: str, mib: int = 256) -> None:
        """Make an empty disk outside, for a device that is plugged in with drive=NAME."""
        self.channel.ask("disk", name=name, mib=mib)

    def qemu(self, command: str, **arguments: Any) -> Any:
        """A command of QEMU's monitor (QMP), and what it returns."""
        return self.channel.ask("qemu", command=command, arguments=arguments)["return"]

    def power_cut(self, then: Then, *, append: str = "", devices: tuple[str, ...] = (), **memory: Any) -> NoReturn:
        """The plug is pulled. The machine then boots and goes on with `then`, a function of the same module."""
        self._boot("power_cut", then, append, devices, memory)

    def shut_down(self, then: Then, *, append: str = "", devices: tuple[str, ...] = (), **memory: Any) -> NoReturn:
        """`systemctl poweroff`, with everything that it stops; then as after a power cut."""
        self._boot("shut_down", then, append, devices, memory)

    def reset(self, then: Then, **memory: Any) -> NoReturn:
        """Sync, then what boots a machine that does not power off (sysrq s, u, b); then as after a power cut.

        https://docs.kernel.org/admin-guide/sysrq.html
        """
        self._boot("reset", then, "", (), memory)

    def _boot(
        self, how: str, then: Then, append: str, devices: tuple[str, ...], memory: dict[str, Any]
    ) -> NoReturn:  # fmt: skip
        self.channel.end(how, then=then.__name__, append=append, devices=list(devices), memory=memory)
        if how == "shut_down":
            os.execvp("systemctl", ["systemctl", "poweroff"])
        if how == "reset":
            os.sync()
            for key in "sub":
                with open("/proc/sysrq-trigger", "w", encoding="ascii") as trigger:
                    trigger.write(key)
        while True:  # the outside ends the machine
            time.sleep(1)

    def _verdict(self, name: str, verdict: str, started: float, said: str) -> None:
        seconds = round(time.monotonic() - started, 2)
        self.channel.tell("check", name=name, verdict=verdict, seconds=seconds, said=said)
