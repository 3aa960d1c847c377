"""Sets of choices for `guest create`, a TOML file each. Its keys are options of the verb, so click's types judge them.

Only root writes them; a value from the command line wins over one from here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from vfioctl.plugin import Refused, Setting, field, frozen, judged_settings, no_such, size

if TYPE_CHECKING:
    from vfioctl.plugin import Call, Host

SUFFIX = ".toml"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
DESCRIPTION = Setting("description", "str", "", "What it is for, in a line.")
# What several guests may share: no address, no volume, and nothing that is agreed to or done, such as a start.
KEYS = (
    "memory", "cpus", "template", "disk", "pool", "iso", "network", "gpu", "hugepages", "network-boot", "windows",
    "firmware", "tpm", "autostart", "user", "ssh-key", "password-file", "password-hash-file", "user-data",
)  # fmt: skip
SIZES = ("memory", "disk", "hugepages")
FILES = ("iso", "password-file", "password-hash-file", "user-data")


@frozen
class Choice:
    """One value of a profile, and where it stands: FILE:LINE."""

    value: Any
    origin: str


@frozen
class Profile:
    """The choices of a file, by the name of the option without its dashes."""

    name: str
    file: str
    description: str = ""
    choices: Mapping[str, Choice] = field(default_factory=dict)

    def rows(self, used: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
        """The choices as data; of those `used`, by option, only what is as the profile says."""
        return {
            key: {"value": one.value, "origin": one.origin} for key, one in self.choices.items()
            if used is None or used.get(key) == one.value
        }  # fmt: skip


def place(about: Call | Host) -> str:
    """The directory that they are in."""
    return os.path.join(about.paths.etc, "profiles")


def names(about: Call | Host) -> tuple[str, ...]:
    """The names of all profiles. Raises OSError."""
    try:
        found = os.listdir(place(about))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(sorted(name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX) and NAME.match(name)))


def find(call: Call, name: str, command: click.Command) -> Profile:
    """The profile `name` for `command`. Raises Refused("profile.unknown", "config.writable"), ConfigError."""
    known = names(call)
    if name not in known:
        unknown = no_such("profile.unknown", f"There is no profile {name!r}", name, known, "The profiles")
        unknown.hints = (*unknown.hints, f"Profiles are files in {place(call)}")
        raise unknown
    profile, wrong = judged(call, name, command)
    if wrong:
        raise wrong[0]
    return profile


def judged(about: Call | Host, name: str, command: click.Command) -> tuple[Profile, tuple[Refused, ...]]:
    """The profile `name` for `command`, which is there, and everything that is wrong with it."""
    file = os.path.join(place(about), f"{name}{SUFFIX}")
    found, wrong = judged_settings(about.paths, file, settings(command))
    choices = {key: Choice(one.value, one.origin) for key, one in found.items()}
    own = (said for key, one in choices.items() for said in _unfit(key, one))
    description = choices.get(DESCRIPTION.path, Choice("", ""))
    chosen = {key: one for key, one in choices.items() if key != DESCRIPTION.path}
    return Profile(name, file, description.value, chosen), (*wrong, *own)


def settings(command: click.Command) -> Iterator[Setting]:
    """What a profile may say, as `command` has it."""
    yield DESCRIPTION
    for name, option in options(command).items():
        yield _setting(name, option)


def options(command: click.Command) -> dict[str, click.Option]:
    """The options of `command` that a profile may set, by their names without dashes."""
    found = {param.opts[0].removeprefix("--"): param for param in command.params if isinstance(param, click.Option)}
    return {name: found[name] for name in KEYS}


def _setting(name: str, option: click.Option) -> Setting:
    kind = option.type
    numbers = kind if isinstance(kind, click.IntRange) else click.IntRange()
    words = tuple(map(str, kind.choices)) if isinstance(kind, click.Choice) else ()
    sort = "list" if option.multiple else "bool" if option.is_flag else "int" if numbers is kind else "str"
    return Setting(
        name, sort, None, option.help or "", choices=words, minimum=numbers.min, maximum=numbers.max
    )  # fmt: skip


def _unfit(key: str, one: Choice) -> Iterator[Refused]:
    """What the verb would refuse without saying where it stands."""
    for text in one.value if isinstance(one.value, tuple) else (one.value,):
        if key in FILES and not text.startswith("/"):
            yield _wrong(key, one, f"expected a path that begins with /, found {text!r}")
        if key in SIZES:
            try:
                size(text)
            except Refused as error:
                yield _wrong(key, one, error.message)


def _wrong(key: str, one: Choice, why: str) -> Refused:
    return Refused("config.value", f"{one.origin}: {key}: {why.rstrip('.')}.", state="Nothing was changed.")


def profile_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """What a shell offers where a profile is named."""
    return [name for name in names(ctx.find_root().obj) if name.startswith(incomplete)]


def chosen(ctx: click.Context, _: click.Parameter, name: str | None) -> Profile | None:
    """The profile that --profile names; what it says stands for what is not typed."""
    if name is None:
        return None
    profile = find(ctx.find_root().obj, name, ctx.command)
    known = options(ctx.command)
    ctx.default_map = {str(known[key].name): one.value for key, one in profile.choices.items()}
    return profile
