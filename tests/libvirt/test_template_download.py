"""A template of what an address of HTTP gives, on a real libvirtd: whole and checked, or nothing is left."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from downloads import PIECE, Served, serving
from second_node import Authority
from template_lab import PLACE, SOURCE, Templates

from vfioctl.wait import until

pytest.importorskip("libvirt")
pytest.importorskip("vfioctl_storage")

IMAGE = f"{PLACE}/fast/_templates_/far.qcow2"
KEPT = "/var/lib/vfioctl/downloads"
SIZE = 8 << 20
BOUNDARIES = 14  # two a step


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture
def on(templates: Templates, authority: Authority) -> Templates:
    """A host that trusts the authority."""
    templates.host.lab.environment["SSL_CERT_FILE"] = str(authority.certificate)
    return templates


def kept(on: Templates) -> dict[str, int]:
    """What is kept of downloads that were broken off, by their sizes."""
    lines = on.host.run("find", KEPT, "-type", "f", "-printf", "%f %s\n").stdout.splitlines()
    return {name: int(size) for name, size in map(str.split, lines)}


@pytest.fixture
def server(templates: Templates, authority: Authority) -> Iterator[Served]:
    """A server of https with the image of the host."""
    with serving(authority.sign("here", "serverAuth", "IP:127.0.0.1")) as served:
        copy = templates.host.place / "copy.qcow2"
        templates.host.must("cp", SOURCE, str(copy))
        served.content = copy.read_bytes()
        yield served


def add(url: str, *more: str) -> tuple[str, ...]:
    return ("template", "add", "far", "--pool", "fast", "--url", url, *more)


def test_an_image_is_downloaded_checked_and_kept(on: Templates, server: Served) -> None:
    on.cli(*add(server.url, "--sha256", server.sha256))
    row = on.data("template", "show", "far")["template"]
    assert (row["source"], row["sha256"], row["size"]) == (server.url, server.sha256, SIZE)
    assert on.digest(IMAGE) == server.sha256
    assert on.host.must("stat", "-c", "%a", IMAGE).strip() == "444"
    assert kept(on) == {}
    on.cli("volume", "create", "fast", "web.qcow2", "--template", "far")


def test_where_it_is_cut_off_it_goes_on(on: Templates, server: Served) -> None:
    server.cut = [len(server.content) // 2, 100]
    on.cli(*add(server.url, "--sha256", server.sha256))
    assert on.digest(IMAGE) == server.sha256
    assert [asked.get("Range") for asked in server.asked][2:] == [
        f"bytes={len(server.content) // 2}-", f"bytes={len(server.content) // 2 + 100}-",
    ]  # fmt: skip


def test_without_a_checksum_it_is_asked_and_what_came_is_written_down(on: Templates, server: Served) -> None:
    said = on.refused("template.unchecked", *add(server.url))
    assert f"--url {server.url} --yes" in said
    on.cli(*add(server.url, "--yes"))
    assert on.data("template", "show", "far")["template"]["sha256"] == server.sha256
    on.cli("template", "verify", "far")


def test_where_it_leads_is_said(on: Templates, server: Served) -> None:
    with serving() as first:
        first.location = server.url
        assert f"{first.url} leads to {server.url}" in on.cli(*add(first.url, "--sha256", server.sha256))
        assert on.digest(IMAGE) == server.sha256


def test_an_address_of_http_serves_with_a_checksum_only(on: Templates, server: Served) -> None:
    with serving() as plain:
        plain.content = server.content
        on.refused("template.url", *add(plain.url, "--yes"))
        assert plain.asked == []
        on.cli(*add(plain.url, "--sha256", server.sha256))


@pytest.mark.parametrize(("wrong", "code"), [
    ("other authority", "fetch.untrusted"), ("to http", "fetch.redirected"), ("404", "fetch.status"),
    ("no length", "volume.source"), ("gzip", "volume.source"), ("above another", "volume.source"),
    ("as raw", "volume.source"), ("no address", "fetch.address"), ("short sum", "volume.checksum"),
])  # fmt: skip
def test_what_cannot_be_taken_is_refused_and_nothing_is_changed(
    on: Templates, server: Served, wrong: str, code: str
) -> None:
    url, more = server.url, ("--yes",)
    if wrong == "other authority":
        del on.host.lab.environment["SSL_CERT_FILE"]
    elif wrong == "to http":
        server.location = server.url.replace("https", "http")
    elif wrong == "404":
        server.statuses = [404]
    elif wrong == "no length":
        server.chunked, server.ranges = True, False
    elif wrong == "gzip":
        server.content = b"\x1f\x8b" + server.content
    elif wrong == "above another":
        server.content = above(on)
    elif wrong == "as raw":
        more = ("--yes", "--image-format", "raw")
    elif wrong == "no address":
        url = "https://user:secret@127.0.0.1/"
    else:
        more = ("--sha256", "abc")
    on.refused(code, *add(url, *more))


def above(on: Templates) -> bytes:
    path = on.host.place / "above.qcow2"
    on.host.must("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", SOURCE, str(path))
    return path.read_bytes()


def test_another_checksum_leaves_nothing(on: Templates, server: Served) -> None:
    before = on.files()
    assert "[fetch.checksum]" in on.cli(*add(server.url, "--sha256", "0" * 64), status=1)
    assert on.files() == before
    assert on.host.left_open() == []


def test_a_dry_run_downloads_nothing_but_its_begin(on: Templates, server: Served) -> None:
    before = on.files()
    found = on.data(*add(server.url), "--dry-run")
    assert [step["kind"] for step in found["steps"]][-4:] == [
        "volume.create", "volume.fetch", "volume.create", "template.record",
    ]  # fmt: skip
    assert [asked["Range"] for asked in server.asked] == ["bytes=0-65535"]
    assert on.files() == before


@pytest.mark.matrix
@pytest.mark.parametrize("number", range(1, BOUNDARIES + 1))
def test_what_a_process_that_was_killed_has_made_goes(on: Templates, server: Served, number: int) -> None:
    before = on.files()
    on.killed(number, *add(server.url, "--sha256", server.sha256))
    on.host.recover_uninstalled()
    assert (on.files(), on.host.left_open()) == (before, [])
    assert kept(on) == {}


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_one_that_is_killed_while_it_downloads_goes_on_when_it_is_done_again(
    on: Templates, server: Served, number: int
) -> None:
    before, whole = on.files(), (*add(server.url, "--sha256", server.sha256), "--yes")
    killed_at(on, server, number * PIECE, *whole)
    assert "is not finished" in on.cli(*whole, status=3)
    on.host.recover_uninstalled()
    assert (on.files(), on.host.left_open()) == (before, [])
    ((_, done),) = kept(on).items()
    assert done >= number * PIECE
    server.asked, server.sent = [], []
    on.cli(*whole)
    assert [asked.get("Range") for asked in server.asked[1:]] == [f"bytes={done}-" if done else None]
    assert sum(server.sent) == len(server.content) - done
    assert on.digest(IMAGE) == server.sha256
    assert kept(on) == {}


def killed_at(on: Templates, server: Served, at: int, *argv: str) -> None:
    """`vfioctl ARGV`, killed when the server has sent `at` bytes."""
    server.half_way(at)
    child = on.host.started(*argv)
    assert server.reached.wait(30)
    assert until(lambda: sum(kept(on).values()) >= at and bool(kept(on)), 20)
    child.kill()
    child.wait()
    server.still_at = -1
    server.pause.set()


def test_a_server_that_stands_still_ends_it_and_what_has_come_is_gone_on_with(on: Templates, server: Served) -> None:
    before, whole = on.files(), add(server.url, "--sha256", server.sha256)
    server.half_way()
    said = on.cli(*whole, status=1)
    assert "[fetch.stalled]" in said
    assert "are kept for 7 days" in said
    assert (on.files(), on.host.left_open()) == (before, [])
    ((_, done),) = kept(on).items()
    server.pause.set()
    server.sent = []
    on.cli(*whole)
    assert sum(server.sent) == len(server.content) - done
    assert on.digest(IMAGE) == server.sha256


def test_one_that_was_renewed_since_is_downloaded_anew(on: Templates, server: Served) -> None:
    killed_at(on, server, 2 * PIECE, *add(server.url, "--yes"))
    on.host.recover_uninstalled()
    server.content = server.content[:-1] + b"x"
    server.validators = {"ETag": '"second"'}
    server.sent = []
    on.cli(*add(server.url, "--sha256", server.sha256))
    assert sum(server.sent) == len(server.content)
    assert on.digest(IMAGE) == server.sha256
    assert kept(on) == {}


def test_what_is_not_asked_for_again_goes_after_a_week(on: Templates, server: Served) -> None:
    killed_at(on, server, PIECE, *add(server.url, "--yes"))
    on.host.recover_uninstalled()
    (name,) = kept(on)
    on.host.must("touch", "-d", "8 days ago", f"{KEPT}/{name}")
    on.host.recover_uninstalled()
    assert kept(on) == {}
    assert on.host.run("ls", KEPT).returncode != 0


def test_what_is_interrupted_is_undone_and_what_has_come_is_kept(on: Templates, server: Served) -> None:
    before = on.files()
    server.half_way()
    child = on.host.started(*add(server.url, "--sha256", server.sha256))
    assert server.reached.wait(30)
    child.send_signal(signal.SIGINT)
    child.wait(30)
    assert (on.files(), on.host.left_open()) == (before, [])
    ((_, done),) = kept(on).items()
    server.pause.set()
    server.sent = []
    on.cli(*add(server.url, "--sha256", server.sha256))
    assert sum(server.sent) == len(server.content) - done
    assert kept(on) == {}
