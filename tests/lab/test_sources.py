"""Which apt sources a suite gets: this computer's own entries, or those of its own suite with the suite replaced."""

from __future__ import annotations

import pytest

from tests.lab import sources
from tests.lab.errors import CannotRun

DEB822 = """# a comment
Types: deb
URIs: http://mirror/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://elsewhere
Suites: nodistro
Components: main
"""
OWN = DEB822.partition("\n\n")[0].partition("\n")[2]


@pytest.fixture
def computer(tmp_path, monkeypatch):
    """A Debian 12 with these sources."""
    (tmp_path / "debian.sources").write_text(DEB822)
    monkeypatch.setattr(sources, "FILES", (f"{tmp_path}/*.sources",))
    monkeypatch.setattr(sources, "_release", lambda: {"VERSION_ID": '"12"', "VERSION_CODENAME": "bookworm"})


def test_only_the_distributions_own_sources_are_used():
    assert sources.deb822(DEB822, {"bookworm", "bookworm-updates"}) == [OWN]


def test_an_old_sources_list_is_read_with_its_options():
    text = "deb [arch=amd64 signed-by=/k.gpg] http://m/d bookworm main contrib # why\n#deb http://m/d bookworm main\n"
    stanza = "Types: deb\nURIs: http://m/d\nSuites: bookworm\nComponents: main contrib\nSigned-By: /k.gpg"
    assert sources.one_line(text, {"bookworm"}) == [stanza]


def test_the_own_suite_has_the_own_entries(computer):
    assert sources.entries("bookworm") == OWN + "\n"


def test_another_suite_has_the_own_entries_with_the_suite_replaced(computer):
    assert sources.entries("trixie") == OWN.replace("bookworm", "trixie") + "\n"


def test_only_suites_are_replaced():
    stanza = "URIs: http://bookworm/debian\nSuites: bookworm bookworm-security bookworm-backports"
    said = "URIs: http://bookworm/debian\nSuites: trixie trixie-security bookworm-backports"
    assert sources.renamed(stanza, "bookworm", "trixie") == said


def test_a_number_names_a_suite_and_none_this_computers(computer):
    assert [sources.suite_of(number) for number in ("", "12", "13")] == ["bookworm", "bookworm", "trixie"]


def test_a_debian_that_is_not_known_is_named(computer):
    with pytest.raises(CannotRun, match=r"Debian 11 is not known here; there are 12 and 13\."):
        sources.suite_of("11")
