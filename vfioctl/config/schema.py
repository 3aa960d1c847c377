"""Every setting of the host file and the guest files, and how a value is checked. Reads no file, imports no plugin.

Plugins add theirs as static data, each in a SettingTable.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.frozen import frozen

if TYPE_CHECKING:
    from typing import Any, Protocol, TypeAlias

    SettingTable: TypeAlias = Mapping[str, Mapping[str, Any]]
    """The settings of one plugin: name → type (a word of TYPES), default, summary, choices."""

    class Configurable(Protocol):
        """A plugin as the configuration knows it: its name, its state ("ok", "broken: REASON") and its settings."""

        @property
        def name(self) -> str: ...
        @property
        def status(self) -> str: ...
        @property
        def table(self) -> SettingTable: ...

TYPES: Mapping[str, tuple[type, str]] = {
    "bool": (bool, "true or false"),
    "int": (int, "a whole number"),
    "float": (float, "a number"),
    "str": (str, "a string"),
    "list": (list, "a list of strings"),
    "table": (dict, "a table of strings"),
}
VARIABLE = "VFIOCTL_"
TRUE = ("true", "yes", "on", "1")
FALSE = ("false", "no", "off", "0")
PCI_ADDRESS = "a PCI address such as 0000:01:00.0"
CONTAINER_TOOLS = ("docker", "podman")
FORMS = {"pci": PCI_ADDRESS, "container": "a container such as jellyfin, docker:jellyfin or podman:ada/jellyfin"}


class WrongValue(ValueError):
    """A value that a setting does not take: the code of the error and what was expected instead."""

    def __init__(self, code: str, expected: str) -> None:
        super().__init__(expected)
        self.code = code
        self.expected = expected


@frozen
class Setting:
    """One setting: dotted path, type (a word of TYPES), default, one sentence, and what limits its values.

    `scope` is "guest" (guest files only) or "both". `minimum` and `maximum` are for numbers, `choices` for each string,
    `form` "pci" makes each string a PCI address, "container" the name of a container.
    """

    path: str
    type: str
    default: Any
    summary: str
    choices: tuple[str, ...] = ()
    scope: str = "both"
    minimum: float | None = None
    maximum: float | None = None
    form: str = ""

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        words = TYPES[self.type][1]
        if self.choices:
            one_of = " or ".join(f'"{choice}"' for choice in self.choices)
            return one_of if self.type == "str" else f"{words}, each {one_of}"
        if self.form:
            return f"{words}, each {FORMS[self.form]}"
        if self.minimum is not None:
            return f"{words} from {self.minimum:g}" + (f" to {self.maximum:g}" if self.maximum is not None else "")
        return words

    @property
    def variable(self) -> str:
        """The environment variable of the command line that sets it."""
        return VARIABLE + self.path.upper().replace(".", "_").replace("-", "_")


def _seconds(path: str, default: float, summary: str, *, minimum: float = 1) -> Setting:
    return Setting(path, "float", default, summary, minimum=minimum, maximum=3600)


SETTINGS = (
    Setting("devices", "list", (), "PCI devices to give besides the domain's hostdevs.", scope="guest", form="pci"),
    Setting(
        "include", "list", (), "Further members of an IOMMU group that may be taken along.", scope="guest", form="pci",
    ),
    Setting(
        "exclude", "list", (), "Functions that stay with the host although they would be taken along.", scope="guest",
        form="pci",
    ),
    Setting(
        "allow_in_use", "list", (), "Devices to give although a disk behind them may be in use, or the network is.",
        scope="guest", form="pci",
    ),
    Setting(
        "session", "str", "keep", 'Whether the session of a logged-in user may be ended ("end") for the card.',
        choices=("keep", "end"), scope="guest",
    ),
    Setting("units", "list", (), "Systemd units that may be stopped when they hold the card."),
    Setting(
        "containers", "list", (), "Containers that are stopped for the guest and started again afterwards.",
        form="container",
    ),
    Setting("handler", "str", None, "The plugin that decides where two claim one device or disk."),
    Setting("inhibit_sleep", "bool", default=True, summary="Keep the host from sleeping while the guest has the card."),
    Setting(
        "preflight", "str", "refuse",
        "What is done when QEMU or libvirt would give up the start: refuse it before anything is touched, or warn.",
        choices=("refuse", "warn", "off"),
    ),
    Setting("disabled_plugins", "list", (), "Plugins that are not asked."),
    _seconds(
        "deadlines.prepare", 45.0,
        "Seconds in which the start must have planned and applied every step; it waits as long for other hand-offs.",
    ),
    _seconds("deadlines.plan", 20.0, "Of these, the seconds in which it must have planned; else it is refused."),
    _seconds("deadlines.undo", 30.0, "Further seconds to undo them when one failed."),
    _seconds("deadlines.release", 15.0, "Seconds for the part of the return that libvirt waits for."),
    _seconds("deadlines.finish", 120.0, "Seconds for the rest of the return."),
    _seconds(
        "deadlines.start", 120.0,
        "Seconds from before the first step in which libvirt must have started QEMU; else the devices return. They are "
        "to be more than those of prepare.", minimum=30,
    ),
)  # fmt: skip


def settings(plugins: Mapping[str, Configurable]) -> dict[str, Setting]:
    """Every setting by its dotted path, those of `plugins` among them."""
    own = {setting.path: setting for setting in SETTINGS}
    for name, plugin in plugins.items():
        for key, entry in plugin.table.items():
            own.setdefault(f"{name}.{key}", plugin_setting(f"{name}.{key}", entry))
    return own


def plugin_setting(path: str, entry: Mapping[str, Any]) -> Setting:
    """The setting that the row `entry` of a plugin's static table describes."""
    kind = entry["type"]
    default = entry.get("default", TYPES[kind][0]())
    return Setting(
        path, kind, tuple(default) if kind == "list" else default, entry.get("summary", ""),
        choices=tuple(entry.get("choices", ())),
    )  # fmt: skip


def check(setting: Setting, value: Any) -> Any:
    """`value` as `setting` keeps it (lists as tuples, numbers of the right type). Raises WrongValue."""
    wanted = TYPES[setting.type][0]
    if setting.type == "float" and type(value) is int:
        value = float(value) if abs(value) < 1 << 53 else value
    if setting.type == "list" and isinstance(value, tuple):
        value = list(value)
    if type(value) is not wanted or not all(isinstance(item, str) for item in _items(value)):
        raise WrongValue("config.type", setting.expected)
    if not _in_range(setting, value):
        raise WrongValue("config.value", setting.expected)
    return _normal(setting, value)


def _items(value: Any) -> Iterable[Any]:
    """The parts of `value` that must be strings."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _in_range(setting: Setting, value: Any) -> bool:
    if isinstance(value, int | float):
        low = setting.minimum is None or value >= setting.minimum
        return low and (setting.maximum is None or value <= setting.maximum)
    words = (value,) if isinstance(value, str) else tuple(_items(value))
    return not setting.choices or all(word in setting.choices for word in words)


def _normal(setting: Setting, value: Any) -> Any:
    if setting.type != "list":
        return value
    read = {"pci": pci_address, "container": container}.get(setting.form)
    return tuple(read(item, setting) for item in value) if read else tuple(value)


def pci_address(text: str, setting: Setting) -> str:
    """`text` as DDDD:BB:DD.F in lower case; the domain may be left out. Raises WrongValue."""
    from vfioctl.events.address import read_address  # few guest files name a device

    address = read_address(text)
    if address is None:
        raise WrongValue("config.value", setting.expected)
    return address


def container(text: str, setting: Setting) -> str:
    """`text` as [TOOL:][USER/]NAME. Raises WrongValue."""
    tool, colon, rest = text.strip().rpartition(":")
    user, slash, name = rest.rpartition("/")
    right = (not colon or tool in CONTAINER_TOOLS) and (not slash or _is_word(user)) and _is_word(name)
    if not right:
        raise WrongValue("config.value", setting.expected)
    return text.strip()


def _is_word(text: str) -> bool:
    """Whether it can name a container, or its user: as both runtimes want it."""
    plain = text.replace("_", "").replace("-", "").replace(".", "")
    return text.isascii() and text[:1].isalnum() and plain.isalnum()


def parse_text(setting: Setting, text: str) -> Any:
    """The value that `text` from a command line or the environment means; lists by commas. Raises WrongValue."""
    if setting.type == "list":
        return check(setting, _toml_array(text) or [item.strip() for item in text.split(",") if item.strip()])
    if setting.type == "table":
        pairs = [item.partition("=") for item in text.split(",") if item.strip()]
        return check(setting, {key.strip(): value.strip() for key, _, value in pairs})
    try:
        return check(setting, _scalar(setting.type, text.strip()))
    except ValueError as error:
        raise error if isinstance(error, WrongValue) else WrongValue("config.type", setting.expected) from None


def _toml_array(text: str) -> list[Any] | None:
    """The items of a list in brackets, as it is written in a file; None when `text` is none."""
    if not text.strip().startswith("["):
        return None
    import tomllib

    try:
        found = tomllib.loads(f"items = {text}")["items"]
    except tomllib.TOMLDecodeError:
        return None
    return found if isinstance(found, list) else None


def _scalar(kind: str, text: str) -> Any:
    if kind == "bool":
        if text.lower() not in TRUE + FALSE:
            raise ValueError(text)
        return text.lower() in TRUE
    return {"int": int, "float": float, "str": str}[kind](text)


def join(prefix: str, key: str) -> str:
    """The dotted path of `key` below `prefix`, quoted as TOML does where it must be."""
    bare = key.replace("_", "").replace("-", "")
    part = key if bare.isascii() and bare.isalnum() else json.dumps(key)
    return f"{prefix}.{part}" if prefix else part
