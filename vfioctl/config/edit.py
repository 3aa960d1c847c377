"""Changes configuration files for the command line and keeps their comments. Not on the hook path (tomlkit)."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, cast

from vfioctl import files
from vfioctl.config.load import check_source
from vfioctl.config.schema import Setting, WrongValue, parse_text, settings, suggestion
from vfioctl.config.source import Problem, parse_source
from vfioctl.errors import ConfigError
from vfioctl.events.libvirt import check_guest_name
from vfioctl.log import plain
from vfioctl.ownership import secure
from vfioctl.typed import argument

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

    from vfioctl.paths import Paths
    from vfioctl.plugin.types import PluginInfo

MODE = 0o644  # `plan` and `config show` work unprivileged
DIRECTORY_MODE = 0o755

GUEST_FILE = """\
# Guest {guest}. vfioctl hands its devices over when it starts and takes them back when it stops.
# All settings: vfioctl config show --origin {shown}
"""


def set_setting(paths: Paths, guest: str | None, dotted: str, text: str, plugins: Mapping[str, PluginInfo]) -> Any:
    """Set what a person typed, checked against the schema first; the host file when `guest` is None. Return the value.

    Raises ConfigError (config.unknown, config.type, config.value, config.place …) with the file as it was.
    """
    file = paths.host_config if guest is None else _guest_file(paths, guest)
    value = _parse(file, dotted, text, plugins)
    document = _document(file)
    _assign(document, dotted.split("."), list(value) if isinstance(value, tuple) else value, file)
    source = parse_source(file, document.as_string().encode())
    if isinstance(source, Problem):
        raise source.error()
    problems = check_source(source, plugins, guest_file=guest is not None).problems
    for problem in problems:
        raise problem.error()
    secure(file, paths.root)
    _write(file, document)
    return value


def create_guest(paths: Paths, guest: str, values: Mapping[str, Any] | None = None) -> bool:
    """Make the file of `guest` with `values` (dotted path → value); False and untouched when there is one already.

    Raises Refused("guest.name"), ("config.writable"), OSError.
    """
    import tomlkit

    file = _guest_file(paths, guest)
    if os.path.lexists(file):
        return False
    document = tomlkit.parse(GUEST_FILE.format(guest=plain(guest), shown=argument(guest)))
    for dotted, value in (values or {}).items():
        _assign(document, dotted.split("."), list(value) if isinstance(value, tuple) else value, file)
    _make_directory(file)
    secure(file, paths.root)
    _write(file, document)
    return True


def remove_guest(paths: Paths, guest: str) -> bool:
    """Remove the file of `guest`; return whether there was one. Raises OSError."""
    file = _guest_file(paths, guest)
    existed = os.path.lexists(file)
    files.remove(file)
    if existed:
        files.sync_dir(os.path.dirname(file))
    return existed


def _guest_file(paths: Paths, guest: str) -> str:
    check_guest_name(guest)
    return paths.guest_config(guest)


def _parse(file: str, dotted: str, text: str, plugins: Mapping[str, PluginInfo]) -> Any:
    """`text` as a value of `dotted`, which may also be one key of a table setting."""
    known = settings(plugins)
    parent, _, _ = dotted.rpartition(".")
    setting = known.get(dotted) or _entry_of(known.get(parent))
    if setting is None:
        message = f"there is no such setting{suggestion(dotted, known)}"
        raise Problem("config.unknown", dotted, file, 0, message).error()
    try:
        return parse_text(setting, text)
    except WrongValue as wrong:
        raise Problem(wrong.code, dotted, file, 0, f"expected {wrong.expected}, found {text!r}").error() from None


def _entry_of(table: Setting | None) -> Setting | None:
    """The setting of one key of `table`."""
    if table is None or table.type != "table":
        return None
    return Setting(table.path, "str", "", table.summary, choices=table.choices)


def _document(file: str) -> TOMLDocument:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    source = parse_source(file, (text := files.read_text(file) or "").encode(errors="surrogateescape"))
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
    here[keys[-1]] = value


def _make_directory(file: str) -> None:
    files.make_private_dir(os.path.dirname(file), mode=DIRECTORY_MODE)


def _write(file: str, document: TOMLDocument) -> None:
    _make_directory(file)
    files.atomic_write(file, document.as_string(), mode=MODE)
