"""Whether a function may leave the host as far as its disks and its network go. Asks the facts; decides what blocks.

What loses data for certain is never allowed; see disk_findings.py, which is imported only where there is a disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vfioctl.checking import TYPE_CHECKING
from vfioctl.plugin.types import Finding, Severity

if TYPE_CHECKING:
    from vfioctl.host.host import Host


def findings(host: Host, address: str, allowed: Iterable[str] = ()) -> tuple[Finding, ...]:
    """What speaks against giving the function at `address`; `allowed` are the addresses of `allow_in_use`."""
    may, claims = address in allowed, host.disk_claims(address)
    found = list(_network(host, address, may=may))
    if claims:
        from vfioctl.plugin import disk_findings

        found = [*disk_findings.of_claims(address, claims, may=may), *found]
    return tuple(found)


def _network(host: Host, address: str, *, may: bool) -> Iterator[Finding]:
    severity, traffic = Severity.WARN if may else Severity.BLOCK, host.traffic(address)
    only = bool(traffic) and host.only_network(address)
    hint = f"Connect the host through another card, or allow it with {setting(address)}"
    if only:
        message = f"{address} is the only network card of this host that is in use."
        yield Finding("device.only_network", message, severity, hint=hint)
    if uses := [f"{one.what} ({one.interface})" for one in traffic if not (only and one.is_default)]:
        message = f"{address} carries {' and '.join(dict.fromkeys(uses))}."
        yield Finding("device.network_in_use", message, severity, hint=hint)


def setting(address: str) -> str:
    """The words for the setting that allows it."""
    return f'this setting in the guest file: allow_in_use = ["{address}"]'
