"""The documentation is true: everything has its page, links lead somewhere, named commands exist."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import json_page
import pytest
from hints import Hint, in_source, in_text, problem
from reference import PLUGIN_DIRS, ROOT, hook_functions, hook_heading, parameter_names, plugin_codes

from vfioctl.codes import CODES
from vfioctl.config.load import load_guest
from vfioctl.config.schema import SETTINGS
from vfioctl.kinds import MODULES
from vfioctl.kinds.conditions import VOCABULARY
from vfioctl.paths import Paths
from vfioctl.plugin.static import read_static
from vfioctl.plugin.types import PluginInfo
from vfioctl.txn.kind import kind
from vfioctl.verbs.table import ROWS

DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
ALL_SOURCES = tuple(sorted((*ROOT.glob("vfioctl/**/*.py"), *ROOT.glob("plugins/*/vfioctl_*/**/*.py"))))
SOURCES = tuple(path for path in ALL_SOURCES if "testing" not in path.parts and "codes" not in path.parts)
UNDO = ROOT / "vfioctl/handoff/undo.sh"
SCRIPTS = (UNDO, *sorted(ROOT.glob("contrib/**/*.sh*")), *sorted(ROOT.glob("contrib/**/*.in")))
PAGES = tuple(
    path for path in sorted(ROOT.glob("**/*.md"))
    if not any(part.startswith(".") or part in ("build", "dist", "node_modules") for part in path.parts)
)  # fmt: skip
OF_CORE = {row.code for row in CODES}
OF_PLUGIN = {name: {row.code for row in rows} for name, rows in plugin_codes().items()}
KNOWN = OF_CORE.union(*OF_PLUGIN.values())
CODE = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z_]*)?")


STATIC = {
    data["name"]: data
    for directory in (*PLUGIN_DIRS, ROOT / "contrib/example-plugin/vfioctl_governor")
    for data in (read_static(str(directory)),)
}


def text(name: str) -> str:
    return (REFERENCE / name).read_text()


def headings(page: str) -> set[str]:
    return {line.lstrip("# ") for line in page.split("\n") if line.startswith("#")}


# Everything has its page


@pytest.mark.parametrize("name", tuple(hook_functions()))
def test_every_hook_has_a_section_with_its_exact_arguments(name: str) -> None:
    assert hook_heading(name) in headings(text("hooks.md"))


@pytest.mark.parametrize("name", tuple(MODULES))
def test_every_step_kind_has_a_section_that_states_undo_scope_and_lifetime(name: str) -> None:
    section = text("steps.md").split(f"\n## {name}\n")[1].split("\n## ")[0]
    one = kind(name)
    assert f"Undo: **{one.undo_class}**. Scope: **{one.scope}**. Lifetime: **{one.lifetime}**." in section


@pytest.mark.parametrize("name", tuple(MODULES))
def test_the_explanation_of_undo_puts_every_kind_in_its_class(name: str) -> None:
    rows = {row.split("|")[1].strip(): row for row in (DOCS / "explanation/undo.md").read_text().split("\n")
            if row.startswith("| ")}  # fmt: skip
    assert f"`{name}`" in rows[str(kind(name).undo_class)]


@pytest.mark.parametrize("name", tuple(MODULES))
def test_every_parameter_that_a_step_kind_reads_is_documented(name: str) -> None:
    source = (ROOT / "vfioctl/kinds" / f"{MODULES[name]}.py").read_text()
    read = set(re.findall(r"params\[\"(\w+)\"\]|params\.get\(\"(\w+)\"", source))
    documented = {parameter.rstrip("?") for parameter in parameter_names(kind(name))}
    assert {one or other for one, other in read} <= documented


@pytest.mark.parametrize("code", sorted(KNOWN))
def test_every_error_code_stands_in_the_reference(code: str) -> None:
    assert f"| `{code}` |" in text("errors.md")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.path)
def test_every_setting_of_the_core_stands_in_the_reference(setting) -> None:
    assert f"| `{setting.path}` |" in text("config.md")


@pytest.mark.parametrize("directory", PLUGIN_DIRS, ids=lambda path: path.name)
def test_every_setting_of_a_plugin_stands_in_the_reference_and_in_its_readme(directory: Path) -> None:
    data = read_static(str(directory))
    readme = (directory.parent / "README.md").read_text()
    for key in data["config"]:
        assert f"| `{data['name']}.{key}` |" in text("config.md")
        assert key in readme, f"{directory.parent.name}/README.md does not mention {key}"


@pytest.mark.parametrize("name", [row.name for row in ROWS if not row.hidden])
def test_every_command_has_a_section(name: str) -> None:
    assert f"vfioctl {name}" in headings(text("cli.md"))


# Codes


def used_codes(path: Path) -> set[str]:
    """Every string of a file that has the form of a code and is not known to be something else."""
    constants = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
    words = {value for value in constants if isinstance(value, str) and CODE.fullmatch(value)}
    return {word for word in words if word in KNOWN or ("." in word and not _is_something_else(word))}


def _is_something_else(word: str) -> bool:
    return word in OTHERS or word.startswith("vfioctl.") or word.rpartition(".")[2] in SUFFIXES


OTHERS = {
    *MODULES, *VOCABULARY, *(setting.path for setting in SETTINGS),
    "lxc.monitor", "lxc.payload", "security.selinux", "snapshot.nvram",
    "balloon.current", "state.reason", "state.state", "vcpu.current",  # of virConnectGetAllDomainStats
}  # fmt: skip
SUFFIXES = ("service", "socket", "scope", "target", "slice", "log", "sh", "py", "toml", "json", "jsonl", "conf", "ids")


def test_every_code_that_the_source_uses_is_in_the_table() -> None:
    missing = {f"{path.name}: {code}" for path in SOURCES for code in used_codes(path) - KNOWN}
    assert missing == set()


def sources_of(owner: Path) -> Iterator[Path]:
    return (path for path in SOURCES if path.is_relative_to(owner))


def used_below(owner: Path) -> set[str]:
    return {code for path in sources_of(owner) for code in used_codes(path)}


def test_every_code_of_the_core_is_used_by_the_core() -> None:
    used = used_below(ROOT / "vfioctl")
    assert used >= OF_CORE, f"let the plugin that has it declare it: {OF_CORE - used}"


@pytest.mark.parametrize("directory", PLUGIN_DIRS, ids=lambda path: path.name)
def test_a_plugin_uses_the_codes_that_it_declares_and_else_those_of_the_core(directory: Path) -> None:
    declared, used = OF_PLUGIN[read_static(str(directory))["name"]], used_below(directory)
    assert used >= declared, declared - used
    assert used - declared <= OF_CORE, used - declared - OF_CORE


def test_no_code_is_declared_twice() -> None:
    declared = [*OF_CORE, *(code for codes in OF_PLUGIN.values() for code in codes)]
    assert len(declared) == len(KNOWN)


def test_the_table_of_codes_is_sorted_and_has_no_code_twice() -> None:
    codes = [row.code for row in CODES]
    assert codes == sorted(set(codes))


def test_every_code_has_a_sentence_and_a_remedy() -> None:
    assert all(row.meaning.endswith(".") and row.remedy.endswith(".") for row in CODES)


# What a code may be taken for: a setting of the core or of a plugin, a step kind, a condition, the id of a step, a key.
DOTTED = {
    *OTHERS, *(f"{info}.{key}" for info, static in STATIC.items() for key in static["config"]),
    *(key for verbs in json_page.pages().values() for one in verbs.values() for key in one["keys"]),
}  # fmt: skip
AREAS = {code.partition(".")[0] for code in KNOWN if "." in code} - {"host"}  # the kit's host has attributes


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_code_that_a_page_names_exists(page: Path) -> None:
    named = {word for word in re.findall(r"`([a-z_]+\.[a-z_]+)`", page.read_text()) if word.partition(".")[0] in AREAS}
    assert {word for word in named - KNOWN - DOTTED if not _is_something_else(word)} == set()


# Links and commands

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(page.read_text())}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        assert found.exists(), f"{target} is not there"
        assert found.is_relative_to(ROOT), f"{target} leads out of the repository"
        assert not anchor or anchor in anchors(found), f"{target}: no such heading"


@pytest.mark.parametrize("page", sorted(DOCS.glob("**/*.md")), ids=lambda path: str(path.relative_to(DOCS)))
def test_every_page_can_be_found_from_the_index(page: Path) -> None:
    index = DOCS / "README.md"
    linked = {(index.parent / target).resolve() for target in LINK.findall(index.read_text())}
    assert page == index or page in linked


def named_commands() -> Iterator[Hint]:
    for path in ALL_SOURCES:
        yield from in_source(path)
    for path in (*PAGES, *SCRIPTS):
        if path.name != "cli.md":  # made from the commands themselves
            yield from in_text(path)


def test_every_command_that_a_message_or_a_page_names_exists() -> None:
    hints = list(named_commands())
    assert len(hints) > 100
    assert [f"{hint}: {why}" for hint in hints if (why := problem(hint))] == []


@pytest.mark.parametrize("words", ["gpu lst", "config set --host session end", "status --fast", "plan a b", "nurse"])
def test_a_command_that_does_not_exist_would_be_seen(words: str) -> None:
    assert problem(Hint("here", tuple(words.split())))


# Configuration

TABLES = {
    name: PluginInfo(name, "0.1.0", data["api"], "", table=data["config"], opt_in=data["opt_in"])
    for name, data in STATIC.items()
}
TOML = re.compile(r"```toml\n(.*?)```", re.DOTALL)
GUEST_FILES = tuple(
    (str(page.relative_to(ROOT)), text)
    for page in PAGES for text in TOML.findall(page.read_text())
    if not {"build-system", "config", "command", "operation", "uri", "memory"} & tomllib.loads(text).keys()
)  # fmt: skip


@pytest.mark.parametrize(("page", "text"), GUEST_FILES, ids=[name for name, _ in GUEST_FILES])
def test_every_guest_file_that_a_page_shows_is_accepted(page: str, text: str, tmp_path: Path) -> None:
    paths = Paths(str(tmp_path))
    file = Path(paths.guest_config("win11"))
    file.parent.mkdir(parents=True)
    for directory in (tmp_path, tmp_path / "etc", file.parent.parent, file.parent):
        directory.chmod(0o755)
    file.write_text(text)
    file.chmod(0o644)
    assert load_guest(paths, "win11", TABLES).guest == "win11"


def test_enough_guest_files_are_shown() -> None:
    assert len(GUEST_FILES) > 5


# Words

# Work that is not finished, and paths of somebody's own machine.
FORBIDDEN = re.compile(r"\b(?:TO[D]O|FIX[M]E)\b|(?<![\w.$}])/(?:w[o]rk|tmp/d[e]v|home/(?!alice))/")
READ = (".py", ".md", ".toml", ".sh", ".in", ".service", ".txt", ".cfg")


def test_no_file_holds_a_forbidden_word() -> None:
    places = (ROOT / name for name in ("vfioctl", "plugins", "contrib", "tests", "docs"))
    files = [path for place in places for path in place.glob("**/*") if path.suffix in READ]
    found = {str(path.relative_to(ROOT)): hit.group() for path in files if (hit := FORBIDDEN.search(path.read_text()))}
    assert found == {}
