"""A template of a published image, which a plugin of the test knows, on a real libvirtd and a server of the test."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator

import pytest
from distributions import distribution
from downloads import Served, serving
from second_node import Authority
from template_lab import PLACE, SOURCE, Templates

from vfioctl.plugin.types import API_VERSION

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_storage")

ADD = ("template", "add", "far", "--pool", "fast", "--source", "far-1")
STATIC = f'name = "far"\napi = {API_VERSION}\nsummary = "Knows an image"\n'
PLUGIN = """
from vfioctl.plugin import TemplateSource, hookimpl

@hookimpl
def vfioctl_template_sources():
    place = "{place}"
    return [TemplateSource("far-1", "Far", "1", "x86_64", f"{{place}}/image.qcow2", f"{{place}}/{sums}"), *{more}]
"""
BUILD = """
from vfioctl.paths import Paths
from vfioctl.plugin import manifest
manifest.write(Paths(), manifest.build())
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture
def server(templates: Templates, authority: Authority) -> Iterator[Served]:
    """A server of https with the image of the host, and a list of its checksum."""
    templates.host.lab.environment["SSL_CERT_FILE"] = str(authority.certificate)
    templates.host.must("mkdir", "-p", "/var/tmp")
    with serving(authority.sign("here", "serverAuth", "IP:127.0.0.1")) as served:
        copy = templates.host.place / "copy.qcow2"
        templates.host.must("cp", SOURCE, str(copy))
        served.content = copy.read_bytes()
        served.others["/SUMS"] = f"{hashlib.sha512(served.content).hexdigest()}  image.qcow2\n".encode()
        yield served


@pytest.fixture
def on(templates: Templates, server: Served, monkeypatch: pytest.MonkeyPatch) -> Templates:
    """The host has a plugin that knows the image."""
    site = templates.host.place / "site"
    monkeypatch.syspath_prepend(str(site))
    install(templates, server)
    return templates


def install(on: Templates, server: Served, *, sums: str = "SUMS", more: str = "[]") -> None:
    site = on.host.place / "site"
    on.host.must("rm", "-rf", str(site))
    files = {"far_images/__init__.py": "", "far_images/vfioctl-plugin.toml": STATIC,
             "far_images/plugin.py": PLUGIN.format(place=server.url.rpartition("/")[0], sums=sums, more=more)}
    distribution(site, "vfioctl-far", files, "[vfioctl]\nfar = far_images.plugin\n")
    on.host.must(sys.executable, "-c", BUILD)


def test_a_published_image_becomes_a_template_with_its_published_checksum(on: Templates, server: Served) -> None:
    said = on.cli(*ADD)
    assert f"image.qcow2 must have the sha512 {hashlib.sha512(server.content).hexdigest()}" in said
    row = on.data("template", "show", "far")["template"]
    assert (row["source"], row["sha256"]) == (server.url, server.sha256)
    assert on.digest(f"{PLACE}/fast/_templates_/far.qcow2") == server.sha256


def test_an_image_that_is_not_the_published_one_leaves_nothing(on: Templates, server: Served) -> None:
    server.others["/SUMS"] = f"{'0' * 128}  image.qcow2\n".encode()
    before = on.files()
    assert "[fetch.checksum]" in on.cli(*ADD, status=1)
    assert (on.files(), on.host.left_open()) == (before, [])


def test_what_plugins_know_is_listed(on: Templates, server: Served) -> None:
    rows = {row["name"]: row for row in on.data("template", "sources")["sources"]}
    assert rows["far-1"] == {
        "name": "far-1", "system": "Far", "version": "1", "architecture": "x86_64", "url": server.url,
        "checksums": server.url.replace("image.qcow2", "SUMS"), "plugin": "far",
    }  # fmt: skip
    assert rows["debian-12"]["plugin"] == "storage"


@pytest.mark.parametrize("wrong", ["unknown", "no list", "not in the list", "twice", "several ways"])
def test_what_cannot_be_taken_is_refused_and_nothing_is_changed(on: Templates, server: Served, wrong: str) -> None:
    argv, code = ADD, "template.source"
    if wrong == "unknown":
        argv = (*ADD[:-1], "far-2")
    elif wrong == "no list":
        server.others["/SUMS"] = b"<html>not here</html>"
    elif wrong == "not in the list":
        server.others["/SUMS"] = f"{'0' * 64}  other.qcow2\n".encode()
    elif wrong == "twice":
        install(on, server, more='[TemplateSource("far-1", "Far", "2", "x86_64", f"{place}/b", f"{place}/SUMS")]')
    else:
        argv, code = (*ADD, "--url", server.url), "template.origin"
    on.refused(code, *argv)


def test_a_plugin_that_names_another_host_for_its_checksums_is_not_followed(on: Templates, server: Served) -> None:
    install(on, server, more='[TemplateSource("far-2", "Far", "2", "x86_64", f"{place}/b", "https://else.test/SUMS")]')
    assert "plugin.bad_result" in on.cli("template", "sources")
    on.refused("template.source", *ADD)
