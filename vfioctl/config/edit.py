"""Changes configuration files for the command line and keeps their comments. Not on the hook path (tomlkit)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from vfioctl import files
from vfioctl.config.load import check_source, written
from vfioctl.config.plugins import problems_in
from vfioctl.config.schema import Setting, WrongValue, parse_text, settings
from vfioctl.config.source import Problem, Source, parse_source
from vfioctl.config.store import make_directory, write
from vfioctl.errors import ConfigError, Refused
from vfioctl.events.libvirt import check_guest_name
from vfioctl.log import plain
from vfioctl.ownership import secure
from vfioctl.shell import argument
from vfioctl.unknown import suggestion

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

    from vfioctl.config.schema import Configurable
    from vfioctl.paths import Paths

GUEST_FILE = """\
# Guest {guest}. vfioctl hands its devices over when it starts and takes them back when it stops.
# All settings: vfioctl config show --origin {shown}
"""


def set_setting(
    paths: Paths, guest: str | None, dotted: str, text: str, plugins: Mapping[str, Configurable], *,
    replace: bool = False,
) -> Any:
    """Set what a person typed, checked against the schema first; the host file when `guest` is None. Return the value.

    A list that would lose items is left alone unless `replace`. Raises ConfigError (config.unknown, config.type,
    config.value, config.place …), Refused("config.replaces"), with the file as it was.
    """
    file = file_of(paths, guest)
    setting, value = _parse(file, dotted, text, plugins)
    before = written(paths, guest, plugins).get(dotted)
    if setting.type == "list" and before and not replace and (lost := set(before.value) - set(value)):
        raise _replaces(dotted, before.origin, sorted(lost), text, guest)
    return _put(paths, guest, dotted, value, plugins)


def add_to_setting(
    paths: Paths, guest: str | None, dotted: str, texts: Iterable[str], plugins: Mapping[str, Configurable]
) -> tuple[str, ...]:
    """Add what a person typed to the list `dotted`, beginning with what is in force now. Return the list.

    Raises as `set_setting`, and ConfigError("config.type") for what is no list.
    """
    file = file_of(paths, guest)
    setting, value = _parse(file, dotted, ",".join(texts), plugins)
    _must_be_list(setting, dotted, file)
    before = written(paths, guest, plugins).get(dotted)
    whole = tuple(dict.fromkeys((*(before.value if before else ()), *value)))
    _put(paths, guest, dotted, whole, plugins)
    return whole


def unset_setting(
    paths: Paths, guest: str | None, dotted: str, texts: Sequence[str], plugins: Mapping[str, Configurable]
) -> Any:
    """Remove `dotted` from the file, or only the items `texts` from that list. Return what the file says of it then.

    Raises Refused("config.unset") when the file says nothing of it, ConfigError as `set_setting`.
    """
    file = file_of(paths, guest)
    now = check_source(source_of(file, document(file)), plugins, guest_file=guest is not None).values.get(dotted)
    if not texts:
        _known(file, dotted, plugins)
        if now is None:
            raise Refused("config.unset", f"{file} does not set {dotted}.", state="Nothing was changed.")
        return _put(paths, guest, dotted, None, plugins)
    setting, value = _parse(file, dotted, ",".join(texts), plugins)
    _must_be_list(setting, dotted, file)
    if absent := [item for item in value if item not in (now.value if now else ())]:
        message = f"{dotted} in {file} does not have {', '.join(absent)}."
        raise Refused("config.unset", message, state="Nothing was changed.")
    return _put(paths, guest, dotted, tuple(item for item in now.value if item not in value) if now else (), plugins)


def check_text(paths: Paths, guest: str | None, text: str, plugins: Mapping[str, Configurable]) -> tuple[Problem, ...]:
    """What is wrong with `text` as the whole file of `guest`, or as the host file."""
    source = parse_source(file_of(paths, guest), text.encode(errors="surrogateescape"))
    if isinstance(source, Problem):
        return (source,)
    return (*check_source(source, plugins, guest_file=guest is not None).problems, *problems_in(source, plugins))


def write_text(paths: Paths, guest: str | None, text: str) -> str:
    """Make `text`, which was checked, the whole file; return its path. Raises Refused("config.writable"), OSError."""
    file = file_of(paths, guest)
    secure(file, paths.root)
    write(file, text)
    return file


def _put(paths: Paths, guest: str | None, dotted: str, value: Any, plugins: Mapping[str, Configurable]) -> Any:
    """Write `value` as `dotted`, None: remove it; nothing is written when the file would be wrong then."""
    file = file_of(paths, guest)
    changed = document(file)
    if value is None:
        _remove(changed, dotted.split("."))
    else:
        _assign(changed, dotted.split("."), value, file)
    source = source_of(file, changed)
    named = (problem for problem in problems_in(source, plugins) if problem.path == dotted)
    for problem in (*check_source(source, plugins, guest_file=guest is not None).problems, *named):
        raise problem.error()
    secure(file, paths.root)
    write(file, changed.as_string())
    return value


def source_of(file: str, changed: TOMLDocument) -> Source:
    """The file as it would be read once it is written. Raises ConfigError."""
    source = parse_source(file, changed.as_string().encode())
    if isinstance(source, Problem):
        raise source.error()
    return source


def _replaces(dotted: str, origin: str, lost: list[str], text: str, guest: str | None) -> Refused:
    of = f" --guest {argument(guest)}" if guest is not None else ""
    return Refused(
        "config.replaces", f"{dotted} is a list that has {', '.join(lost)} too ({origin}); this would drop that.",
        state="Nothing was changed.",
        hints=(f"Add to it with: vfioctl config add {dotted} {argument(text)}{of}",
               f"Replace it with: vfioctl config set --replace {dotted} {argument(text)}{of}"),
    )  # fmt: skip


def _must_be_list(setting: Setting, dotted: str, file: str) -> None:
    if setting.type != "list":
        raise Problem("config.type", dotted, file, 0, f"is not a list, but {setting.expected}").error()


def create_guest(paths: Paths, guest: str, values: Mapping[str, Any] | None = None) -> bool:
    """Make the file of `guest` with `values` (dotted path → value); False and untouched when there is one already.

    Raises Refused("guest.name"), ("config.writable"), OSError.
    """
    file = _guest_file(paths, guest)
    if os.path.lexists(file):
        return False
    text = new_guest_text(paths, guest, values)
    make_directory(file)
    secure(file, paths.root)
    write(file, text)
    return True


def new_guest_text(paths: Paths, guest: str, values: Mapping[str, Any] | None = None) -> str:
    """The file of a new `guest` with `values` (dotted path → value). Raises Refused("guest.name")."""
    import tomlkit

    file = _guest_file(paths, guest)
    made = tomlkit.parse(GUEST_FILE.format(guest=plain(guest), shown=argument(guest)))
    for dotted, value in (values or {}).items():
        _assign(made, dotted.split("."), value, file)
    return made.as_string()


def with_value(file: str, text: str, dotted: str, value: Any) -> str:
    """`text`, which is that of `file`, with `value` as `dotted`; comments stay. Raises ConfigError."""
    changed = _parsed(file, text)
    _assign(changed, dotted.split("."), value, file)
    return changed.as_string()


def remove_guest(paths: Paths, guest: str) -> bool:
    """Remove the file of `guest`; return whether there was one. Raises OSError."""
    file = _guest_file(paths, guest)
    existed = os.path.lexists(file)
    files.remove(file)
    if existed:
        files.sync_dir(os.path.dirname(file))
    return existed


def file_of(paths: Paths, guest: str | None) -> str:
    """The path of the file of `guest`, or of the host's. Raises Refused("guest.name")."""
    return paths.host_config if guest is None else _guest_file(paths, guest)


def _guest_file(paths: Paths, guest: str) -> str:
    check_guest_name(guest)
    return paths.guest_config(guest)


def _known(file: str, dotted: str, plugins: Mapping[str, Configurable]) -> Setting:
    """The setting `dotted`, which may also be one key of a table setting."""
    known = settings(plugins)
    setting = known.get(dotted) or _entry_of(known.get(dotted.rpartition(".")[0]))
    if setting is None:
        message = f"there is no such setting{suggestion(dotted, known)}"
        raise Problem("config.unknown", dotted, file, 0, message).error()
    return setting


def _parse(file: str, dotted: str, text: str, plugins: Mapping[str, Configurable]) -> tuple[Setting, Any]:
    """The setting `dotted`, and `text` as its value."""
    setting = _known(file, dotted, plugins)
    try:
        return setting, parse_text(setting, text)
    except WrongValue as wrong:
        raise Problem(wrong.code, dotted, file, 0, f"expected {wrong.expected}, found {text!r}").error() from None


def _entry_of(table: Setting | None) -> Setting | None:
    """The setting of one key of `table`."""
    if table is None or table.type != "table":
        return None
    return Setting(table.path, "str", "", table.summary, choices=table.choices)


def document(file: str) -> TOMLDocument:
    """The file `file` with its comments, to be changed; empty where there is none. Raises ConfigError."""
    return _parsed(file, files.read_text(file, follow=True) or "")


def _parsed(file: str, text: str) -> TOMLDocument:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    source = parse_source(file, text.encode(errors="surrogateescape"))
    if isinstance(source, Problem):
        raise source.error()
    try:
        return tomlkit.parse(text)
    except (TOMLKitError, ValueError) as error:
        raise ConfigError("config.syntax", f"{file}: expected TOML: {error}.") from None


def _assign(document: TOMLDocument, keys: list[str], value: Any, file: str) -> None:
    import tomlkit

    here: MutableMapping[str, Any] = document
    for key in keys[:-1]:
        if key not in here:
            here[key] = tomlkit.table()
        here = cast("MutableMapping[str, Any]", here[key])
        if not isinstance(here, MutableMapping):
            raise ConfigError("config.type", f"{file}: {'.'.join(keys)}: expected {key} to be a table.")
    here[keys[-1]] = list(value) if isinstance(value, tuple) else value  # tomlkit knows no tuples


def _remove(document: TOMLDocument, keys: list[str]) -> None:
    """Remove the last of `keys`, and with it each table that holds nothing more."""
    tables: list[MutableMapping[str, Any]] = [document]
    for key in keys[:-1]:
        tables.append(cast("MutableMapping[str, Any]", tables[-1][key]))
    for table, key in zip(reversed(tables), reversed(keys), strict=True):
        del table[key]
        if table:
            return
