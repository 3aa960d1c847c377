"""Installs and removes the hook, the units and the directories below one root. Idempotent; touches no other hook."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from vfioctl import files
from vfioctl.errors import NotRoot, Refused, VfioctlError
from vfioctl.frozen import frozen
from vfioctl.host.host import Host
from vfioctl.paths import Paths
from vfioctl.plugin import manifest
from vfioctl.plugin.manifest import Manifest
from vfioctl.setup import daemon, shim, trust
from vfioctl.setup.pieces import UNIT, lacking, present
from vfioctl.txn.journal import open_uuids

if TYPE_CHECKING:
    from vfioctl.compose import Composition

RELOAD_DEADLINE = 10.0


@frozen
class Report:
    """What was done, or would be. `changed` is empty when all is as it should be; `restart` is a command."""

    hook: str
    changed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    restart: str = ""
    notes: tuple[str, ...] = ()


def install(
    composition: Composition, search: Callable[[], Manifest] = manifest.build, *, dry_run: bool = False
) -> Report:
    """Put everything in place for `composition`, with the plugins that `search` finds; `dry_run` only reports it.

    Raises Refused("setup.writable"), NotRoot, OSError.
    """
    paths = composition.paths
    writes = _may_write(paths)
    if not (writes or dry_run):
        raise _not_root(paths)
    trust.refuse_shared(composition)
    hook = shim.rendered(composition, None if writes else os.stat(paths.root).st_uid)
    notes, wanted = _replaced(composition), tuple(lacking(composition, search(), hook))
    changed = tuple(piece.path for piece in wanted)
    if not dry_run:
        for piece in wanted:
            piece.put()
        notes += _reload(composition, changed)
    return Report(paths.shim, changed, restart=_restart_needed(composition), notes=notes)


def _replaced(composition: Composition) -> tuple[str, ...]:
    """A sentence about the other installation that the hook has called until now; nothing where there is none now."""
    path, ours = composition.paths.shim, composition.self_argv[0]
    python = shim.interpreter_of(shim.installed(path) or "") if os.path.isfile(path) else ""
    if python == ours or not os.access(python, os.X_OK):
        return ()
    return (f"{path} called another installation until now ({python}); this one ({ours}) takes its place.",)


def uninstall(composition: Composition, *, dry_run: bool = False) -> Report:
    """Remove the hook and the units; configuration and history stay. `dry_run` only reports what would go.

    Raises Refused("setup.journal_open"), NotRoot.
    """
    paths = composition.paths
    if not (dry_run or _may_write(paths)):
        raise _not_root(paths)
    notes = _refuse_unfinished(paths, dry_run=dry_run)
    gone = tuple(present(paths))
    if not dry_run:
        for path in gone:
            files.remove(path)
        notes += _reload(composition, gone)
    kept = tuple(path for path in (paths.etc, paths.state) if os.path.isdir(path))
    return Report(paths.shim, gone, kept, notes=notes)


def _refuse_unfinished(paths: Paths, *, dry_run: bool) -> tuple[str, ...]:
    """Raise Refused while a hand-off is unfinished; a sentence where a dry run may not see that."""
    try:
        unfinished = open_uuids(paths)
    except PermissionError:
        if not dry_run:
            raise
        return ("Without root it is not seen whether a hand-off is unfinished; the hook would stay then.",)
    if unfinished:
        raise Refused(
            "setup.journal_open",
            f"A hand-off is not finished ({', '.join(_guests(paths, unfinished))}); without the hook its devices would "
            f"not come back.",
            state="Nothing was removed.",
            hints=("Stop the guest, or finish it with: vfioctl recover",),
        )
    return ()


def _guests(paths: Paths, uuids: Iterable[str]) -> Iterator[str]:
    """The guests by name; by UUID where the journal cannot be read."""
    from vfioctl.txn.journal import read_both

    for uuid in uuids:
        try:
            story = read_both(paths, uuid)
        except VfioctlError:
            story = None
        yield story.plan.subject if story else uuid


def _may_write(paths: Paths) -> bool:
    """Whether this user can write where hooks live."""
    return os.access(_nearest(paths.libvirt_hooks), os.W_OK)


def _nearest(place: str) -> str:
    return place if os.path.isdir(place) else _nearest(os.path.dirname(place))


def _not_root(paths: Paths) -> NotRoot:
    return NotRoot(
        "setup.not_root",
        f"{_nearest(paths.libvirt_hooks)} cannot be written by uid {os.geteuid()}: installing the hook needs root.",
        state="Nothing was changed.",
        hints=("Run it with: sudo vfioctl hook install",),
    )


def _reload(composition: Composition, changed: tuple[str, ...]) -> tuple[str, ...]:
    """Make systemd read a changed unit. A systemd that does not answer costs a note, not the installation."""
    booted = Host(composition.paths, composition.programs).booted_with_systemd()
    if not booted or not {composition.paths.recovery_unit, composition.paths.rest_unit} & set(changed):
        return ()
    try:
        done = composition.programs.run(("systemctl", "daemon-reload"), deadline=RELOAD_DEADLINE)
    except VfioctlError as error:
        return (f"systemd does not know {UNIT} yet: {error.message}",)
    return () if done.ok else (f"systemd does not know {UNIT} yet: {done.why()}.",)


def _restart_needed(composition: Composition) -> str:
    """The command that makes a running daemon call the hook, or "" when it does so already."""
    from vfioctl.setup.presence import daemon_knows_hooks

    found = daemon.find(Host(composition.paths, composition.programs))
    return "" if found is None or daemon_knows_hooks(composition.paths, found) else found.restart
