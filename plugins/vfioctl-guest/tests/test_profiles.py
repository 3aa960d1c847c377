"""Sets of choices for a new guest: read strictly, judged as what is typed, which wins over them."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from vfioctl_guest import profiles
from vfioctl_guest.commands.create import _used, create
from vfioctl_guest.commands.profile import listed
from vfioctl_guest.plugin import vfioctl_config_files
from vfioctl_guest.profile_views import shown, used
from vfioctl_guest.views import created

from vfioctl.doors import _judge
from vfioctl.paths import Paths
from vfioctl.plugin import Refused

PAGE = Path(__file__).parents[3] / "docs/how-to/guests.md"
SMALL = """description = "small ones"
memory = "2G"
cpus = 4
network = ["lan", "wan"]
disk = ["20G"]
tpm = true
firmware = "uefi"
"""


class Host(SimpleNamespace):
    """A host with profiles, as the call of a verb."""

    def __init__(self, root: Path) -> None:
        super().__init__(paths=Paths(str(root)))
        self.place = root / "etc/vfioctl/profiles"
        for one in (root / "etc", root / "etc/vfioctl", self.place):
            one.mkdir(mode=0o755)

    def write(self, name: str, text: str) -> Path:
        file: Path = self.place / f"{name}.toml"
        file.write_text(text)
        file.chmod(0o644)
        return file

    def typed(self, *argv: str) -> click.Context:
        """What click makes of the command line `guest create web ARGV`."""
        return create.make_context("create", ["web", *argv], obj=self)

    def asked(self, **given: Any) -> click.Context:
        """What another door makes of the same parameters."""
        ctx = click.Context(create, info_name="guest create", obj=self)
        with ctx:
            _judge(ctx, {"name": "web", **given})
        return ctx


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def small(host: Host) -> Path:
    return host.write("small", SMALL)


def test_what_is_not_typed_comes_from_the_profile_and_what_is_typed_wins(host: Host, small: Path) -> None:
    typed = host.typed("--profile", "small", "--cpus", "2", "--network", "other", "--no-tpm")
    for params in (typed.params, host.asked(profile="small", cpus=2, networks=["other"], tpm=False).params):
        assert (params["memory"], params["sizes"], params["firmware"]) == ("2G", ("20G",), "uefi")
        assert (params["cpus"], params["networks"], params["tpm"]) == (2, ("other",), False)
        assert (params["pool"], params["autostart"]) == ("default", False)


def test_only_what_counts_of_it_is_shown_with_its_line(host: Host, small: Path) -> None:
    with host.typed("--cpus", "2", "--profile", "small", "--no-tpm") as ctx:
        data = _used(ctx.params["profile"])
    assert data == {"name": "small", "file": str(small), "settings": {
        "memory": {"value": "2G", "origin": f"{small}:2"}, "network": {"value": ("lan", "wan"), "origin": f"{small}:4"},
        "disk": {"value": ("20G",), "origin": f"{small}:5"}, "firmware": {"value": "uefi", "origin": f"{small}:7"},
    }}  # fmt: skip
    assert list(used(data))[:2] == ["From the profile small:", f"  --memory 2G                  {small}:2"]
    assert list(used(None)) == []
    assert _used(None) is None


def test_a_dry_run_says_what_came_from_it_and_a_made_guest_does_not() -> None:
    profile = {"name": "small", "settings": {"tpm": {"value": True, "origin": "f:1"}}}
    data: dict[str, Any] = {"dry_run": True, "guest": {}, "steps": [], "xml": "", "profile": profile}
    assert list(created(data))[:2] == ["From the profile small:", "  --tpm  f:1"]
    assert next(iter(created({"guests": [data], "profile": profile}))) == "From the profile small:"
    made = {"guests": [{"name": "web", "made": False}], "profile": profile}
    assert next(iter(created(made))) == "Guest web is not made."


def test_without_one_everything_is_as_it_was(host: Host) -> None:
    with pytest.raises(click.MissingParameter, match="memory"):
        host.typed()
    assert host.typed("--memory", "1G").params["profile"] is None


def test_memory_is_still_asked_for_where_the_profile_has_none(host: Host) -> None:
    host.write("empty", "")
    with pytest.raises(click.MissingParameter, match="memory"):
        host.typed("--profile", "empty")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('memry = "2G"', 'small.toml:1: memry: there is no such setting; did you mean "memory"'),
        ('\nmemory = "2048"', "small.toml:2: memory: .*2048"), ('disk = ["20G", "x"]', "small.toml:1: disk: 'x'"),
        ("cpus = 0", "small.toml:1: cpus: expected a whole number from 1"),
        ('firmware = "efi"', "small.toml:1: firmware: expected"), ('tpm = "yes"', "small.toml:1: tpm: expected true"),
        ('iso = ["a.iso"]', "small.toml:1: iso: expected a path that begins with /"),
        ('volume = ["a/b"]', "volume: there is no such setting"), ("start = true", "start: there is no such setting"),
        ("cpus = 1\ncpus = 2", "small.toml:2: expected TOML"),
    ],
)
def test_what_is_wrong_in_it_is_named_with_its_line(host: Host, text: str, said: str) -> None:
    host.write("small", text)
    with pytest.raises(Refused, match=said):
        host.typed("--profile", "small", "--memory", "1G")


def test_every_profile_is_judged_where_the_configuration_is(host: Host, small: Path) -> None:
    wrong = host.write("wrong", 'cpus = 0\nmemory = "2"\niso = ["a", "/b"]\n')
    shared = host.write("shared", "")
    shared.chmod(0o666)
    found = {file.path: [one.message for one in file.findings] for file in vfioctl_config_files(host)}
    assert found[str(small)] == []
    assert [one.partition(": ")[0] for one in found[str(wrong)]] == [f"{wrong}:{line}" for line in (1, 2, 3)]
    assert len(found[str(shared)]) == 1


def test_one_that_there_is_not_is_answered_with_the_nearest(host: Host, small: Path) -> None:
    with pytest.raises(Refused, match='did you mean "small"') as caught:
        host.typed("--profile", "smal")
    assert caught.value.code == "profile.unknown"
    with pytest.raises(Refused, match="There is no profile"):
        host.typed("--profile", "../guests/web")


def test_all_are_listed_and_a_wrong_one_with_its_reason(host: Host, small: Path) -> None:
    host.write("wrong", "x = 1")
    host.write(".hidden", "")
    result = listed.callback.__wrapped__(host)
    rows = {row["name"]: row for row in result.data["profiles"]}
    assert list(rows) == ["small", "wrong"]
    assert rows["small"]["description"] == "small ones"
    assert "memory" in rows["small"]["settings"]
    assert "there is no such setting" in rows["wrong"]["error"]
    assert (result.exit_status, len(result.errors)) == (1, 1)
    small.unlink()
    (host.place / "wrong.toml").unlink()
    assert listed.callback.__wrapped__(host).exit_status == 0


def test_one_is_shown_as_it_would_be_typed(host: Host, small: Path) -> None:
    one = profiles.find(host, "small", create)
    data = {"name": "small", "file": one.file, "description": one.description, "settings": one.rows()}
    lines = list(shown(data))
    assert lines[1] == "  small ones"
    assert any(line.split()[:2] == ["--disk", "20G"] for line in lines)
    assert any("--network lan --network wan" in line for line in lines)


def test_the_profile_that_the_page_shows_is_accepted(host: Host) -> None:
    (text,) = re.findall(r"```toml\n# /etc/vfioctl/profiles/small.toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    host.write("small", text)
    assert host.typed("--profile", "small").params["memory"] == "2G"


def test_every_key_is_an_option_of_the_verb_and_completed(host: Host, small: Path) -> None:
    assert set(profiles.options(create)) == set(profiles.KEYS)
    ctx = click.Context(create, obj=host)
    assert profiles.profile_names(ctx, create.params[0], "s") == ["small"]
    assert profiles.profile_names(ctx, create.params[0], "x") == []
