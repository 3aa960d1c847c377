"""Plugins import nothing of vfioctl but the one public module, and that keeps what it promises."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from reference import ROOT, hook_example, hook_functions, public_doc

from vfioctl import plugin
from vfioctl.plugin.implementations import find, misspelt
from vfioctl.plugin.static import FILE, read_static
from vfioctl.testing.libvirt import FakeLibvirt

DOOR = Path(plugin.__file__)
PLUGINS = [
    *sorted(ROOT.glob("plugins/*/vfioctl_*/**/*.py")),
    *sorted(ROOT.glob("contrib/example-plugin/**/*.py")),
]


def imported(tree: ast.AST) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each module that is imported from, with the names; none for a plain import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", tuple(alias.name for alias in node.names)


def trespasses(source: str) -> list[str]:
    """What of vfioctl `source` imports that is not public."""
    ours = [(module, names) for module, names in imported(ast.parse(source)) if module.split(".")[0] == "vfioctl"]
    return [
        f"{module}: {', '.join(names) or 'itself'}" for module, names in ours
        if not (module == "vfioctl.plugin" and names and set(names) <= set(plugin.__all__))
        and not module.startswith("vfioctl.testing") and not (module == "vfioctl" and set(names) == {"testing"})
    ]  # fmt: skip


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_plugin_imports_nothing_but_the_public_module(path: Path) -> None:
    assert trespasses(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "from vfioctl.host.host import Host",
        "from vfioctl.plugin.types import Request",
        "from vfioctl.plugin import types",
        "from vfioctl import files",
        "import vfioctl.files",
        "def late():\n    from vfioctl.shell import word",
    ],
)
def test_another_import_is_found(source: str) -> None:
    assert len(trespasses(source)) == 1


@pytest.mark.parametrize("name", plugin.__all__)
def test_a_public_name_says_what_it_is(name: str) -> None:
    assert public_doc(name)


def test_each_public_name_is_declared_for_type_checkers_and_found_when_asked_for() -> None:
    block = next(node for node in ast.parse(DOOR.read_text()).body if isinstance(node, ast.If))
    seen = {(module, name) for module, names in imported(block) for name in names}
    # click makes the options and asks for the names, and no hook may import it: so they are declared, not imported
    made = {"Options": "vfioctl.verbs.options", "Completes": "vfioctl.verbs.names"}
    declared = {(made[node.annotation.id], node.target.id) for node in block.body if isinstance(node, ast.AnnAssign)}
    found = {(module, name) for module, names in plugin._MODULES.items() for name in names.split()}
    checking = ("vfioctl.checking", "TYPE_CHECKING")  # imported where it is used
    assert seen | {checking} | declared == found
    assert sorted(name for _, name in found) == sorted(plugin.__all__)


def test_importing_the_public_module_imports_no_other_room() -> None:
    code = "import sys, vfioctl.plugin\nprint(*sorted(name for name in sys.modules if name.startswith('vfioctl')))"
    said = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["vfioctl", "vfioctl.checking", "vfioctl.plugin"]


def test_a_name_that_is_not_public_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        plugin.__getattr__("nonsense")


def tutorial(marker: str) -> str:
    """The first indented block of the public module's docstring that holds `marker`."""
    blocks = re.findall(r"(?:^(?: {4}.*)?\n)+", plugin.__doc__ or "", re.MULTILINE)
    return textwrap.dedent(next(block for block in blocks if marker in block))


def test_the_hooks_of_the_tutorial_are_hooks() -> None:
    module = ModuleType("tutorial")
    exec(tutorial("def vfioctl_pre_start"), vars(module))
    vars(module).update({name: getattr(plugin, name) for name in plugin.__all__})
    exec(tutorial("def vfioctl_preflight"), vars(module))
    assert {found.hook for found in find(module)} == {"vfioctl_pre_start", "vfioctl_preflight"}


def test_the_static_file_of_the_tutorial_is_right(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(tutorial("[[code]]"))
    data = read_static(str(tmp_path))
    assert (data["api"], data["code"][0]["name"]) == (plugin.API_VERSION, "governor.idle")


def test_the_test_of_the_tutorial_uses_what_the_kit_has() -> None:
    source = tutorial("def test_")
    compile(source, "tutorial", "exec")
    used = set(re.findall(r"libvirt\.(\w+)\(", source))
    assert used == {name for name in used if hasattr(FakeLibvirt, name)} >= {"start", "stop", "returned"}


HOOKS = tuple(hook_functions())


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_says_when_it_is_called_and_what_its_answer_means(name: str) -> None:
    said = hook_functions()[name].__doc__ or ""
    assert [word for word in ("When: ", "Answer: ", "Example:") if word not in said] == []


@pytest.mark.parametrize("name", HOOKS)
def test_the_example_of_a_hook_implements_it_with_public_names_alone(name: str) -> None:
    module = ModuleType("example")
    vars(module).update({public: getattr(plugin, public) for public in plugin.__all__}, Iterable=Iterable)
    tree = ast.parse(hook_example(name))
    exec(compile(tree, name, "exec"), vars(module))  # annotations are evaluated, so each must be a public name
    assert [found.hook for found in find(module)] == [name]
    assert misspelt(module) == ()


@pytest.mark.parametrize("name", HOOKS)
def test_a_specification_returns_what_leaving_the_hook_out_means(name: str) -> None:
    function = hook_functions()[name]
    answer = function(*(None for _ in inspect.signature(function).parameters))
    assert answer == (() if "Iterable" in inspect.signature(function).return_annotation else None)
