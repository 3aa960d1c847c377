"""Versions of a template on a real libvirtd: new ones for what comes, old ones for what is there."""

from __future__ import annotations

import pytest
from template_lab import PLACE, SOURCE, Templates

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_storage")

DIRECTORY = f"{PLACE}/fast/_templates_"
UPDATE = ("template", "update", "tiny", "--volume", "fast/next.qcow2")
BOUNDARIES = 6  # two a step


@pytest.fixture
def on(templates: Templates) -> Templates:
    """The template tiny, the volume old.qcow2 of it, and the volume next.qcow2 that another version is made of."""
    templates.cli("template", "add", "tiny", "--pool", "fast", "--file", SOURCE, "--os", "tiny", "--tag", "a")
    templates.cli("volume", "create", "fast", "old.qcow2", "--template", "tiny")
    templates.cli("volume", "create", "fast", "next.qcow2", "--size", "16M")
    return templates


def below(on: Templates, volume: str) -> str:
    return str(on.data("volume", "show", "fast", volume)["volume"]["backing"])


def names(on: Templates) -> list[str]:
    return [row["name"] for row in on.data("template", "list")["templates"]]


def test_what_is_made_from_now_on_lies_above_the_new_version_and_the_rest_stays(on: Templates) -> None:
    digest = on.digest(f"{DIRECTORY}/tiny.qcow2")
    on.cli(*UPDATE)
    assert names(on) == ["tiny", "tiny@2"]
    on.cli("volume", "create", "fast", "new.qcow2", "--template", "tiny")
    on.cli("volume", "create", "fast", "former.qcow2", "--template", "tiny@1")
    assert below(on, "new.qcow2") == f"{DIRECTORY}/tiny@2.qcow2"
    assert below(on, "former.qcow2") == below(on, "old.qcow2") == f"{DIRECTORY}/tiny.qcow2"
    assert on.digest(f"{DIRECTORY}/tiny.qcow2") == digest
    shown = on.data("template", "show", "tiny")["template"]
    assert (shown["name"], shown["os"], shown["tags"]) == ("tiny@2", "tiny", ["a"])


def test_an_old_version_goes_once_nobody_needs_it(on: Templates) -> None:
    on.cli(*UPDATE)
    on.refused("template.used", "template", "delete", "tiny@1", "--yes")
    on.cli("volume", "delete", "fast", "old.qcow2", "--yes")
    on.cli("template", "delete", "tiny@1", "--yes")
    assert names(on) == ["tiny@2"]
    on.cli("template", "update", "tiny", "--file", SOURCE)
    assert names(on) == ["tiny@2", "tiny@3"]
    on.cli("template", "verify", "tiny@3")


@pytest.mark.parametrize(("argv", "code"), [
    (("template", "update", "tyni", "--file", SOURCE), "template.unknown"),
    (("template", "update", "tiny"), "template.origin"), (("template", "show", "tiny@7"), "template.unknown"),
    (("template", "add", "tiny@2", "--pool", "fast", "--file", SOURCE), "template.bad_name"),
])  # fmt: skip
def test_what_cannot_be_is_refused_and_nothing_is_changed(on: Templates, argv: tuple[str, ...], code: str) -> None:
    on.refused(code, *argv)


@pytest.mark.matrix
@pytest.mark.parametrize("number", range(1, BOUNDARIES + 1))
def test_a_version_of_a_process_that_was_killed_goes(on: Templates, number: int) -> None:
    before = on.files()
    on.killed(number, *UPDATE)
    on.host.recover_uninstalled()
    assert (on.files(), on.host.left_open()) == (before, [])
