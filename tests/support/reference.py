"""The pages of docs/reference that are made from the code: steps, errors, exit statuses, settings, hooks.

tests/contract/test_reference.py compares them with the files; --regenerate writes them.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import signal
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any

from vfioctl import codes, errors, findings, plugin
from vfioctl.actions.errors import Interrupted
from vfioctl.codes.code import declared
from vfioctl.config import schema
from vfioctl.doctor.at_length import AT_LENGTH
from vfioctl.kinds import MODULES
from vfioctl.kinds.conditions import OPTIONAL, VOCABULARY
from vfioctl.plugin import spec, types
from vfioctl.plugin.static import FILE, read_static
from vfioctl.plugin.types import PluginInfo
from vfioctl.signals import BY_SIGNAL
from vfioctl.txn import step
from vfioctl.txn.kind import Kind, kind
from vfioctl.verbs import listed

ROOT = Path(__file__).parents[2]
MADE = "<!-- Generated from the code: pytest tests/contract/test_reference.py --regenerate -->"
PLUGIN_DIRS = tuple(sorted(path.parent for path in (ROOT / "plugins").glob(f"*/*/{FILE}")))
SHIPPED = listed.of({  # the verbs of the plugins that are made here
    "groups": [group for place in PLUGIN_DIRS for group in read_static(str(place))["group"]],
    "commands": [
        {"view": "", "effect": "change", **row, "plugin": data["name"], "prints": False}
        for data in (read_static(str(place)) for place in PLUGIN_DIRS) for row in data["command"]
    ],
})  # fmt: skip
BORDER = ("Request", "GpuHandoff", "SnapshotBackend", "DoctorCheck", "Outcome")
API: Mapping[str, tuple[str, ...]] = {
    "Hooks and what they return": ("vfioctl.plugin.markers", "vfioctl.plugin.types", "vfioctl.txn.step",
                                 "vfioctl.findings"),
    "Facts": ("vfioctl.host", "vfioctl.events.model", "vfioctl.config"),
    "Guests, as libvirt has them": ("vfioctl.virt", "vfioctl.kinds.disks.users", "vfioctl.kinds.files.marks"),
    "Steps of a hand-off": ("vfioctl.plugin.proposals", "vfioctl.plugin.power"),
    "Commands": ("vfioctl.result", "vfioctl.sessions", "vfioctl.txn.plan", "vfioctl.txn.planner",
                 "vfioctl.plugin.operations", "vfioctl.limits", "vfioctl.verbs.options", "vfioctl.plugin.answers"),
    "Tools": ("vfioctl.frozen", "vfioctl.errors", "vfioctl.files", "vfioctl.shell", "vfioctl.unknown", "vfioctl.sizes",
              "vfioctl.events.element",
              "vfioctl.checking"),
}  # fmt: skip
STEP_TYPES = ("StepProposal", "Frees", "Condition")


def page(title: str, *parts: str) -> str:
    blocks = "\n\n".join(parts).split("\n\n")
    return "\n\n".join((f"# {title}", MADE, *map(_wrapped, blocks))) + "\n"


def _wrapped(block: str) -> str:
    """Prose in lines of the usual width; code and tables as they are."""
    prose = block[0].isalpha() or block.startswith(("*", "`/"))
    return textwrap.fill(block, 120, break_long_words=False, break_on_hyphens=False) if prose else block


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = tuple(heads)
    lines = [names, tuple("---" for _ in names), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# Steps


def steps() -> str:
    kinds = [(kind(name), _parameters(kind(name))) for name in MODULES]
    overview = table(
        ("kind", "undo", "until", "survives a reboot"),
        ((f"[`{one.name}`](#{_anchor(one.name)})", *_properties(one)) for one, _ in kinds),
    )
    each = (
        f"## {one.name}\n\n{one.summary}\n\n{_parameter_lines(parameters, note)}\n\n"
        f"Undo: **{one.undo_class}**. Scope: **{one.scope}**. Lifetime: **{one.lifetime}**."
        f"{'' if one.in_hooks else ' No hook may have it.'}"
        for one, (parameters, note) in kinds
    )
    return page(
        "Step kinds",
        "A step is one change that the core knows how to make, check, and take back. Plugins choose steps; they cannot "
        "add kinds. `vfioctl plan GUEST` shows the steps of one guest.",
        "*Undo* says how far the undo restores what was: **exact**; **recreated** (it runs again, its inner state is "
        "new); **none** (it is gone; a plan says *never*). *Scope* says until when: a **lease** is undone "
        "when the guest gives the device back, a **transaction** only when the start fails. *Lifetime* "
        "says what survives a reboot: **boot** nothing, "
        "**disk** all. A step may promise a longer scope or lifetime than its kind, never a shorter one. "
        "[What can and cannot be undone](../explanation/undo.md) explains the three.",
        overview,
        *each,
        "## Phases\n\n" + table(("phase", "runs"), _phases()),
        "## Conditions\n\nWhat `wait.until` can wait for, and what a plugin can name as proof of the return. Paths are "
        "absolute on the host. With `by` only processes of that unit and of logins count: services keep a card open, "
        "and draw nothing.\n\n" + table(("condition", "arguments", "in words"), _conditions()),
    )


def _properties(one: Kind) -> tuple[str, str, str]:
    until = {"lease": "the guest stops", "transaction": "the start has succeeded"}[one.scope]
    return str(one.undo_class), "-" if one.undo_class == "none" else until, "yes" if one.lifetime == "disk" else "no"


def _parameters(one: Kind) -> tuple[str, str]:
    """The class docstring "{address, driver, module?}; a note", taken apart."""
    text = " ".join((inspect.getdoc(type(one)) or "").split())
    depth = 0
    for index, letter in enumerate(text):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth == 0:
            return text[1:index], text[index + 1 :].strip(" ;,:")
    raise ValueError(f"{one.name} does not document its parameters: {text!r}")


def parameter_names(one: Kind) -> tuple[str, ...]:
    """The documented names of the parameters, a `?` at the end of those that may be left out."""
    inner = re.sub(r"\{[^}]*\}", "", _parameters(one)[0])
    return tuple(part.partition(":")[0].strip() for part in inner.split(",") if part.strip())


def _parameter_lines(parameters: str, note: str) -> str:
    shown = f"Parameters: `{{{parameters}}}`" + (f": {note}" if note else "")
    return f"{shown}." if not shown.endswith((".", '"')) else shown


def _phases() -> Iterator[tuple[str, str]]:
    said = {
        "before": "in `prepare`, before the device is touched: sessions, units, snapshots",
        "give": "in `prepare`: frees the device and binds it",
        "running": "at `started`, best effort",
        "return": "on the way back, while libvirt waits: driver and device nodes",
        "after": "on the way back, after the hook has ended: desktop, verification, retention",
    }
    return ((f"`{phase}`", said[phase]) for phase in step.Phase)


def _conditions() -> Iterator[tuple[str, str, str]]:
    for name, (arguments, _, words) in VOCABULARY.items():
        shown = (f"{key}{'?' if key in OPTIONAL else ''}: {kind_.__name__}" for key, kind_ in arguments.items())
        yield f"`{name}`", f"`{', '.join(shown)}`", words


# Errors and exit statuses


def plugin_codes() -> Mapping[str, tuple[codes.Code, ...]]:
    """The codes that each plugin declares in its static file, by the plugin's name."""
    found = (read_static(str(directory)) for directory in PLUGIN_DIRS)
    return {
        data["name"]: tuple(declared(row) for row in data["code"])
        for data in found
    }


def error_codes() -> str:
    said = dict.fromkeys(codes.CODES, "vfioctl")
    said |= {row: name for name, rows in plugin_codes().items() for row in rows}

    def area(row: codes.Code) -> str:
        return row.code.partition(".")[0]

    parts = (
        f"## {name}\n\n" + table(
            ("code", "meaning", "what to do", "from"),
            ((f"`{row.code}`", row.meaning, row.remedy, said[row]) for row in rows))
        for name, rows in groupby(sorted(said), key=area)
    )  # fmt: skip
    return page(
        "Error codes",
        "Every error and every finding of a check has a stable code. Messages may be reworded; codes stay. With "
        "`--format json` they stand in `errors` and `findings`; on a terminal they follow the sentence in brackets. "
        "The [exit status](exit-codes.md) of a command says the kind of failure. The last column names who finds it: "
        "the core, or a plugin, which declares its codes in its `vfioctl-plugin.toml`.",
        *parts,
    )


def findings_at_length() -> str:
    every = [(row._replace(at_length=AT_LENGTH.get(row.code, "")), "vfioctl") for row in codes.CODES]
    every += [(row, name) for name, rows in plugin_codes().items() for row in rows]
    parts = (
        f"## {row.code}\n\n{row.meaning} {row.at_length}\n\n**What to do**: {row.remedy}"
        + ("" if name == "vfioctl" else f"\n\nFound by the plugin {name}.")
        for row, name in sorted(every) if row.at_length
    )
    return page(
        "What doctor finds",
        "What `vfioctl doctor CODE` says at length: why something is in the way of a hand-off, how it is seen, and "
        "what mends it. Every other code stands with one sentence in [errors.md](errors.md).",
        *parts,
    )


def exit_statuses() -> str:
    words = {
        errors.EXIT_FAILED: "Something was tried and failed. The message says how the host stands.",
        errors.EXIT_USAGE: "The command line is wrong; nothing was done.",
        errors.EXIT_REFUSED: "Refused before anything was touched; the host is as it was. So is every name that names "
        "nothing: a guest, a device, a setting, a hand-off.",
        errors.EXIT_STUCK: "A kernel write does not return; nothing more is written to that device.",
        errors.EXIT_NOT_ROOT: "The command needs root; nothing was done.",
        BY_SIGNAL + signal.SIGHUP: "Ended by SIGHUP, as when its terminal goes: as by ^C.",
        Interrupted.exit_status: "Interrupted by the user; `vfioctl status` shows how far it came.",
        BY_SIGNAL + signal.SIGTERM: "Ended by SIGTERM: as by ^C.",
    }
    rows = [("0", "Done.", ""), *((str(status), text, _raised(status)) for status, text in sorted(words.items()))]
    return page(
        "Exit statuses",
        "Every command ends with one of these.",
        table(("status", "meaning", "exceptions"), rows),
        "A command that reports has done its work when it has reported: `status`, `list`, `history` and `gpu holders` "
        "end with 0 whatever they show, and with 1 when a record is damaged; a list with 1 when one of the nodes "
        "that it asks does not answer. What is asked whether all is well says so by its status: `plan` and `config "
        "validate` end with 3 when a start would be refused, `hook verify` with 1 when the hook would not fire, "
        "`doctor` with 3 when a start would be refused and with 1 for a warning. What this user may not read is a "
        "warning and changes no status.",
        "## The hook\n\nThe hook that libvirt calls ends with one of the statuses above **only for `prepare`**; "
        "libvirt then does not start the guest and shows the last sentence on stderr. Every other operation ends with "
        "0 whatever happens, because a failing `started` or `reconnect` would kill the guest. When the installed "
        "Python cannot run, the shim ends `prepare` with 1 and runs `undo.sh` at `release`.",
    )


def _raised(status: int) -> str:
    found = (cls for cls in _subclasses(errors.VfioctlError) if cls.exit_status == status)
    return ", ".join(sorted(f"`{cls.__name__}`" for cls in found if cls.__module__ == errors.__name__))


def _subclasses(cls: type[errors.VfioctlError]) -> Iterator[type[errors.VfioctlError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _subclasses(child)


# Configuration


def settings() -> str:
    parts = []
    for directory in PLUGIN_DIRS:
        data = read_static(str(directory))
        if not data["config"]:
            continue
        info = PluginInfo(data["name"], "", data["api"], "", table=data["config"])
        rows = [schema.plugin_setting(f"{info.name}.{key}", entry) for key, entry in info.table.items()]
        link = f"../../{directory.parent.relative_to(ROOT)}/README.md"
        use = " Asked only for guests whose file has this table." if data["opt_in"] else ""
        parts.append(f"### {info.name}\n\n{data['summary']}.{use} See [its README]({link}).\n\n{_settings(rows)}")
    return page(
        "Configuration",
        "`/etc/vfioctl/config.toml` holds what counts for every guest, `/etc/vfioctl/guests/NAME.toml` what counts "
        "for one; a guest with such a file, even an empty one, is managed. What counts: a flag of the command line, "
        "then an environment variable (commands only, never the hook), then the guest's file, then the host's, then "
        "the default. `vfioctl config show GUEST --origin` says where each value comes from, `vfioctl config validate` "
        "checks every file, and `vfioctl config set` changes one setting and keeps your comments.",
        '```toml\n# /etc/vfioctl/guests/win11.toml\nsession = "end"              # a session on the card may be ended\n'
        'units = ["ollama.service"]   # may be stopped when they hold the card\n\n[deadlines]\nprepare = 60\n\n'
        "[amdgpu]\nunload = true\n```",
        "A wrong file refuses the start before anything is touched, with dotted path, file, line and what was "
        "expected. Both files must belong to root and be writable by root only. Either may be a link to where you "
        "keep it, or closed to others: whatever vfioctl changes in it, that stays.",
        "## Core\n\n" + _settings(schema.SETTINGS),
        "## Plugins\n\nA plugin has a table of its own name. Its settings are known without importing it, and a table "
        "of a plugin that is not installed is an error that says so.",
        *parts,
    )


def _settings(rows: Iterable[schema.Setting]) -> str:
    return table(
        ("setting", "value", "default", "where", "what it does", "variable"),
        ((f"`{row.path}`", row.expected, _default(row.default), "guest" if row.scope == "guest" else "both",
          row.summary, f"`{row.variable}`") for row in rows),
    )  # fmt: skip


def _default(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


# Hooks


def hooks() -> str:
    return page(
        "Hooks",
        "A plugin is a module with functions of these names, each marked with "
        "`@hookimpl` from `vfioctl.plugin`. [Writing a plugin](../plugins/writing.md) shows how it is done. "
        "Arguments come by keyword; take only those that you need. Return values are frozen data: a hook has no "
        "effect on the machine. It has 5 seconds. An exception costs the plugin: when the guest needs it, the start is "
        "refused before anything is touched; else it goes without.",
        f"Plugin API version: **{types.API_VERSION}** (supported: {types.SUPPORTED_API[0]} to "
        f"{types.SUPPORTED_API[-1]}).",
        *(_hook(name, function) for name, function in hook_functions().items()),
        "## Types\n\nFrom `vfioctl.plugin`. Within an API version fields are only added, each with a default.",
        *(_type(types, name) for name in BORDER),
        *(_type(step, name) for name in STEP_TYPES),
        _type(findings, "Finding"),
    )


def hook_functions() -> Mapping[str, Callable[..., Any]]:
    """Every hook specification, in the order of its file."""
    return {name: value for name, value in vars(spec).items() if name.startswith("vfioctl_")}


def hook_heading(name: str) -> str:
    return f"{name}({', '.join(inspect.signature(hook_functions()[name]).parameters)})"


def _hook(name: str, function: Callable[..., Any]) -> str:
    signature = inspect.signature(function)
    rows = ((f"`{key}`", f"`{value.annotation}`") for key, value in signature.parameters.items())
    arguments = f"{table(('argument', 'type'), rows)}\n\n" if signature.parameters else ""
    text = "\n\n".join(_paragraph(part) for part in (inspect.getdoc(function) or "").split("\n\n"))
    users = ", ".join(f"[{_owner(path)}](../../{path.relative_to(ROOT)})" for path in _implementations(name))
    return (
        f"## {hook_heading(name)}\n\n{text}\n\n{arguments}Returns: `{signature.return_annotation}`\n\n"
        f"Used by: {users or 'nothing yet'}"
    )


def _paragraph(part: str) -> str:
    """A paragraph of a docstring in one line; an indented one is code."""
    return f"```python\n{textwrap.dedent(part)}\n```" if part.startswith("    ") else " ".join(part.split())


def hook_example(name: str) -> str:
    """The example that the specification of a hook shows, as source."""
    return textwrap.dedent((inspect.getdoc(hook_functions()[name]) or "").partition("Example:\n\n")[2])


def _implementations(name: str) -> Iterator[Path]:
    sources = (ROOT / "vfioctl/plugin/generic.py", *sorted((ROOT / "plugins").glob("*/vfioctl_*/plugin.py")),
               *sorted((ROOT / "contrib").glob("*/vfioctl_*/plugin.py")))  # fmt: skip
    return (path for path in sources if f"def {name}(" in path.read_text())


def _owner(path: Path) -> str:
    return path.stem if path.stem != "plugin" else path.parent.name.replace("_", "-")


def _type(module: ModuleType, name: str) -> str:
    """The fields as the source declares them, each with the comment behind it."""
    source = inspect.getsource(module)
    cls = next(node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == name)
    lines = source.split("\n")
    rows = (
        (f"`{ast.unparse(one.target)}`", f"`{ast.unparse(one.annotation)}`", _field_default(one.value),
         lines[one.lineno - 1].partition("  # ")[2])
        for one in cls.body if isinstance(one, ast.AnnAssign)
    )  # fmt: skip
    paragraphs = (" ".join(part.split()) for part in (ast.get_docstring(cls) or "").split("\n\n"))
    text = "\n\n".join(part for part in paragraphs if " · " not in part)
    if name == step.Condition.__name__:
        text = f"{text.partition(' (txn')[0]}: see [the conditions](steps.md#conditions)."
    return f"### {name}\n\n{text}\n\n{table(('field', 'type', 'default', ''), rows)}"


def _field_default(value: ast.expr | None) -> str:
    if value is None:
        return "required"
    if isinstance(value, ast.Call):  # field(default=…) or field(default_factory=…)
        made = value.keywords[0]
        shown = ast.unparse(made.value)
        return f"`{shown}{'()' if made.arg == 'default_factory' else ''}`"
    return f"`{ast.unparse(value)}`"


def _anchor(heading: str) -> str:
    """What a heading is linked by."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# The public API


def plugin_api() -> str:
    groups = {title: [name for name in plugin.__all__ if _home(name).startswith(homes)] for title, homes in API.items()}
    return page(
        "The plugin API",
        "Everything that a plugin imports comes from `vfioctl.plugin`; its docstring is a tutorial: "
        "`python -c 'import vfioctl.plugin; help(vfioctl.plugin)'`. Other modules of vfioctl may change at any time. "
        "Within an API version names are only added. [Hooks](hooks.md) describes the hooks and the fields of what "
        "they get and return, [Step kinds](steps.md) what a step can do.",
        *(f"## {title}\n\n{_names(names)}" for title, names in groups.items()),
    )


def _home(name: str) -> str:
    return next(module for module, names in plugin._MODULES.items() if name in names.split())


def _names(names: Iterable[str]) -> str:
    return table(("name", ""), ((f"`{_signature(name)}`", public_doc(name)) for name in names))


def _signature(name: str) -> str:
    value = getattr(plugin, name)
    if not inspect.isfunction(value) or name in ("hookimpl", "field", "frozen", "replace"):
        return name
    return f"{name}({', '.join(inspect.signature(value).parameters)})"


def public_doc(name: str) -> str:
    """The first line that the source says of a public name: its docstring, or the comment behind a constant."""
    value = getattr(plugin, name)
    if callable(value):
        said = vars(value).get("__doc__") if isinstance(value, type) else value.__doc__  # a class may inherit another's
        return (said or "").partition("\n")[0]
    source = inspect.getsource(importlib.import_module(_home(name)))
    line = next(line for line in source.splitlines() if line.startswith(f"{name} = "))
    return line.partition("  # ")[2]


PAGES: Mapping[str, Callable[[], str]] = {
    "steps.md": steps,
    "errors.md": error_codes,
    "doctor.md": findings_at_length,
    "exit-codes.md": exit_statuses,
    "config.md": settings,
    "hooks.md": hooks,
    "plugin-api.md": plugin_api,
}
