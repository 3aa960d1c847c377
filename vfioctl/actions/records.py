"""Our own records as rows for those who look: outcomes, hand-offs, stuck writes, pins. Changes nothing.

What is damaged is kept in `errors`, and what only root may read makes `hidden` true: neither hides the rest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vfioctl import files
from vfioctl.actions.facts import running
from vfioctl.actions.operations import row
from vfioctl.actions.visible_ledger import VisibleLedger
from vfioctl.config.load import managed_guests
from vfioctl.errors import VfioctlError
from vfioctl.frozen import asdict
from vfioctl.handoff import damaged, markers, notes
from vfioctl.handoff.in_use import starting, user
from vfioctl.handoff.outcome import read_lasts
from vfioctl.host.stuck import all_stuck
from vfioctl.result import Error, Message
from vfioctl.txn.journal import open_uuids, read_both

if TYPE_CHECKING:
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.txn.journal import Story


class Records:
    """What vfioctl has written down about this host."""

    def __init__(self, paths: Paths, host: Host) -> None:
        self.paths = paths
        self.host = host
        self.hidden = False
        self.hurt: dict[str, tuple[str, ...]] = {}  # what guests hold whose journal cannot be read
        self._errors: list[Error] = []

    @property
    def errors(self) -> tuple[Error, ...]:
        """What could not be read because it is damaged, each once."""
        return tuple(dict.fromkeys(self._errors))

    def messages(self) -> tuple[Message, ...]:
        """What is to be said about the rest."""
        text = "What was handed over, and how it ended, could not be read without root."
        return (Message(text, "warning", "state.unreadable"),) if self.hidden else ()

    def rows(self, found: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
        """The rows as far as they can be read: one damaged record must not hide the rest of the host."""
        rows = []
        try:
            for row in found:
                rows.append(row)
        except PermissionError:
            self.hidden = True
        except VfioctlError as error:
            self._keep(error)
        return rows

    def _keep(self, error: VfioctlError) -> None:
        self._errors.append(Error(error.code, error.message, error.state, error.hints))

    def stuck(self) -> list[dict[str, Any]]:
        """Every write that does not return."""
        return self.rows(asdict(device) for device in all_stuck(self.paths))

    def outcomes(self) -> list[dict[str, Any]]:
        """The last outcome of each guest that is managed or has something open: failures first, then the newest."""
        rows = self.rows(self._outcomes())
        return sorted(rows, key=lambda last: (last["ok"], -last["when"]))

    def _outcomes(self) -> Iterator[dict[str, Any]]:
        managed, unfinished = managed_guests(self.paths), open_uuids(self.paths)
        for last in read_lasts(self.paths):
            if last.guest in managed or last.uuid in unfinished:
                yield asdict(last)

    def hand_offs(self) -> list[dict[str, Any]]:
        """Every open journal, with the process that works on it."""
        return self.rows(self._hand_offs())

    def operations(self) -> list[dict[str, Any]]:
        """Every other open operation."""
        return self.rows(self._operations())

    def _operations(self) -> Iterator[dict[str, Any]]:
        for story in self.stories:
            if story.plan.operation != notes.HAND_OFF:
                yield row(self.paths, story)

    @cached_property
    def stories(self) -> tuple[Story, ...]:
        """Every open journal, read once. Raises PermissionError where they are hidden."""
        return tuple(self._stories())

    def _stories(self) -> Iterator[Story]:
        for uuid in open_uuids(self.paths):
            try:
                story = read_both(self.paths, uuid)
            except VfioctlError as error:
                self._keep(error)
                self.hurt[damaged.guest_of(self.paths, uuid)] = damaged.devices(self.paths, uuid)
                continue
            if story:
                yield story

    def _hand_offs(self) -> Iterator[dict[str, Any]]:
        for wrong in VisibleLedger(self.paths).readable()[1]:
            self._keep(wrong)
        busy = {item.uuid: item.pid for item in running(self.paths)}
        by_sh = markers.undone_by_sh(self.paths)
        for story in self.stories:
            if story.plan.operation == notes.HAND_OFF:
                uuid = story.plan.key
                pid, qemu = busy.get(uuid), user(story, self.host)
                yield {
                    "guest": story.plan.subject, "uuid": uuid, "standing": str(story.standing), "since": story.started,
                    "devices": list(notes.devices(story.plan)), "process": pid, "qemu": qemu,
                    "unfinished": not (pid or starting(self.paths, story)) and (
                        qemu is None or story.standing != "given"
                    ),
                    "undone_by_sh": uuid in by_sh, "version": story.version,
                }  # fmt: skip

    def pins(self) -> dict[str, tuple[str, ...]]:
        """The addresses that are pinned for each guest, by its name."""
        return {row["guest"]: tuple(row["devices"]) for row in self.rows(self._pins())}

    def _pins(self) -> Iterator[dict[str, Any]]:
        directory = os.path.dirname(self.paths.identity("x"))
        try:
            names = sorted(os.listdir(directory))
        except FileNotFoundError:
            return
        for name in names:
            try:
                record = files.read_json(os.path.join(directory, name))
                yield {"guest": str(record["guest"]), "devices": list(record["devices"])}
            except (ValueError, TypeError, KeyError):
                continue  # `plan` and a start say that it is damaged
