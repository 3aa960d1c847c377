"""One file for a bug report: what doctor finds, what a start would do, what happened, without whose host it is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import vfioctl
from vfioctl import files
from vfioctl.actions.caller import NOTHING_CHANGED
from vfioctl.actions.doctor import doctor
from vfioctl.actions.history import history
from vfioctl.actions.plan import plan
from vfioctl.actions.redaction import Redactor
from vfioctl.actions.status import status
from vfioctl.config.load import managed_guests
from vfioctl.doctor.definitions import GUESTS, SUFFIX
from vfioctl.errors import Irregular, Refused, VfioctlError
from vfioctl.host.processor import processor_name
from vfioctl.host.readers import entries, text
from vfioctl.log import FILE
from vfioctl.result import Message, Result

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.paths import Paths

VERSION = 1
RUNS = 50
LOG_BYTES = 256 << 10  # of the end of the log
FIRST_USER, NOBODY = 1000, 65534  # login.defs(5)
FIELDS = 6  # passwd(5), counted by their colons


def report(call: Call, path: str, *, deep: bool = False) -> Result:
    """Write the report to the new file `path`, for its owner alone. Raises Refused("doctor.report_*")."""
    _must_be_free(path)
    redactor = Redactor(dict(_known(call)))
    content = redactor.value(_content(call, deep=deep))
    _write(path, json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n")
    data = {"file": os.path.abspath(path), "bytes": os.path.getsize(path), "redacted": redactor.counts()}
    said = [Message("Read it before you send it: a name that only you know may still be in it.")]
    if not call.administers:
        said.append(Message("Only root sees everything: what could not be read is left out."))
    return Result(data=data, messages=tuple(said))


def _content(call: Call, *, deep: bool) -> dict[str, Any]:
    found = doctor(call, deep=deep)
    return {
        "report": VERSION, "vfioctl": vfioctl.__version__, "as_root": call.administers, "host": _host(call),
        "doctor": found.data, "status": _asked(lambda: status(call)), "plans": list(_plans(call)),
        "history": _asked(lambda: history(call, limit=RUNS)), "log": _log(call.paths),
    }  # fmt: skip


def _host(call: Call) -> dict[str, Any]:
    host = call.host()
    system = files.read_text(call.paths.at("etc/os-release"), follow=True) or ""
    pretty = next((line for line in system.splitlines() if line.startswith("PRETTY_NAME=")), "")
    return {
        "system": pretty.partition("=")[2].strip('"'), "kernel": host.kernel_release(),
        "command_line": host.kernel_command_line(), "processor": processor_name(call.paths),
        "cards": [{"address": one.address, "identity": one.identity, "driver": one.driver, "group": one.iommu_group,
                   "boot_vga": one.boot_vga} for one in host.gpus()],
    }  # fmt: skip


def _asked(verb: Any) -> dict[str, Any]:
    """What a verb says, or why it says nothing: a report is for hosts on which something is wrong."""
    try:
        result: Result = verb()
    except VfioctlError as error:
        return {"error": {"code": error.code, "message": error.message}}
    return {**result.data, "errors": [{"code": one.code, "message": one.message} for one in result.errors],
            "messages": [one.text for one in result.messages]}  # fmt: skip


def _plans(call: Call) -> Iterator[dict[str, Any]]:
    """What a start of each managed guest would do, by libvirt's own file: the daemon may be what is wrong."""
    for guest in managed_guests(call.paths):
        xml = call.paths.at(GUESTS, f"{guest}{SUFFIX}")
        if os.access(xml, os.R_OK):
            yield {"guest": guest, **_asked(lambda guest=guest, xml=xml: plan(call, guest, xml))}
        else:
            yield {"guest": guest, "error": {"code": "domain.unreadable", "message": f"{xml} cannot be read."}}


def _log(paths: Paths) -> list[Any]:
    """The end of the log, entry by entry; a line that is none stays a text."""
    try:
        data = files.read_bytes(os.path.join(paths.log, FILE), foreign=True)
    except (OSError, Irregular):
        return []  # none yet, or none that this user may read
    lines = data[-LOG_BYTES:].decode("utf-8", "replace").splitlines()
    return [_entry(line) for line in (lines[1:] if len(data) > LOG_BYTES else lines)]


def _entry(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return line


# ---------------------------------------------------------------- whose it is


def _known(call: Call) -> Iterator[tuple[str, str]]:
    """The words that name people, guests and this host, each with what it is; later ones win."""
    paths = call.paths
    named = (text(paths.at(place)) for place in ("etc/hostname", "proc/sys/kernel/hostname"))
    yield from ((part, "host") for name in named if name for part in (name, name.partition(".")[0]))
    yield from ((name.removesuffix(SUFFIX), "guest") for name in entries(paths.at(GUESTS)) if name.endswith(SUFFIX))
    yield from ((guest, "guest") for guest in managed_guests(paths))
    past = _asked(lambda: history(call, limit=RUNS)).get("hand_offs", ())
    yield from ((run["guest"].rpartition(":")[2], "guest") for run in past if run["guest"])
    rows = (files.read_text(paths.at("etc/passwd"), follow=True) or "").splitlines()
    people = (row.split(":") for row in rows if row.count(":") >= FIELDS)
    yield from ((row[0], "user") for row in people if row[2].isdecimal() and FIRST_USER <= int(row[2]) < NOBODY)


# ---------------------------------------------------------------- the file


def _must_be_free(path: str) -> None:
    """Raise Refused before the work is done: a report overwrites nothing, not even what a link leads to."""
    if os.path.lexists(path):
        raise Refused(
            "doctor.report_exists", f"{path} is there already, and a report overwrites nothing.", state=NOTHING_CHANGED,
            hints=("Name another file, or remove that one.",),
        )  # fmt: skip


def _write(path: str, content: str) -> None:
    try:
        files.write_new(path, content)
    except FileExistsError:
        _must_be_free(path)
        raise
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: str, error: OSError) -> Refused:
    return Refused(
        "doctor.report_unwritable", f"{path} cannot be written: {error.strerror}.", state="There is no such file.",
        hints=("Name a file in a directory that is there, on a disk with room.",),
    )  # fmt: skip
