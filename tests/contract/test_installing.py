"""What is installed has a hash or comes from this checkout, in every command that a page, a hint or a script names."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
CONTRIB = ROOT / "contrib"
PLACES = sorted(path for path in (
    *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md"), *CONTRIB.glob("**/*.md"),
    *CONTRIB.glob("*.sh"), ROOT / ".ci/run", *ROOT.glob("vfioctl/**/*.py"), *ROOT.glob("plugins/*/vfioctl_*/**/*.py"),
    *ROOT.glob("tests/lab/**/*.py"), *ROOT.glob("tests/contract/test_*.py"),
) if path != Path(__file__) and path.name != "CHANGELOG.md")  # fmt: skip
COMMAND = re.compile(r"\bpipx? (?:-\S+ )*(?:install|download|wheel)\b[^`\n]*|(?<=/bin/pip\", \")[^\n]*")
SECTIONS = re.compile(r"^# ([a-z-]+): .*\n((?:.+\n)*)", re.MULTILINE)


def commands(text: str) -> list[str]:
    return [" ".join(found.split()) for found in COMMAND.findall(text.replace("\\\n", " "))]


def is_safe(command: str) -> bool:
    """Nothing is asked of an index, or everything is named in a file with hashes."""
    if "--no-index" in command:  # a directory of wheels that pip's own configuration names may have a vfioctl as well
        return any(option in command for option in ("--no-deps", "--find-links", "--require-hashes"))
    return "--require-hashes" in command and (" -r " in command or '"$@"' in command) and " ." not in command


def test_every_pip_command_takes_what_it_gets_by_hash_or_from_no_index() -> None:
    found = {(path, command) for path in PLACES for command in commands(path.read_text())}
    assert len(found) > 15
    assert {(str(path.relative_to(ROOT)), command) for path, command in found if not is_safe(command)} == set()


@pytest.mark.parametrize(("command", "safe"), [
    ("pip install vfioctl", False), ("pip install .", False), ("pip install './[libvirt]'", False),
    ("pip install --require-hashes vfioctl==0.1", False), ("pip install -r contrib/requirements.txt", False),
    ("pip install --require-hashes -r a.txt .", False), ("pip install --require-hashes -r a.txt", True),
    ("pip install --no-index --no-deps --no-build-isolation .", True), ("pip install --no-index .", False),
])  # fmt: skip
def test_the_rule_tells_safe_from_unsafe(command: str, safe: bool) -> None:  # noqa: FBT001 -- a case, not a switch
    assert commands(f"x `sudo /opt/vfioctl/bin/{command}` y") == [command]
    assert is_safe(command) is safe


def test_a_command_over_two_lines_is_one() -> None:
    assert commands("a pip install \\\n    vfioctl\nb") == ["pip install vfioctl"]


def test_no_page_and_no_message_names_an_extra_as_if_an_index_had_it() -> None:
    assert [str(path) for path in PLACES if re.search(r"vfioctl(?:-\w+)*\[\w", path.read_text())] == []


def sections() -> dict[str, dict[str, str]]:
    """The projects and versions below each heading of constraints.txt."""
    text = (CONTRIB / "constraints.txt").read_text()
    return {name: dict(line.split("==") for line in lines.split()) for name, lines in SECTIONS.findall(text)}


def hashed(path: Path) -> dict[str, str]:
    """The projects and versions of a file, each of which has hashes."""
    found = re.findall(r"^([\w.-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", path.read_text(), re.MULTILINE)
    return {name: version for name, version, _ in found}


@pytest.mark.parametrize("name", sections())
def test_every_version_has_hashes_and_no_other_has(name: str) -> None:
    path = CONTRIB / "requirements" / f"{name}.txt"
    assert hashed(path) == sections()[name]
    rest = re.sub(r"^[\w.-]+==\S+(?: \\\n    --hash=\S+)+$\n", "", path.read_text(), flags=re.MULTILINE)
    head = ["# Made from contrib/constraints.txt by contrib/hashes.py."]
    assert rest.splitlines() == (head if name == "libvirt" else [*head, "--only-binary :all:"])


def test_there_is_a_file_for_each_section_and_none_besides() -> None:
    assert {path.stem for path in (CONTRIB / "requirements").iterdir()} == set(sections())
    _, *lines = (CONTRIB / "requirements.txt").read_text().splitlines()
    assert lines == ["-r requirements/run.txt", "-r requirements/build.txt"]


def test_no_project_is_named_twice_and_none_is_ours() -> None:
    names = [canonicalize_name(name) for versions in sections().values() for name in versions]
    assert len(names) == len(set(names))
    assert not [name for name in names if name.startswith("vfioctl")]


def needs(requirements: list[str]) -> Iterator[tuple[str, Requirement]]:
    """Every project that these need, and what is wanted of it, as far as it is installed here."""
    waiting, seen = [Requirement(text) for text in requirements], set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        yield name, wanted
        if name in seen:
            continue
        seen.add(name)
        inner = map(Requirement, distribution(wanted.name).requires or ())
        waiting += [one for one in inner if one.marker is None or one.marker.evaluate({"extra": ""})]


def pyproject(path: Path) -> dict[str, object]:
    found = tomllib.loads((path / "pyproject.toml").read_text())
    project = found["project"]
    extras = project.get("optional-dependencies", {})
    ours = ("vfioctl",)
    run = [need for need in project.get("dependencies", []) if Requirement(need).name not in ours]
    return {"run": run, "build": found["build-system"]["requires"], **extras}


PROJECTS = (ROOT, *sorted((ROOT / "plugins").glob("vfioctl-*")), CONTRIB / "example-plugin")


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.name if path != ROOT else "vfioctl")
@pytest.mark.parametrize("what", ["run", "build", "testing", "dev"])
def test_all_that_is_needed_has_a_version_that_will_do(path: Path, what: str) -> None:
    known = sections()
    there = {
        canonicalize_name(name): version for name in {"run", "build", "testing" if what == "testing" else "run", what}
        | ({"testing"} if what == "dev" else set()) for name, version in known[name].items()
    }  # fmt: skip
    wanted = pyproject(path).get(what, [])
    assert isinstance(wanted, list)
    lacking = [str(one) for name, one in needs(wanted) if not one.specifier.contains(there.get(name, "0"))]
    assert lacking == []


def test_nowhere_is_an_index_named() -> None:
    named = re.compile(r"index-url|https?://(pypi|files|test)\.|/simple/?\b")
    places = (*PLACES, *CONTRIB.glob("**/*.txt"), CONTRIB / "hashes.py", *ROOT.glob("**/pyproject.toml"))
    assert [str(path) for path in places if named.search(path.read_text())] == []
