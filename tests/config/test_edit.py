"""Edits keep comments, check first, and leave a wrong file as it was."""

from __future__ import annotations

import os

import pytest

from vfioctl.config.edit import (
    add_to_setting,
    create_guest,
    remove_guest,
    set_setting,
    unset_setting,
    write_text,
)
from vfioctl.config.load import load_guest
from vfioctl.errors import ConfigError, Refused

COMMENTED = """\
# what I learned the hard way
session = "keep"  # never while I work

[deadlines]
# slow NAS
prepare = 50
"""


def text_of(file: str) -> str:
    with open(file, encoding="utf-8") as stream:
        return stream.read()


def test_a_changed_value_leaves_every_comment_where_it_was(paths, plugins, write):
    file = write("win11", COMMENTED)
    set_setting(paths, "win11", "deadlines.prepare", "90", plugins)
    assert text_of(file) == COMMENTED.replace("50", "90.0")


def test_a_new_value_makes_its_table_and_its_file(paths, plugins):
    set_setting(paths, "new", "demo.disks.vda", "skip", plugins)
    file = paths.guest_config("new")
    assert "[demo.disks]\nvda = \"skip\"" in text_of(file)
    assert os.stat(file).st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("dotted", "text", "value"),
    [
        ("session", "end", "end"),
        ("units", "a.service,b.service", ("a.service", "b.service")),
        ("inhibit_sleep", "off", False),
        ("deadlines.release", "20", 20.0),
        ("units", '["a.service", "b.service"]', ("a.service", "b.service")),
        ("devices", "01:00.0", ("0000:01:00.0",)),
        ("demo.keep", "3", 3),
        ("demo.disks.vda", "require", "require"),
        ("demo.disks", "vda=skip", {"vda": "skip"}),
    ],
)
def test_what_a_person_types_is_typed_by_the_schema_and_read_back(paths, plugins, dotted, text, value):
    assert set_setting(paths, "win11", dotted, text, plugins) == value
    assert load_guest(paths, "win11", plugins).origins[dotted].startswith(paths.guest_config("win11"))


@pytest.mark.parametrize(
    "given",
    [
        ("sesion", "end", "config.unknown"),
        ("session", "maybe", "config.value"),
        ("deadlines.release", "soon", "config.type"),
        ("inhibit_sleep", "perhaps", "config.type"),
        ("demo.disks.vda", "perhaps", "config.value"),
    ],
)
def test_a_wrong_value_is_refused_and_the_file_is_as_it_was(paths, plugins, write, given):
    dotted, text, code = given
    file = write("win11", COMMENTED)
    with pytest.raises(ConfigError) as caught:
        set_setting(paths, "win11", dotted, text, plugins)
    assert (caught.value.code, text_of(file)) == (code, COMMENTED)
    assert f"{file}: {dotted}: " in caught.value.message


def test_a_guests_setting_is_not_written_into_the_host_file(paths, plugins):
    with pytest.raises(ConfigError) as caught:
        set_setting(paths, None, "session", "end", plugins)
    assert caught.value.code == "config.place"
    assert not os.path.exists(paths.host_config)


def test_a_file_that_is_wrong_already_is_not_edited(paths, plugins, write):
    file = write("win11", "session = [\n")
    with pytest.raises(ConfigError) as caught:
        set_setting(paths, "win11", "session", "end", plugins)
    assert (caught.value.code, text_of(file)) == ("config.syntax", "session = [\n")


def test_a_value_in_place_of_a_table_is_not_overwritten(paths, plugins, write):
    file = write("win11", "deadlines = 3\n")
    with pytest.raises(ConfigError) as caught:
        set_setting(paths, "win11", "deadlines.prepare", "5", plugins)
    assert (caught.value.code, text_of(file)) == ("config.type", "deadlines = 3\n")


def test_a_new_guest_file_is_commented_and_loads(paths, plugins):
    assert create_guest(paths, "my 'odd' \x1b[31mguest", {"devices": ("0000:01:00.0",)})
    config = load_guest(paths, "my 'odd' \x1b[31mguest", plugins)
    assert config.devices == ("0000:01:00.0",)
    assert text_of(paths.guest_config("my 'odd' \x1b[31mguest")).startswith("# Guest my 'odd' \\x1b[31mguest. vfioctl")


def test_an_existing_guest_file_is_never_replaced(paths, write):
    file = write("win11", COMMENTED)
    assert not create_guest(paths, "win11", {"session": "end"})
    assert text_of(file) == COMMENTED


def test_a_guest_file_goes_and_is_gone_the_second_time(paths, write):
    write("win11", "")
    assert remove_guest(paths, "win11")
    assert not remove_guest(paths, "win11")


def test_a_guest_whose_name_is_a_path_is_refused(paths):
    with pytest.raises(Refused):
        create_guest(paths, "../evil")


def test_a_directory_that_others_can_write_gets_no_guest_file(paths):
    os.makedirs(paths.guest_configs)
    os.chmod(paths.guest_configs, 0o777)
    with pytest.raises(Refused) as caught:
        create_guest(paths, "win11")
    assert caught.value.code == "config.writable"


@pytest.fixture
def linked(paths, write) -> str:
    """The host file of an administrator who keeps it elsewhere, for root alone; where that is."""
    place = paths.at("srv", "kept.toml")
    os.makedirs(os.path.dirname(place), mode=0o755)
    os.rename(write(None, COMMENTED.replace("session", "# session")), place)
    os.chmod(place, 0o600)
    os.symlink("../../srv/kept.toml", paths.host_config)
    return place


def test_a_linked_file_is_changed_where_it_lies(paths, plugins, linked):
    set_setting(paths, None, "deadlines.prepare", "90", plugins)
    assert os.readlink(paths.host_config) == "../../srv/kept.toml"
    assert "prepare = 90.0" in text_of(linked)
    write_text(paths, None, "# new\n")
    assert text_of(linked) == "# new\n"


def test_a_changed_file_is_as_private_as_it_was(paths, plugins, linked):
    if os.geteuid() == 0:
        os.chown(linked, 0, 12)
    group = os.stat(linked).st_gid
    set_setting(paths, None, "deadlines.prepare", "90", plugins)
    status = os.stat(linked)
    assert (status.st_mode & 0o777, status.st_gid) == (0o600, group)


def test_a_link_to_where_others_can_write_is_not_written_through(paths, plugins, linked):
    os.chmod(os.path.dirname(linked), 0o777)
    before = text_of(linked)
    with pytest.raises(Refused) as caught:
        write_text(paths, None, "# new\n")
    assert (caught.value.code, text_of(linked)) == ("config.writable", before)


def test_a_list_is_not_replaced_by_accident(paths, plugins, write):
    text = 'units = ["a.service", "b.service"]\n'
    file = write("win11", text)
    with pytest.raises(Refused) as caught:
        set_setting(paths, "win11", "units", "c.service", plugins)
    assert (caught.value.code, text_of(file)) == ("config.replaces", text)
    assert "a.service, b.service" in caught.value.message
    assert "vfioctl config add units c.service --guest win11" in caught.value.hints[0]


def test_a_list_of_the_host_is_not_hidden_by_accident(paths, plugins, write):
    write(None, 'units = ["a.service"]\n')
    with pytest.raises(Refused) as caught:
        set_setting(paths, "win11", "units", "c.service", plugins)
    assert f"{paths.host_config}:1" in caught.value.message


def test_a_list_is_replaced_when_that_is_meant_or_nothing_is_lost(paths, plugins, write):
    write("win11", 'units = ["a.service"]\n')
    set_setting(paths, "win11", "units", "b.service,a.service", plugins)
    assert set_setting(paths, "win11", "units", "c.service", plugins, replace=True) == ("c.service",)


def test_what_is_added_follows_what_is_in_force_each_once(paths, plugins, write):
    write(None, 'units = ["host.service"]\n')
    assert add_to_setting(paths, "win11", "units", ["a.service"], plugins) == ("host.service", "a.service")
    assert add_to_setting(paths, "win11", "units", ["a.service", "b.service"], plugins) == (
        "host.service", "a.service", "b.service",
    )  # fmt: skip
    assert load_guest(paths, "win11", plugins).units == ("host.service", "a.service", "b.service")


def test_only_lists_are_added_to(paths, plugins, write):
    file = write("win11", COMMENTED)
    with pytest.raises(ConfigError) as caught:
        add_to_setting(paths, "win11", "session", ["end"], plugins)
    assert (caught.value.code, text_of(file)) == ("config.type", COMMENTED)


def test_a_setting_that_is_unset_goes_with_its_empty_table_and_leaves_the_comments(paths, plugins, write):
    file = write("win11", COMMENTED)
    assert unset_setting(paths, "win11", "session", (), plugins) is None
    assert "# what I learned the hard way" in text_of(file)
    assert load_guest(paths, "win11", plugins).origins["session"] == "default"
    unset_setting(paths, "win11", "deadlines.prepare", (), plugins)
    assert "deadlines" not in text_of(file)


def test_items_are_unset_one_by_one(paths, plugins, write):
    write("win11", 'units = ["a.service", "b.service"]\n')
    assert unset_setting(paths, "win11", "units", ["a.service"], plugins) == ("b.service",)
    assert load_guest(paths, "win11", plugins).units == ("b.service",)


@pytest.mark.parametrize(("dotted", "items"), [("session", ()), ("units", ("c.service",)), ("demo.disks.vda", ())])
def test_what_the_file_does_not_say_cannot_be_unset(paths, plugins, write, dotted, items):
    file = write("win11", 'units = ["a.service"]\n')
    with pytest.raises(Refused) as caught:
        unset_setting(paths, "win11", dotted, items, plugins)
    assert (caught.value.code, text_of(file)) == ("config.unset", 'units = ["a.service"]\n')


def test_a_setting_that_does_not_exist_cannot_be_unset(paths, plugins):
    with pytest.raises(ConfigError) as caught:
        unset_setting(paths, "win11", "sesion", (), plugins)
    assert caught.value.code == "config.unknown"
