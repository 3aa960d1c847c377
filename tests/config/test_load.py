"""Loading: precedence, origins, and errors that say where and what was expected."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vfioctl.config.load import load_guest, managed_guests, named_devices, problems_of
from vfioctl.config.model import GuestConfig
from vfioctl.config.schema import SETTINGS
from vfioctl.config.source import Problem, Source, key_lines, parse_source
from vfioctl.errors import ConfigError, Refused
from vfioctl.limits import Limits


def error_of(paths, plugins, **more) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_guest(paths, "win11", plugins, **more)
    return caught.value


def test_without_any_file_every_value_is_the_default(paths):
    config = load_guest(paths, "win11", {})
    assert config == GuestConfig("win11", origins=dict.fromkeys((setting.path for setting in SETTINGS), "default"))


def test_the_smallest_guest_file_is_empty(paths, plugins, write):
    write("win11", "")
    assert load_guest(paths, "win11", plugins).session == "keep"


def test_every_setting_of_a_guest_file_arrives(paths, plugins, write):
    write(
        "win11",
        """
devices = ["01:00.0", "0000:0B:00.1"]
include = ["00000000:01:00.2"]
session = "end"
units = ["ollama.service"]
handler = "demo"
inhibit_sleep = false
disabled_plugins = ["bare"]
[deadlines]
prepare = 60
[demo]
keep = 2
disks = {vda = "require"}
""",
    )
    config = load_guest(paths, "win11", plugins)
    assert config.devices == ("0000:01:00.0", "0000:0b:00.1")
    assert config.include == ("0000:01:00.2",)
    assert (config.session, config.units, config.handler) == ("end", ("ollama.service",), "demo")
    assert (config.inhibit_sleep, config.disabled_plugins) == (False, ("bare",))
    assert config.deadlines == Limits(prepare=60.0)
    assert config.table("demo") == {"enabled": False, "keep": 2, "mode": "safe", "disks": {"vda": "require"}}
    assert config.table("bare") == {}


def test_flag_beats_environment_beats_guest_file_beats_host_file_beats_default(paths, plugins, write):
    def prepare(**more):
        config = load_guest(paths, "win11", plugins, **more)
        return config.deadlines.prepare, config.origins["deadlines.prepare"]

    assert prepare() == (45.0, "default")
    host = write(None, "[deadlines]\nprepare = 50\n")
    assert prepare() == (50.0, f"{host}:2")
    guest = write("win11", "\n[deadlines]\n\nprepare = 55\n")
    assert prepare() == (55.0, f"{guest}:4")
    environment = {"VFIOCTL_DEADLINES_PREPARE": "60"}
    assert prepare(environment=environment) == (60.0, "VFIOCTL_DEADLINES_PREPARE")
    assert prepare(environment=environment, flags={"deadlines.prepare": 65.0}) == (65.0, "flag deadlines.prepare")
    assert prepare(flags={"deadlines.prepare": None}) == (55.0, f"{guest}:4")


def test_tables_are_merged_key_by_key_and_each_key_knows_its_origin(paths, plugins, write):
    host = write(None, '[demo.disks]\nvda = "skip"\nvdb = "skip"\n')
    guest = write("win11", '[demo.disks]\nvda = "require"\n')
    config = load_guest(paths, "win11", plugins)
    assert config.table("demo")["disks"] == {"vda": "require", "vdb": "skip"}
    assert config.origins["demo.disks.vda"] == f"{guest}:2"
    assert config.origins["demo.disks.vdb"] == f"{host}:3"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("VFIOCTL_INHIBIT_SLEEP", "no", {"inhibit_sleep": False}),
        ("VFIOCTL_UNITS", "a.service, b.service", {"units": ("a.service", "b.service")}),
        ("VFIOCTL_SESSION", "end", {"session": "end"}),
    ],
)
def test_the_environment_is_read_as_the_setting_wants_it(paths, name, text, value):
    config = load_guest(paths, "win11", {}, environment={name: text})
    assert {key: getattr(config, key) for key in value} == value


def test_a_wrong_variable_is_named_with_what_was_expected(paths, plugins):
    error = error_of(paths, plugins, environment={"VFIOCTL_DEMO_KEEP": "many"})
    assert error.code == "config.type"
    assert error.message == "VFIOCTL_DEMO_KEEP: demo.keep: expected a whole number, found 'many'."


@pytest.mark.parametrize(
    "given",
    [
        ('session = "keep"\nsession = 1', "config.syntax", 2, "expected TOML: Cannot overwrite a value"),
        ("units = [", "config.syntax", 1, "expected TOML"),
        ('\nsession = "maybe"', "config.value", 2, """session: expected "keep" or "end", found 'maybe'"""),
        ("inhibit_sleep = 1", "config.type", 1, "inhibit_sleep: expected true or false, found 1"),
        ("units = 'a'", "config.type", 1, "units: expected a list of strings, found 'a'"),
        ("units = ['a', 2]", "config.type", 1, "units: expected a list of strings"),
        ("devices = ['gpu']", "config.value", 1, "devices: expected a list of strings, each a PCI address such as"),
        ("devices = ['01:20.0']", "config.value", 1, "devices: expected"),
        (
            "[deadlines]\nprepare = true",
            "config.type",
            2,
            "deadlines.prepare: expected a number from 1 to 3600, found true",
        ),
        ("[deadlines]\nprepare = 0", "config.value", 2, "deadlines.prepare: expected a number from 1 to 3600, found 0"),
        ("[deadlines]\nprepare = nan", "config.value", 2, "deadlines.prepare: expected"),
        ("deadlines = 3", "config.type", 1, "deadlines: expected a table, found 3"),
        (
            "[deadlines]\n\nprepar = 3",
            "config.unknown",
            3,
            'deadlines.prepar: there is no such setting; did you mean "prepare"?',
        ),
        ("sesion = 'end'", "config.unknown", 1, 'sesion: there is no such setting; did you mean "session"?'),
        ("zzz = 1", "config.unknown", 1, "zzz: there is no such setting; expected one of"),
        ('"a.b" = 1', "config.unknown", 1, '"a.b": there is no such setting'),
        ("[demo]\nkep = 3", "config.unknown", 2, 'demo.kep: there is no such setting; did you mean "keep"?'),
        ("[demo]\nkeep = 'x'", "config.type", 2, "demo.keep: expected a whole number, found 'x'"),
        (
            "[demo.disks]\nvda = 'no'",
            "config.value",
            1,
            'demo.disks: expected a table of strings, each "require" or "skip"',
        ),
        ("[bare]\nx = 1", "config.unknown", 2, "bare.x: there is no such setting; plugin bare has no settings"),
        ("[absent]\nx = 1", "config.plugin_missing", 1, "absent: plugin absent is not installed"),
        ("[dem]\nx = 1", "config.plugin_missing", 1, 'dem: plugin dem is not installed; did you mean "demo"?'),
    ],
)
def test_a_wrong_guest_file_is_refused_with_path_file_line_and_expectation(paths, plugins, write, given):
    text, code, line, said = given
    file = write("win11", text)
    error = error_of(paths, plugins)
    assert error.code == code
    assert error.message.startswith(f"{file}:{line}: {said}")
    assert error.state == "Nothing was changed."


def test_a_guests_setting_in_the_host_file_is_sent_where_it_belongs(paths, plugins, write):
    file = write(None, "session = 'end'")
    error = error_of(paths, plugins)
    assert (error.code, error.message) == (
        "config.place", f"{file}:1: session: expected in a guest's file, guests/NAME.toml, only.",
    )  # fmt: skip


def test_all_problems_of_both_files_are_found_at_once(paths, plugins, write):
    write(None, "units = 1\n")
    write("win11", "handler = 1\nsession = 2\n")
    assert [problem.path for problem in problems_of(paths, "win11", plugins)] == ["units", "handler", "session"]
    assert error_of(paths, plugins).hints == ("There are 2 more; see them all with: vfioctl config validate",)


def test_the_table_of_a_broken_plugin_is_left_alone(paths, plugins, write):
    write("win11", "[wreck]\nanything = 1\n")
    assert load_guest(paths, "win11", plugins).table("wreck") == {}


def test_a_file_that_is_no_text_names_the_line(paths, plugins, write):
    file = write("win11", "\n\n")
    with open(file, "ab") as stream:
        stream.write(b"\xff")
    assert error_of(paths, plugins).message == f"{file}:3: expected UTF-8 text."


def test_a_directory_in_place_of_the_file_is_unreadable(paths, plugins):
    os.makedirs(paths.guest_config("win11"), mode=0o755)
    error = error_of(paths, plugins)
    assert (error.code, "cannot be read: it is a directory" in error.message) == ("config.unreadable", True)


def test_a_huge_file_and_nested_brackets_are_refused(paths, plugins, write):
    write("win11", "#" * 1_100_000)
    assert "larger than 1024 KiB" in error_of(paths, plugins).message
    write("win11", "a = " + "[" * 100_000)
    assert error_of(paths, plugins).code == "config.syntax"


def test_a_file_that_others_can_write_is_not_used(paths, plugins, write):
    os.chmod(write("win11", "session = 'end'"), 0o666)
    with pytest.raises(Refused) as caught:
        load_guest(paths, "win11", plugins)
    assert caught.value.code == "config.writable"


def test_a_guest_name_that_is_a_path_is_refused(paths, plugins):
    with pytest.raises(Refused) as caught:
        load_guest(paths, "../config", plugins)
    assert caught.value.code == "guest.name"


def test_managed_guests_are_those_with_a_file(paths, write):
    assert managed_guests(paths) == ()
    write("win11", "")
    write("a b.c", "")
    assert managed_guests(paths) == ("a b.c", "win11")


def test_lines_are_found_in_tables_and_dotted_and_quoted_keys():
    text = "a = 1\n# b = 2\n[t]\n'c' = 3\nd . e = 4\n[[u]]\nf = 5\n"
    assert key_lines(text) == {"a": 1, "t": 3, "t.c": 4, "t.d.e": 5, "u": 6, "u.f": 7}


@given(
    st.one_of(st.binary(max_size=80), st.text(st.sampled_from("ab=[]{}\"'.,#\n 1tx-_\\"), max_size=60).map(str.encode))
)
def test_arbitrary_bytes_are_a_source_or_a_problem_with_a_line(data):
    result = parse_source("f.toml", data)
    if isinstance(result, Problem):
        assert result.code == "config.syntax"
        assert 1 <= result.line <= data.count(b"\n") + 1
    else:
        assert isinstance(result, Source)


VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.dates()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
KEYS = st.one_of(
    st.sampled_from(["devices", "session", "deadlines", "demo", "wreck", "units", "handler"]), st.text(max_size=5)
)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_arbitrary_tables_give_values_or_problems_and_never_a_traceback(data):
    from vfioctl.config.load import check_source
    from vfioctl.plugin.types import PluginInfo

    table = {"disks": {"type": "table", "default": {}, "summary": ""}}
    layer = check_source(Source("f", data), {"demo": PluginInfo("demo", "1", 1, "m", table=table)}, guest_file=True)
    assert all(problem.message for problem in layer.problems)
    assert data.keys() <= {"demo", "deadlines", "wreck"} or layer.values or layer.problems


def test_a_flag_for_a_setting_that_does_not_exist_is_named(paths, plugins):
    error = error_of(paths, plugins, flags={"sesion": "end"})
    assert (error.code, error.message) == (
        "config.unknown",
        'flag sesion: sesion: no such setting; did you mean "session"?',
    )


def test_the_devices_of_a_guest_file_are_named_whatever_else_is_wrong_in_it(paths, write):
    write("win11", 'devices = ["01:00.0"]\ninclude = ["0000:0B:00.1"]\nexclude = 7\nno_such = 1\n')
    assert named_devices(paths, "win11") == ("0000:01:00.0", "0000:0b:00.1")


def test_a_guest_without_a_file_or_with_none_that_can_be_read_names_no_device(paths, write):
    write("win11", "devices = [")
    assert [named_devices(paths, guest) for guest in ("win11", "other", "../win11")] == [(), (), ()]
