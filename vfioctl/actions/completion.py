"""The completion of a shell: put where it loads it by itself, and taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vfioctl.result import Message, Result
from vfioctl.setup import completion as place

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call


def put(call: Call, shell: str, script: str) -> Result:
    """Put `script` in its place: for every user where the caller administers the host. Raises Refused, OSError."""
    path = _file(call, shell)
    changed = place.install(path, script)
    text = f"{path}: {'written' if changed else 'it is as it should be'}. New shells complete vfioctl."
    why, hint = place.advice(call.paths, shell, path, own=not call.administers)
    told = (Message(text), *((Message(why, "warning", hint=hint),) if why else ()))
    return Result(data={"shell": shell, "script": script, "file": path}, messages=told)


def take(call: Call, shell: str) -> Result:
    """Take away what `put` has put there. Raises Refused for what it has not, OSError."""
    path = _file(call, shell)
    text = f"{path}: {'removed' if place.remove(path) else 'there is no such file'}."
    return Result(data={"shell": shell, "script": "", "file": path}, messages=(Message(text),))


def _file(call: Call, shell: str) -> str:
    if call.administers:
        return place.system_file(call.paths, shell)
    return place.own_file(call.caller.environment, shell)
