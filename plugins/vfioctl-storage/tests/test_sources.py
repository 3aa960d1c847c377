"""The published images that the plugin knows, and the lists of checksums beside them."""

from __future__ import annotations

import pytest
from vfioctl_storage.checksums import find
from vfioctl_storage.plugin import vfioctl_template_sources
from vfioctl_storage.views import sources

from vfioctl.plugin.results import many
from vfioctl.plugin.types import TemplateSource

SHORT, LONG = "a" * 64, "b" * 128


def test_every_image_is_one_that_the_border_lets_through() -> None:
    known = many(TemplateSource)(vfioctl_template_sources())
    assert len({one.name for one in known}) == len(known)
    assert {one.system for one in known} == {"Debian", "Ubuntu", "Fedora", "Alpine", "Arch Linux"}


@pytest.mark.parametrize(("listed", "found"), [
    (f"{SHORT}  a.img\n{'c' * 64}  b.img\n", ("sha256", SHORT)), (f"{SHORT} *a.img\n", ("sha256", SHORT)),
    (f"{LONG}  ./a.img\n", ("sha512", LONG)), (f"{LONG}\n", ("sha512", LONG)),
    (f"{SHORT.upper()}  a.img\r\n", ("sha256", SHORT)),
    (f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# a.img: 5\nSHA256 (a.img) = {SHORT}\n", ("sha256", SHORT)),
    (f"SHA512 (a.img) = {LONG}\n", ("sha512", LONG)),
])  # fmt: skip
def test_the_checksum_of_a_file_is_found_in_each_form(listed: str, found: tuple[str, str]) -> None:
    assert find(listed, "a.img") == found


@pytest.mark.parametrize("listed", [
    "", f"{SHORT}  b.img\n", f"{SHORT}  a.img\n{'c' * 64}  a.img\n", "abc  a.img\n", f"{SHORT}  a.img.asc\n",
    "<html></html>", f"SHA1 (a.img) = {'a' * 40}\n",
])  # fmt: skip
def test_where_there_is_none_or_more_than_one_nothing_is_taken(listed: str) -> None:
    assert find(listed, "a.img") == ("", "")


def test_images_stand_in_columns() -> None:
    row = {"name": "debian-12", "system": "Debian", "version": "12", "architecture": "x86_64",
           "url": "https://cloud.debian.org/a", "checksums": "https://x.test/b", "plugin": "storage"}  # fmt: skip
    (table,) = sources({"sources": [row]})
    assert table.rows == (("debian-12", "Debian", "12", "x86_64", "cloud.debian.org", "storage"),)
    assert list(sources({"sources": []})) == ["No plugin knows a published image."]
