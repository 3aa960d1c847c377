"""Changes of the configuration: one setting, a list, a whole file; each is checked before it takes effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vfioctl import files
from vfioctl.actions.facts import must_be_managed, plugin_infos
from vfioctl.config.edit import add_to_setting, check_text, file_of, set_setting, unset_setting, write_text
from vfioctl.config.store import changing
from vfioctl.errors import Refused, VfioctlError
from vfioctl.result import Error, Message, Result, refused
from vfioctl.shell import word

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.plugin.types import PluginInfo


def set_value(call: Call, setting: str, value: str, guest: str | None = None, *, replace: bool = False) -> Result:
    """Set `setting` in the file of `guest`, else in the host's; with `replace` also a list that has further items."""
    plugins = _prepared(call, guest)
    with changing(call.paths):
        kept = set_setting(call.paths, guest, setting, value, plugins, replace=replace)
    return _changed(call, guest, setting, value=kept, said="is set")


def add(call: Call, setting: str, items: tuple[str, ...], guest: str | None = None) -> Result:
    """Add `items` to a list; a guest's begins with what is in force now."""
    plugins = _prepared(call, guest)
    with changing(call.paths):
        kept = add_to_setting(call.paths, guest, setting, items, plugins)
    return _changed(call, guest, setting, value=kept, said=f"is now {', '.join(kept)}")


def unset(call: Call, setting: str, items: tuple[str, ...] = (), guest: str | None = None) -> Result:
    """Remove `setting`, or only these `items` of it."""
    plugins = _prepared(call, guest)
    with changing(call.paths):
        kept = unset_setting(call.paths, guest, setting, items, plugins)
    said = "is no longer set" if kept is None else f"is now {', '.join(kept) or 'empty'}"
    return _changed(call, guest, setting, value=kept, said=said)


def text_of(call: Call, guest: str | None) -> str:
    """What stands in the file of `guest`, else in the host's, for an editor. Raises as every change does."""
    _prepared(call, guest)
    return _text(file_of(call.paths, guest))


def put_text(call: Call, guest: str | None, before: str, text: str | None) -> Result:
    """Keep `text`, which an editor made of `before`, only if it is right and nobody else has changed the file since.

    What does not come into the file is kept beside it. Raises as every change does.
    """
    file = file_of(call.paths, guest)
    data = {"file": file, "guest": guest, "changed": False}
    if text is None or text == before:
        return Result(data=data, messages=(Message(f"{file} is unchanged."),))
    try:
        errors = _exchanged(call, guest, before, text)
    except VfioctlError as error:
        error.hints = (_kept(file, text), *error.hints)
        raise
    if errors:
        kept = _kept(file, text)
        return refused(data, tuple(Error(one.code, one.message, one.state, (kept, *one.hints)) for one in errors))
    said = Message(f"{file} is changed; takes effect at the next start.")
    return Result(data={**data, "changed": True}, messages=(said,))


def _exchanged(call: Call, guest: str | None, before: str, text: str) -> tuple[VfioctlError, ...]:
    """Put `text` in the place of `before`, or say why it was not."""
    plugins, file = _prepared(call, guest), file_of(call.paths, guest)
    with changing(call.paths):
        if _text(file) != before:
            return (_outrun(file, guest),)
        problems = check_text(call.paths, guest, text, plugins)
        if not problems:
            write_text(call.paths, guest, text)
    return tuple(problem.error() for problem in problems)


def _outrun(file: str, guest: str | None) -> Refused:
    again = "vfioctl config edit" + (f" --guest {word(guest)}" if guest is not None else "")
    return Refused(
        "config.changed", f"{file} was changed by somebody else while you edited it.", state="Nothing was changed.",
        hints=(f"See what differs with: diff {word(file)} {word(_beside(file))}", f"Then edit it anew with: {again}"),
    )  # fmt: skip


def _kept(file: str, text: str) -> str:
    """Says where `text` is now: what was typed is not lost."""
    files.atomic_write(_beside(file), text, mode=files.PRIVATE)
    return f"Your text is kept in {_beside(file)}"


def _beside(file: str) -> str:
    return f"{file}.rejected"


def _text(file: str) -> str:
    return files.read_text(file, follow=True) or ""


def _prepared(call: Call, guest: str | None) -> dict[str, PluginInfo]:
    """The plugins, whose settings may be changed too. Raises NotRoot, Refused("guest.unmanaged")."""
    call.need_trust()
    if guest is not None:
        must_be_managed(call, guest)
    return plugin_infos(call)


def _changed(call: Call, guest: str | None, setting: str, *, value: Any, said: str) -> Result:
    """The result of a changed file: what was done with the setting, where, and from when on it applies."""
    file = file_of(call.paths, guest)
    kept = list(value) if isinstance(value, tuple) else value
    data: Mapping[str, Any] = {"file": file, "guest": guest, "path": setting, "value": kept}
    return Result(data=data, messages=(Message(f"{setting} {said} in {file}; takes effect at the next start."),))
