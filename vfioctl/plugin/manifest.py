"""Discovery: the manifest of installed plugins, read on the hook path, rebuilt in a child when stale.

Never imports a plugin; importlib.metadata is imported only inside `build`, which the hook path does not call.
"""

from __future__ import annotations

import json
import os
import site
import sys
from collections.abc import Iterable, Mapping, Sequence

from vfioctl import files
from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import DeadlineExceeded, VfioctlError
from vfioctl.frozen import asdict, field, frozen, replace
from vfioctl.ownership import writable_by_others
from vfioctl.plugin.static import FILE, StaticError, read_static
from vfioctl.plugin.types import API_VERSION, SUPPORTED_API, PluginInfo

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint
    from typing import Any

    from vfioctl.paths import Paths
    from vfioctl.proc import Programs

GROUP = "vfioctl"
OURS = "vfioctl"  # the distribution
COMMANDS_GROUP = "vfioctl.commands"  # how plugins of API 1 add commands
FORMAT = 2
MODE = 0o644  # validated by unprivileged commands too
REBUILD_DEADLINE = 10.0  # seconds, of which a start may spend them
SCAN_DEADLINE = 60.0  # where a person waits: on a slow or busy computer the imports alone take more than 10
SCAN = """\
import json
from vfioctl.plugin import manifest
found = manifest.build()
print(json.dumps([manifest.to_json(found), found.left_out]))
"""


@frozen
class Stamp:
    """A site directory or a static data file, and when it was last changed."""

    path: str
    mtime: int  # nanoseconds; 0 when it is not there


@frozen
class Manifest:
    """What is installed: valid while the interpreter and every stamp are as they were.

    `commands` and `groups` stay as JSON has them (PluginCommand, PluginGroup): no hook asks for a command.
    """

    interpreter: str
    stamps: tuple[Stamp, ...]
    plugins: tuple[PluginInfo, ...]
    commands: tuple[Mapping[str, Any], ...] = ()
    groups: tuple[Mapping[str, Any], ...] = ()
    rebuilt: str = field(default="", compare=False)  # why `load` rebuilt it just now; the caller logs it
    left_out: tuple[str, ...] = field(default=(), compare=False)  # sentences about commands, from `build` alone

    def plugin(self, name: str) -> PluginInfo | None:
        """The row of the plugin `name`, or None when it is not installed."""
        return next((info for info in self.plugins if info.name == name), None)

    def stale(self) -> str:
        """Why this manifest does not describe the machine any more, or ""."""
        if self.interpreter != interpreter():
            return f"it was made by {self.interpreter}"
        changed = next((stamp.path for stamp in self.stamps if _mtime(stamp.path) != stamp.mtime), None)
        if changed:
            return f"{changed} has changed"
        known = {stamp.path for stamp in self.stamps}
        added = next((path for path in site_dirs() if path not in known), None)
        return f"{added} is new" if added else ""


def interpreter() -> str:
    """The environment that plugins are installed in: python and python3 of one venv are the same."""
    return f"{sys.prefix} {sys.implementation.cache_tag}"


def site_dirs() -> tuple[str, ...]:
    """The directories that pip installs into."""
    return tuple(path for path in dict.fromkeys(site.getsitepackages()) if os.path.isdir(path))


def load(paths: Paths, programs: Programs, refresh: Sequence[str]) -> Manifest:
    """The manifest; when missing, stale or not ours, rebuilt by the child `refresh` ("… plugins refresh").

    Who may not write it (`plan` works unprivileged) gets one that is not kept.
    Raises VfioctlError("plugin.manifest") when the child leaves no valid one.
    """
    manifest, why = _read(paths)
    if manifest:
        return manifest
    failed = _refreshed(programs, refresh)
    manifest, still = _read(paths)
    if manifest is None and os.geteuid() != 0:
        return replace(build(), rebuilt=why)
    if manifest is None:
        raise VfioctlError(
            "plugin.manifest",
            f"The plugin manifest {paths.manifest} cannot be rebuilt: {failed or still}.",
            hints=("Rebuild it with: vfioctl plugins refresh",),
        )
    return replace(manifest, rebuilt=why)


def _refreshed(programs: Programs, refresh: Sequence[str]) -> str:
    """Why the child did not end well, or "". It imports every command after it has written the manifest."""
    try:
        ended = programs.run(refresh, deadline=REBUILD_DEADLINE)
    except DeadlineExceeded:
        return f"that takes longer than {REBUILD_DEADLINE:g} s"
    return "" if ended.ok else ended.why()


def known(paths: Paths) -> Manifest | None:
    """The manifest as it is written, for who does without one that is missing, stale or not ours."""
    return _read(paths)[0]


def _read(paths: Paths) -> tuple[Manifest | None, str]:
    """The manifest in the file when it is valid, else None and why not."""
    try:
        if why := _untrusted(paths):
            return None, why
        manifest = from_json(files.read_json(paths.manifest))
    except FileNotFoundError:
        return None, "it is missing"
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        return None, f"it cannot be read ({type(error).__name__})"
    why = manifest.stale()
    return (None, why) if why else (manifest, "")


def _untrusted(paths: Paths) -> str:
    """Why the file must not decide what root imports, or ""."""
    os.lstat(paths.manifest)
    return writable_by_others(paths.manifest, paths.root) or ""


def from_json(data: Any) -> Manifest:
    """The manifest in `data`. Raises ValueError, TypeError or KeyError when it is none."""
    if data["format"] != FORMAT:
        raise ValueError(f"manifest format {data['format']!r}")
    rows = tuple(_info(row) for row in data["plugins"])
    stamps = tuple(Stamp(**stamp) for stamp in data["stamps"])
    return Manifest(data["interpreter"], stamps, rows, tuple(data["commands"]), tuple(data["groups"]))


def _info(row: dict[str, Any]) -> PluginInfo:
    return PluginInfo(**{**row, "claims": tuple(row["claims"]), "units": tuple(row["units"])})


def write(paths: Paths, manifest: Manifest) -> None:
    """Make `manifest` the one that the hook reads, and that every user may read."""
    files.write_json(paths.manifest, to_json(manifest), mode=MODE)


def is_written(paths: Paths, manifest: Manifest) -> bool:
    """Whether `manifest` is the one that the hook reads, byte for byte, and every user may read it."""
    try:
        is_public = os.lstat(paths.manifest).st_mode & 0o7777 == MODE
        return is_public and files.read_text(paths.manifest) == files.as_json(to_json(manifest))
    except (OSError, ValueError, VfioctlError):
        return False


def to_json(manifest: Manifest) -> dict[str, Any]:
    """What `from_json` reads."""
    return {
        "format": FORMAT,
        "interpreter": manifest.interpreter,
        "stamps": [asdict(stamp) for stamp in manifest.stamps],
        "plugins": [asdict(info) for info in manifest.plugins],
        "commands": list(manifest.commands),
        "groups": list(manifest.groups),
    }


def isolated(programs: Programs, interpreter_argv: Sequence[str]) -> Manifest:
    """What the hook's own interpreter finds, whatever PYTHONPATH, user site and directory the caller has.

    `interpreter_argv` starts it ("python -I"). Raises VfioctlError("plugin.manifest").
    """
    if sys.flags.isolated:
        return build()
    try:
        ended = programs.run((*interpreter_argv, "-c", SCAN), deadline=SCAN_DEADLINE)
    except DeadlineExceeded as error:
        raise _unsearched(f"that takes longer than {SCAN_DEADLINE:g} s") from error
    if not ended.ok:
        raise _unsearched(replace(ended, argv=ended.argv[:1]).why())  # not the program text
    data, left_out = json.loads(ended.stdout)
    return replace(from_json(data), left_out=tuple(left_out))


def _unsearched(why: str) -> VfioctlError:
    return VfioctlError("plugin.manifest", f"The plugins cannot be searched for: {why}.")


def build() -> Manifest:
    """Scan the installed distributions anew; a plugin that cannot be used is listed with the reason."""
    from importlib.metadata import entry_points

    from vfioctl.plugin import commands

    stamps = {path: _mtime(path) for path in site_dirs()}
    found = [_row(entry) for entry in entry_points(group=GROUP)]
    stamps |= {path: _mtime(path) for _, path, _ in found if path}
    infos, lost = _without_twins([info for info, _, _ in found])
    static = [(info, data) for info, _, data in found if info in infos and info.status == "ok"]
    asked = entry_points(group=COMMANDS_GROUP)
    bad = {entry: why for entry in asked if (why := _unusable(entry, (*infos, *lost)))}
    return Manifest(
        interpreter(), tuple(Stamp(path, mtime) for path, mtime in sorted(stamps.items())), infos,
        tuple(map(asdict, commands.in_order((
            *(command for info, data in static for command in commands.declared(info, data)),
            *(commands.of_entry_point(entry, infos) for entry in asked if entry not in bad),
        )))),
        tuple(asdict(group) for _, data in static for group in commands.groups(data)),
        left_out=(
            *(f"The plugin {info.name} of {info.distribution} is left out: {_why(info)}." for info in lost),
            *(f"The command {entry.name} is left out: {why}." for entry, why in bad.items()),
        ),
    )  # fmt: skip


def _unusable(entry: EntryPoint, plugins: Iterable[PluginInfo]) -> str:
    """Why the command `entry` is left out, or "": a plugin of its distribution is broken, or others can change it."""
    from vfioctl.package import writable

    distribution = entry.dist.name if entry.dist else ""
    of_it = (info for info in plugins if info.distribution == distribution)
    broken = next((_why(info) for info in of_it if info.status.startswith("broken")), "")
    module = _module(entry)
    return broken or (writable(module) or "" if module else f"{entry.value!r} names no function of a module")


def _why(info: PluginInfo) -> str:
    """What is broken of it."""
    return info.status.partition(": ")[2]


def _row(entry: EntryPoint) -> tuple[PluginInfo, str, dict[str, Any]]:
    """The row of `entry`, the file that its static data came from, and that data."""
    from vfioctl.package import writable

    dist = entry.dist
    module = _module(entry) or entry.value
    bare = PluginInfo(
        name=entry.name, version=dist.version if dist else "", api=0, module=module,
        distribution=dist.name if dist else "",
    )  # fmt: skip
    directory = locate(module)
    if directory is None:
        return replace(bare, status=f"broken: the package of {module} is not importable"), "", {}
    path = os.path.join(directory, FILE)
    if why := writable(module):
        return replace(bare, status=f"broken: {why}"), path, {}
    try:
        data = read_static(directory)
        return with_static(bare, data), path, data
    except StaticError as error:
        return replace(bare, status=f"broken: {error}"), path, {}
    except Exception as error:  # noqa: BLE001 -- what nobody has thought of costs this plugin, and not the others
        return replace(bare, status=f"broken: {path}: {type(error).__name__}: {error}"), path, {}


def _module(entry: EntryPoint) -> str:
    """The module that `entry` names; "" where its value is no name of one, such as one with a dash."""
    try:
        return entry.module
    except (AttributeError, AssertionError):  # its pattern does not fit; Python asserts that it does since 3.13
        return ""


def with_static(bare: PluginInfo, data: Mapping[str, Any]) -> PluginInfo:
    """The row `bare` with what the static data says, which has been checked."""
    info = replace(
        bare, api=data["api"], claims=tuple(data["claims"]), table=data["config"], summary=data["summary"],
        opt_in=data["opt_in"], units=tuple(data["units"]),
        operations={row["name"]: row["target"] for row in data["operation"]},
    )  # fmt: skip
    if data["name"] != bare.name:
        return replace(info, status=f"broken: {FILE} says {data['name']!r}, its entry point {bare.name!r}")
    return replace(info, status=api_problem(info) or "ok")


def api_problem(info: PluginInfo) -> str:
    """Why the core cannot talk to `info`, or ""."""
    if info.api in SUPPORTED_API:
        return ""
    supported = f"{SUPPORTED_API[0]} to {SUPPORTED_API[-1]}"
    return f"broken: it is written for plugin API {info.api}; this vfioctl supports {supported}"


def api_note(info: PluginInfo) -> str:
    """What the author of a plugin for an older API can change, or ""; it works as it is."""
    if info.api not in SUPPORTED_API or info.api == API_VERSION:
        return ""
    return (
        f"it is written for plugin API {info.api}, which still works; for API {API_VERSION} import everything from "
        f"vfioctl.plugin, declare its codes as [[code]] and its commands as [[command]] in {FILE}, and say "
        f"api = {API_VERSION} there"
    )


def locate(module: str) -> str | None:
    """The directory of the package that holds `module`, found without importing anything of it."""
    from importlib.util import find_spec

    top, *rest = module.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    for base in spec.submodule_search_locations:
        path = os.path.join(base, *rest)
        if os.path.isdir(path):
            return path
        if os.path.isfile(f"{path}.py"):
            return os.path.dirname(path)
    return None


def _without_twins(infos: Sequence[PluginInfo]) -> tuple[tuple[PluginInfo, ...], tuple[PluginInfo, ...]]:
    """The plugins by name, and those that call themselves as one of vfioctl's own does, which stays.

    A name that two others use is broken, since neither may win by chance.
    """
    own = {info.name for info in infos if info.distribution == OURS}
    by_name: dict[str, PluginInfo] = {}
    lost: list[PluginInfo] = []
    for info in infos:
        twin = by_name.get(info.name)
        if info.name in own and info.distribution != OURS:
            lost.append(replace(info, status=f"broken: {info.name} is the name of one of vfioctl's own"))
        elif twin and twin.distribution != info.distribution:
            why = f"broken: {twin.distribution} and {info.distribution} both call themselves {info.name}"
            by_name[info.name] = replace(info, status=why)
        else:
            by_name[info.name] = info
    return tuple(by_name[name] for name in sorted(by_name)), tuple(lost)


def _mtime(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0

