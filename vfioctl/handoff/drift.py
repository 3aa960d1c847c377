"""What of the drivers changed while the guest ran: worth a word, never a reason not to bring a device home. Reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from vfioctl.handoff import notes
from vfioctl.host.host import Host
from vfioctl.txn.plan import Plan


def found(plan: Plan, host: Host) -> Iterator[str]:
    """A sentence for each driver with another version, and for each setting of a module with another value."""
    for name, before in notes.drivers(plan).items():
        module = host.module(name)
        if module and (module.version or "") != before:
            yield f"the driver {name} was updated while the guest ran: {before or 'unknown'}, now {module.version}"
    for name, settings in notes.parameters(plan).items():
        yield from _changed(name, settings, host.module_parameters(name))


def _changed(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """A setting that only one of both has comes and goes with the version, which is told already."""
    for key, value in before.items():
        if now.get(key, value) != value:
            yield f"the module {name} has another {key} than before the guest ran: {value or 'empty'}, now {now[key]}"
