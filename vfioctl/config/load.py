"""The settings of one guest out of flags, environment, guest file, host file and defaults. Reads; never writes a file.

Precedence in that order; every value knows where it came from. A wrong file: dotted path, file, line, expectation.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.config.model import GuestConfig
from vfioctl.config.schema import SETTINGS, VARIABLE, Setting, WrongValue, check, join, parse_text, settings
from vfioctl.config.source import Problem, Source, read_source
from vfioctl.errors import Refused
from vfioctl.events.libvirt import check_guest_name
from vfioctl.frozen import fields, frozen
from vfioctl.limits import Limits

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.config.schema import Configurable
    from vfioctl.errors import ConfigError
    from vfioctl.paths import Paths

OWN_VARIABLES = ("VFIOCTL_FORMAT", "VFIOCTL_CACHE", "VFIOCTL_SHARD")  # of the command line, of contrib/
MOST = 100  # problems of one file that are looked for
NOTHING: Mapping[str, Any] = {}
SECTIONS = {setting.path.partition(".")[0] for setting in SETTINGS if "." in setting.path}


@frozen
class Value:
    """A checked value and where it came from."""

    value: Any
    origin: str


@frozen
class Layer:
    """What one source says, by dotted path, and what is wrong with it. Later layers win."""

    values: Mapping[str, Value]
    problems: tuple[Problem, ...] = ()


def load_guest(
    paths: Paths, guest: str, plugins: Mapping[str, Configurable], *, environment: Mapping[str, str] = NOTHING,
    flags: Mapping[str, Any] = NOTHING,
) -> GuestConfig:  # fmt: skip
    """The settings of `guest`; files that are absent say nothing. `flags` maps dotted paths to values, None: not given.

    Raises ConfigError (config.*) at anything wrong, Refused("config.writable"), ("guest.name").
    """
    known = settings(plugins)
    layers = _layers(paths, guest, plugins, environment, flags)
    problems = [problem for layer in layers for problem in layer.problems]
    if problems:
        raise _first_of(problems)
    return _guest_config(guest, plugins, _merge(known, layers))


def problems_of(
    paths: Paths, guest: str | None, plugins: Mapping[str, Configurable]
) -> tuple[Problem, ...]:  # fmt: skip
    """Everything wrong in the host file and, when given, the file of `guest`. Raises Refused("config.writable")."""
    found = [_file_layer(paths, paths.host_config, plugins, guest_file=False)]
    if guest is not None:
        check_guest_name(guest)
        found.append(_file_layer(paths, paths.guest_config(guest), plugins, guest_file=True))
    return tuple(problem for layer in found for problem in layer.problems)


def written(paths: Paths, guest: str | None, plugins: Mapping[str, Configurable]) -> dict[str, Value]:
    """What the host file and, when given, the file of `guest` say, by dotted path; the guest's word wins.

    Raises as load_guest does.
    """
    layers = [_file_layer(paths, paths.host_config, plugins, guest_file=False)]
    if guest is not None:
        check_guest_name(guest)
        layers.append(_file_layer(paths, paths.guest_config(guest), plugins, guest_file=True))
    if problems := [problem for layer in layers for problem in layer.problems]:
        raise _first_of(problems)
    return {path: value for layer in layers for path, value in layer.values.items()}


def unknown_variables(environment: Mapping[str, str], plugins: Mapping[str, Configurable]) -> Iterator[str]:
    """A clause for each VFIOCTL_ variable that sets nothing: its name, and the one that was probably meant."""
    known = {*(setting.variable for setting in settings(plugins).values()), *OWN_VARIABLES}
    for name in sorted(environment):
        if name.startswith(VARIABLE) and name not in known:
            yield f"{name} sets nothing{_near(name, known).rstrip('?')}"


def _near(name: str, known: Iterable[str]) -> str:
    from vfioctl.unknown import suggestion  # a start whose settings are right does without

    return suggestion(name, known)


def named_devices(paths: Paths, guest: str) -> tuple[str, ...]:
    """The addresses that the file of `guest` adds to its hostdevs; a file that is wrong or hidden adds none here."""
    try:
        check_guest_name(guest)
        said = _file_layer(paths, paths.guest_config(guest), NOTHING, guest_file=True).values
    except Refused:
        return ()
    return tuple(address for name in ("devices", "include") if name in said for address in said[name].value)


def managed_guests(paths: Paths) -> tuple[str, ...]:
    """The guests that have a file, sorted."""
    try:
        names = os.listdir(paths.guest_configs)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def _layers(
    paths: Paths, guest: str, plugins: Mapping[str, Configurable], environment: Mapping[str, str],
    flags: Mapping[str, Any],
) -> tuple[Layer, ...]:  # fmt: skip
    check_guest_name(guest)
    known = settings(plugins)
    return (
        _file_layer(paths, paths.host_config, plugins, guest_file=False),
        _file_layer(paths, paths.guest_config(guest), plugins, guest_file=True),
        _environment_layer(known, environment),
        _flag_layer(known, flags),
    )


def _first_of(problems: list[Problem]) -> ConfigError:
    error = problems[0].error()
    if len(problems) > 1:
        count = f"{len(problems) - 1}" if len(problems) < MOST else f"at least {MOST - 1}"
        error.hints = (f"There are {count} more; see them all with: vfioctl config validate",)
    return error


def _file_layer(paths: Paths, file: str, plugins: Mapping[str, Configurable], *, guest_file: bool) -> Layer:
    source = read_source(file, paths.root)
    if isinstance(source, Problem):
        return Layer({}, (source,))
    return check_source(source, plugins, guest_file=guest_file)


def check_source(source: Source, plugins: Mapping[str, Configurable], *, guest_file: bool) -> Layer:
    """The values of `source`, checked against the schema, as far as the first MOST problems."""
    reader = _Reader(source, settings(plugins), plugins, guest_file=guest_file)
    values: dict[str, Value] = {}
    problems: list[Problem] = []
    for item in reader.walk(source.data, ""):
        if not isinstance(item, Problem):
            values.update([item])
        elif len(problems) < MOST:
            problems.append(item)
        else:
            break
    return Layer(values, tuple(problems))


def walked(source: Source, known: Mapping[str, Setting]) -> Iterator[tuple[str, Value] | Problem]:
    """What `source` says of the settings `known`, and what is wrong with it: of a file that no plugin has tables in."""
    return _Reader(source, known, NOTHING, guest_file=True, tables=False).walk(source.data, "")


@frozen
class _Reader:
    """Walks the tables of one file beside the schema."""

    source: Source
    known: Mapping[str, Setting]
    plugins: Mapping[str, Configurable]
    guest_file: bool
    tables: bool = True  # plugins have tables in it

    def walk(self, table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Value] | Problem]:
        for key, value in table.items():
            path = join(prefix, key)
            if path in self.known:
                yield from self._setting(self.known[path], value)
            elif self.tables and (path in SECTIONS or path in self.plugins):
                yield from self._section(path, value)
            else:
                yield self._unknown(path, key, value, prefix)

    def _section(self, path: str, value: Any) -> Iterator[tuple[str, Value] | Problem]:
        plugin = self.plugins.get(path)
        if not isinstance(value, dict):
            yield self.source.problem("config.type", path, f"expected a table, found {_shown(value)}")
        elif plugin and not plugin.table and plugin.status.startswith("broken"):
            return  # its own table cannot be read; whoever needs the plugin is refused for that
        else:
            yield from self.walk(value, path)

    def _setting(self, setting: Setting, value: Any) -> Iterator[tuple[str, Value] | Problem]:
        path = setting.path
        if setting.scope == "guest" and not self.guest_file:
            yield self.source.problem("config.place", path, "expected in a guest's file, guests/NAME.toml, only")
            return
        try:
            checked = check(setting, value)
        except WrongValue as wrong:
            yield self.source.problem(wrong.code, path, f"expected {wrong.expected}, found {_shown(value)}")
            return
        yield path, Value(checked, f"{self.source.file}:{self.source.line(path)}")
        for key in checked if setting.type == "table" else ():
            entry = join(path, key)
            yield entry, Value(checked[key], f"{self.source.file}:{self.source.line(entry)}")

    def _unknown(self, path: str, key: str, value: Any, prefix: str) -> Problem:
        names = {known[len(prefix) + 1 if prefix else 0 :].partition(".")[0] for known in self.known
                 if known.startswith(f"{prefix}." if prefix else "")}  # fmt: skip
        near = _near(key, names | (set(self.plugins) if not prefix else set()))
        if isinstance(value, dict) and not prefix and self.tables:
            return self.source.problem("config.plugin_missing", path, f"plugin {key} is not installed{near}")
        expected = f"expected one of {', '.join(sorted(names))}" if names else f"plugin {prefix} has no settings"
        return self.source.problem("config.unknown", path, f"there is no such setting{near or f'; {expected}'}")


def _shown(value: Any) -> str:
    """`value` as a person wrote it, in short."""
    text = {True: "true", False: "false"}.get(value, "") if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"  # noqa: PLR2004 -- what fits a sentence


def _environment_layer(known: Mapping[str, Setting], environment: Mapping[str, str]) -> Layer:
    given = {path: setting.variable for path, setting in known.items() if setting.variable in environment}
    return _text_layer(known, {path: environment[name] for path, name in given.items()}, given)


def _flag_layer(known: Mapping[str, Setting], flags: Mapping[str, Any]) -> Layer:
    given = {path: value for path, value in flags.items() if value is not None}
    return _text_layer(known, given, {path: f"flag {path}" for path in given})


def _text_layer(known: Mapping[str, Setting], given: Mapping[str, Any], names: Mapping[str, str]) -> Layer:
    values: dict[str, Value] = {}
    problems: list[Problem] = []
    for path, value in given.items():
        if path not in known:
            problems.append(
                Problem("config.unknown", path, names[path], 0, f"no such setting{_near(path, known)}")
            )
            continue
        try:
            setting = known[path]
            checked = parse_text(setting, value) if isinstance(value, str) else check(setting, value)
            values[path] = Value(checked, names[path])
        except WrongValue as wrong:
            message = f"expected {wrong.expected}, found {_shown(value)}"
            problems.append(Problem(wrong.code, path, names[path], 0, message))
    return Layer(values, tuple(problems))


def _merge(known: Mapping[str, Setting], layers: tuple[Layer, ...]) -> dict[str, Value]:
    """The winning value of every setting; tables are merged key by key."""
    merged = {path: Value(setting.default, "default") for path, setting in known.items()}
    for layer in layers:
        for path, value in layer.values.items():
            setting = known.get(path)
            if setting is not None and setting.type == "table":
                value = Value({**merged[path].value, **value.value}, value.origin)  # noqa: PLW2901
            merged[path] = value
    return merged


def _guest_config(guest: str, plugins: Mapping[str, Configurable], merged: Mapping[str, Value]) -> GuestConfig:
    own = {setting.path: merged[setting.path].value for setting in SETTINGS}
    deadlines = {field.name: own.pop(f"deadlines.{field.name}") for field in fields(Limits)}
    tables = {
        name: {key: merged[f"{name}.{key}"].value for key in info.table} for name, info in plugins.items() if info.table
    }
    return GuestConfig(
        guest=guest, deadlines=Limits(**deadlines), tables=tables,
        origins={path: value.origin for path, value in merged.items()}, **own,
    )  # fmt: skip
