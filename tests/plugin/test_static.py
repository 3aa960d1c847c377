"""Static data that is not what it must be is refused, whatever it is; what passes can be used as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from vfioctl.config.load import load_guest
from vfioctl.paths import Paths
from vfioctl.plugin import manifest
from vfioctl.plugin.static import FILE, StaticError, read_static
from vfioctl.plugin.types import PluginInfo

WHOLE: dict[str, Any] = {
    "name": "led", "api": 2, "summary": "Lights.", "opt_in": True, "claims": ["10de:*"], "units": ["led.service"],
    "config": {
        "mode": {"type": "str", "default": "slow", "summary": "How.", "choices": ["slow", "fast"]},
        "lamps": {"type": "list", "default": ["one"]},
        "colours": {"type": "table", "default": {"one": "red"}},
        "depth": {"type": "int", "default": 3},
    },
    "code": [{"name": "led.dark", "meaning": "It is dark.", "remedy": "Wait.", "at_length": "Until it is day."}],
    "command": [{"name": "led", "help": "Light.", "target": "led.verbs:light", "view": "led.verbs:view",
                 "effect": "read", "terminal": False}],
    "group": [{"name": "lamp", "help": "Lamps."}],
    "operation": [{"name": "led fill", "target": "led.recovery:advise"}],
}  # fmt: skip
ODD: tuple[Any, ...] = (
    5, 2.5, True, "", "text", date(2026, 1, 1), [], [5], [[]], [{}], ["text"], {}, {"a": 5}, {"a": "text"}, {"a": {}},
)  # fmt: skip


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value of the whole file, tables and lists among them."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield (*way, key)
        yield from places(part, (*way, key))


def instead(way: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The whole file, with `value` at `way`."""
    data = deepcopy(WHOLE)
    here = data
    for key in way[:-1]:
        here = here[key]
    here[way[-1]] = value
    return data


def static_of(directory: Path, text: str) -> dict[str, Any]:
    (directory / FILE).write_text(text)
    return read_static(str(directory))


def use(data: dict[str, Any], root: Path) -> None:
    """All that is done with static data of an installed plugin, whichever guest starts."""
    bare = PluginInfo(name="led", version="1", api=0, module="led", distribution="led")
    info = manifest.with_static(bare, data)
    kept = manifest.from_json(json.loads(json.dumps(manifest.to_json(manifest.Manifest("python", (), (info,))))))
    load_guest(Paths(str(root)), "win11", {"led": kept.plugins[0]})


def test_a_file_with_every_key_can_be_used(tmp_path):
    use(static_of(tmp_path, tomlkit.dumps(WHOLE)), tmp_path)


@pytest.mark.parametrize(
    ("way", "value", "why"),
    [
        (("api",), True, "api must be a number"),
        (("summary",), 5, "summary must be text"),
        (("opt_in",), "false", "opt_in must be true or false"),
        (("units",), {"a": "b"}, "units must be a list of unit names"),
        (("config", "mode", "type"), ["str"], "config.mode.type must be one of str, bool"),
        (("config", "mode", "summary"), 5, "config.mode.summary must be text"),
        (("config", "mode", "choices"), 5, "config.mode.choices must be a list of texts"),
        (("config", "mode", "choices"), "slow", "config.mode.choices must be a list of texts"),
        (("config", "mode", "choices"), [5], "config.mode.choices must be a list of texts"),
        (("config", "lamps", "default"), [5], "config.lamps.default is not of type list"),
        (("config", "colours", "default"), {"one": 5}, "config.colours.default is not of type table"),
        (("config", "depth", "default"), 1 << 63, "config.depth.default is not of type int"),
        (("config", "a.b"), {"type": "int"}, "config.a.b must have a name of letters, digits, - and _"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_name(tmp_path, way, value, why):
    with pytest.raises(StaticError, match=why):
        static_of(tmp_path, tomlkit.dumps(instead(way, value)))


@pytest.mark.parametrize("way", tuple(places(WHOLE)), ids=lambda way: ".".join(map(str, way)))
def test_whatever_stands_at_a_place_it_is_refused_or_harms_nobody(tmp_path, way):
    for value in ODD:
        try:
            data = static_of(tmp_path, tomlkit.dumps(instead(way, value)))
        except StaticError:
            continue
        use(data, tmp_path)


@pytest.mark.parametrize("text", ["api = " + "[" * 5000, f"api = {1 << 20000:#x}"])
def test_what_python_cannot_read_or_write_is_refused(tmp_path, text):
    """Brackets that are nested deep, and a number of more digits than it writes."""
    with pytest.raises(StaticError):
        static_of(tmp_path, f'name = "led"\n{text}\n')
