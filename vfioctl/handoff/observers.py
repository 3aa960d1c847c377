"""Tells plugins how a hand-off ended: in the detached part, never in the hook. Whatever they do is only logged."""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError
from vfioctl.handoff import notes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vfioctl.compose import Composition
    from vfioctl.handoff.outcome import Ending
    from vfioctl.handoff.way_back import WayBack
    from vfioctl.log import Log
    from vfioctl.plugin.types import Outcome, PluginInfo


def tell(composition: Composition, home: WayBack, log: Log) -> None:
    """Call the observers of the guest's plugins. The return is over by now: nothing here can fail it."""
    if home.ending is None:
        return
    try:
        from vfioctl.plugin.manager import Plugins

        plugins = Plugins(_used(composition, home, log))
        plugins.finished(_outcome(home.ending))
    except (VfioctlError, OSError, ImportError) as error:
        log.warning(f"Nobody was told that {home.plan.subject} is back: {error}", guest=home.plan.subject)
        return
    for finding in plugins.findings:
        log.warning(finding.message, guest=home.plan.subject, code=finding.code)


def _used(composition: Composition, home: WayBack, log: Log) -> Iterable[PluginInfo]:
    from vfioctl.handoff.make_plan import read_config
    from vfioctl.plugin.manager import select

    host = composition.machine().host()
    config, known = read_config(composition, home.plan.subject, log)
    return select(known, config, (host.device(item) for item in notes.devices(home.plan) if host.has_device(item)))


def _outcome(ending: Ending) -> Outcome:
    from vfioctl.frozen import asdict
    from vfioctl.plugin.types import Outcome

    times = ending.times or ()
    return Outcome(
        guest=ending.guest, uuid=ending.uuid, event=ending.event, ok=ending.error is None,
        duration=max((item.started + item.duration for item in times), default=0.0), message=ending.text,
        steps=tuple(asdict(item) for item in times),
    )  # fmt: skip
