"""Changes of the configuration: one setting, a list, a whole file; each is checked before it takes effect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vfioctl import files
from vfioctl.actions.facts import must_be_managed, plugin_infos
from vfioctl.config.edit import add_to_setting, check_text, file_of, set_setting, unset_setting, write_text
from vfioctl.result import Error, Message, Result, refused

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.errors import ConfigError
    from vfioctl.plugin.types import PluginInfo


def set_value(call: Call, setting: str, value: str, guest: str | None = None, *, replace: bool = False) -> Result:
    """Set `setting` in the file of `guest`, else in the host's; with `replace` also a list that has further items."""
    plugins = _prepared(call, guest)
    kept = set_setting(call.composition.paths, guest, setting, value, plugins, replace=replace)
    return _changed(call, guest, setting, value=kept, said="is set")


def add(call: Call, setting: str, items: tuple[str, ...], guest: str | None = None) -> Result:
    """Add `items` to a list; a guest's begins with what is in force now."""
    plugins = _prepared(call, guest)
    kept = add_to_setting(call.composition.paths, guest, setting, items, plugins)
    return _changed(call, guest, setting, value=kept, said=f"is now {', '.join(kept)}")


def unset(call: Call, setting: str, items: tuple[str, ...] = (), guest: str | None = None) -> Result:
    """Remove `setting`, or only these `items` of it."""
    plugins = _prepared(call, guest)
    kept = unset_setting(call.composition.paths, guest, setting, items, plugins)
    said = "is no longer set" if kept is None else f"is now {', '.join(kept) or 'empty'}"
    return _changed(call, guest, setting, value=kept, said=said)


def text_of(call: Call, guest: str | None) -> str:
    """What stands in the file of `guest`, else in the host's, for an editor. Raises as every change does."""
    _prepared(call, guest)
    return files.read_text(file_of(call.composition.paths, guest), follow=True) or ""


def put_text(call: Call, guest: str | None, before: str, text: str | None) -> Result:
    """Keep `text`, which an editor made of `before`, only if it is right; what is wrong is kept beside the file."""
    paths, file = call.composition.paths, file_of(call.composition.paths, guest)
    data = {"file": file, "guest": guest, "changed": False}
    if text is None or text == before:
        return Result(data=data, messages=(Message(f"{file} is unchanged."),))
    if problems := check_text(paths, guest, text, _prepared(call, guest)):
        return refused(data, _rejected(file, text, tuple(problem.error() for problem in problems)))
    write_text(paths, guest, text)
    said = Message(f"{file} is changed; takes effect at the next start.")
    return Result(data={**data, "changed": True}, messages=(said,))


def _rejected(file: str, text: str, problems: tuple[ConfigError, ...]) -> tuple[Error, ...]:
    """The file stays as it was; what was typed is not lost."""
    kept = f"{file}.rejected"
    files.atomic_write(kept, text, mode=files.PRIVATE)
    hints = (f"Your text is kept in {kept}",)
    return tuple(Error(error.code, error.message, error.state, hints) for error in problems)


def _prepared(call: Call, guest: str | None) -> dict[str, PluginInfo]:
    """The plugins, whose settings may be changed too. Raises NotRoot, Refused("guest.unmanaged")."""
    call.need_trust()
    if guest is not None:
        must_be_managed(call, guest)
    return plugin_infos(call)


def _changed(call: Call, guest: str | None, setting: str, *, value: Any, said: str) -> Result:
    """The result of a changed file: what was done with the setting, where, and from when on it applies."""
    file = file_of(call.composition.paths, guest)
    kept = list(value) if isinstance(value, tuple) else value
    data: Mapping[str, Any] = {"file": file, "guest": guest, "path": setting, "value": kept}
    return Result(data=data, messages=(Message(f"{setting} {said} in {file}; takes effect at the next start."),))
