"""Addresses of HTTP and HTTPS: whom they are believed, where they may lead, and what is seen of them first."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest
from downloads import CONTENT, Served, serving
from second_node import Authority

from vfioctl.errors import Refused
from vfioctl.kinds.files import web
from vfioctl.kinds.files.file_fetch import KIND
from vfioctl.kinds.files.web import glance

HERE = "IP:127.0.0.1"
MOST = 4096


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """This host trusts the authority, as ca-certificates lets it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    return authority


@pytest.fixture
def secure(authority: Authority) -> Iterator[Served]:
    with serving(authority.sign("here", "serverAuth", HERE)) as served:
        yield served


def refused(url: str, code: str, most: int = MOST) -> str:
    with pytest.raises(Refused) as caught:
        glance(url, most)
    assert caught.value.code == code
    assert caught.value.state == "Nothing was changed."
    return caught.value.message


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_the_begin_and_the_length_are_seen_without_the_rest(server: Served, ranges: bool) -> None:  # noqa: FBT001
    server.ranges = ranges
    found = glance(server.url, MOST)
    assert (found.final, found.size, found.begin) == (server.url, len(CONTENT), CONTENT[:MOST])
    assert not found.is_whole


def test_what_is_short_is_seen_whole(server: Served) -> None:
    server.content = b"short"
    assert glance(server.url, MOST) == web.Glance(server.url, 5, b"short", is_whole=True)


def test_a_length_that_nobody_tells_is_0(server: Served) -> None:
    server.chunked, server.ranges = True, False
    found = glance(server.url, MOST)
    assert (found.size, found.begin) == (0, CONTENT[:MOST])


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 19, "-1", "\xb2", "many", ""])
def test_a_length_that_no_file_has_counts_as_not_told(server: Served, number: str) -> None:
    server.lies = {"Content-Length": number, "Content-Range": f"bytes 0-4095/{number}"}
    for server.ranges in (True, False):
        found = glance(server.url, MOST)
        assert (found.size, found.begin) == (0, CONTENT[:MOST])


@pytest.mark.parametrize("said", ["bytes 0-1/{}", "bytes {}-1/2", "bytes */{}"])
def test_a_part_that_no_file_has_counts_as_not_told(said: str) -> None:
    headers = Message()
    headers["Content-Range"] = said.format("9" * 5000)
    assert web.range_of(headers) == (0 if said.startswith("bytes 0") else None, 2 if said.endswith("2") else None)


@pytest.mark.usefixtures("trusted")
def test_a_server_with_a_certificate_of_a_trusted_authority_is_believed(secure: Served) -> None:
    assert glance(secure.url, MOST).begin == CONTENT[:MOST]


def test_one_of_another_authority_is_not(secure: Served) -> None:
    assert "not who it says" in refused(secure.url, "fetch.untrusted")
    assert secure.asked == []


def test_one_with_a_certificate_of_another_name_is_not(trusted: Authority) -> None:
    with serving(trusted.sign("elsewhere", "serverAuth", "DNS:elsewhere.test")) as served:
        refused(served.url, "fetch.untrusted")
        assert served.asked == []


@pytest.mark.usefixtures("trusted")
def test_a_redirection_to_https_is_followed_and_said(server: Served, secure: Served) -> None:
    server.location = secure.url
    assert glance(server.url, MOST).final == secure.url


@pytest.mark.usefixtures("trusted")
def test_none_leads_from_https_to_http(server: Served, secure: Served) -> None:
    secure.location = server.url
    assert server.url in refused(secure.url, "fetch.redirected")
    assert server.asked == []


@pytest.mark.usefixtures("trusted")
def test_none_leads_back_to_http_over_https(server: Served, secure: Served) -> None:
    with serving() as first:
        first.location, secure.location = secure.url, server.url
        refused(first.url, "fetch.redirected")


@pytest.mark.parametrize("url", ["ftp://host/x", "file:///etc/passwd", "https://user:secret@host/x", "https://", "x"])
def test_what_is_no_address_is_refused_without_a_question_to_anybody(url: str) -> None:
    refused(url, "fetch.address")


@pytest.mark.parametrize("status", [404, 500])
def test_an_error_of_the_server_is_told(server: Served, status: int) -> None:
    server.statuses = [status]
    assert str(status) in refused(server.url, "fetch.status")


def test_a_server_that_is_not_there_is_told_without_what_may_be_secret() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/image?token=hunter2"
    assert "hunter2" not in refused(url, "fetch.unreachable")


@pytest.mark.usefixtures("impatient")
def test_a_server_that_falls_silent_ends_it(server: Served) -> None:
    server.ranges = False
    server.half_way()
    refused(server.url, "fetch.stalled", len(CONTENT))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("what", ["drip", "drip_head"])
def test_one_that_goes_on_without_an_end_ends_it(server: Served, what: str) -> None:
    server.ranges = False
    setattr(server, what, 0.05)
    assert "0.6 s" in refused(server.url, "fetch.stalled", len(CONTENT))


@pytest.mark.usefixtures("trusted")
def test_a_file_comes_over_https_also_in_parts(plain, secure: Served) -> None:  # type: ignore[no-untyped-def]
    from step_builders import planned

    Path(plain.paths.at("var/lib")).chmod(0o755)
    secure.cut = [len(CONTENT) // 2]
    step = planned(plain, "file.fetch", {"url": secure.url, "path": "/var/lib/image"})
    KIND.guard(step, plain)
    KIND.apply(step, plain)
    assert Path(plain.paths.at("var/lib/image")).read_bytes() == CONTENT
    assert secure.asked[1]["Range"] == f"bytes={len(CONTENT) // 2}-"
