"""Names of plugins in the settings `handler` and `disabled_plugins`. Decides about no start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.config.source import Problem, Source, read_source
from vfioctl.errors import Refused
from vfioctl.findings import Finding, Severity
from vfioctl.frozen import frozen
from vfioctl.unknown import suggestion

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.config.model import GuestConfig
    from vfioctl.config.schema import Configurable
    from vfioctl.paths import Paths

SETTINGS = ("handler", "disabled_plugins")
BUILT_IN = "generic"
NO_EFFECT = "plugin.no_effect"


def problems_of_plugins(file: str, root: str, known: Iterable[str]) -> tuple[Problem, ...]:
    """What the file names that is no installed plugin, or that has no effect; the rest is said by config.load."""
    source = read_source(file, root)
    return () if isinstance(source, Problem) else problems_in(source, known)


def problems_in(source: Source, known: Iterable[str]) -> tuple[Problem, ...]:
    """The same of a file that was read."""
    names = tuple(known)
    unknown = (
        source.problem("plugin.unknown", path, f"there is no plugin {name!r}{suggestion(name, names)}")
        for path, name in _named(source.data) if name not in names
    )  # fmt: skip
    return (*unknown, *(source.problem(NO_EFFECT, path, said) for path, said in _without_effect(source.data)))


def _without_effect(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each setting that changes nothing, and why."""
    off = [name for path, name in _named(data) if path == "disabled_plugins"]
    if BUILT_IN in off:
        yield "disabled_plugins", f"{BUILT_IN} has the checks that hold for every guest, and cannot be disabled"
    elif data.get("handler") in off:
        yield "handler", f"the plugin {data['handler']} is disabled by disabled_plugins, and decides nothing"


def _named(data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for path in SETTINGS:
        value = data.get(path)
        for name in value if isinstance(value, list) else (value,):
            if isinstance(name, str):
                yield path, name


@frozen
class Disabled:
    """Which plugins the host's file disables, and which each guest's file."""

    everywhere: frozenset[str]
    guests: Mapping[str, frozenset[str]]

    def status(self, info: Configurable) -> str:
        """The plugin's own state, or "disabled"; the built-in checks cannot be disabled."""
        return "disabled" if info.name in self.everywhere - {BUILT_IN} else info.status

    def guests_without(self, plugin: str) -> tuple[str, ...]:
        """The guests whose own file disables `plugin`."""
        return tuple(guest for guest, names in self.guests.items() if plugin in names - {BUILT_IN})


def disabled(paths: Paths) -> Disabled:
    """What the files say; one that is wrong or hidden says nothing here."""
    from vfioctl.config.load import managed_guests

    guests = {guest: _disabled_in(paths.guest_config(guest), paths.root) for guest in managed_guests(paths)}
    return Disabled(_disabled_in(paths.host_config, paths.root), guests)


def _disabled_in(file: str, root: str) -> frozenset[str]:
    try:
        source = read_source(file, root)
    except Refused:
        return frozenset()
    found = _named(source.data) if isinstance(source, Source) else ()
    return frozenset(name for path, name in found if path == "disabled_plugins")


def findings(config: GuestConfig, known: Iterable[str]) -> tuple[Finding, ...]:
    """The same of the settings that a start goes by: a warning, for a plugin may have been removed since."""
    names = tuple(known)
    values = {"handler": config.handler, "disabled_plugins": list(config.disabled_plugins)}
    said = [
        ("plugin.unknown", path, f"{path} names {name!r}, which is no installed plugin{suggestion(name, names) or '.'}")
        for path, name in _named(values) if name not in names
    ]  # fmt: skip
    said += [(NO_EFFECT, path, f"{path} has no effect: {why}.") for path, why in _without_effect(values)]
    return tuple(
        Finding(code, text, Severity.WARN, f"It is set in {config.origins.get(path, 'a file')}.", "config")
        for code, path, text in said
    )
