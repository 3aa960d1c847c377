"""Whether a function may leave the host as far as its disks and its network go. Asks the facts; decides what blocks.

The setting `allow_in_use` makes a warning of what may lose data. It never allows what does for certain: taking the
disk of a mounted file system, of swap, or of what the kernel holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from vfioctl.host.claims import Claim, Kind
from vfioctl.plugin.types import Finding, Severity

if TYPE_CHECKING:
    from vfioctl.host.host import Host

CODES = {
    Kind.MOUNTED: "device.mounted",
    Kind.HELD: "device.disk_in_use",
    Kind.OPEN: "device.disk_in_use",
    Kind.MEMBER: "device.disk_member",
    Kind.UNKNOWN: "device.disk_unknown",
    Kind.DENIED: "device.disk_unknown",
}
NEVER = (Kind.MOUNTED, Kind.HELD)


def findings(host: Host, address: str, allowed: Iterable[str] = ()) -> tuple[Finding, ...]:
    """What speaks against giving the function at `address`; `allowed` are the addresses of `allow_in_use`."""
    may = address in allowed
    return (*_disks(address, host.disk_claims(address), may=may), *_network(host, address, may=may))


def _disks(address: str, claims: Iterable[Claim], *, may: bool) -> Iterator[Finding]:
    """One finding a code and severity, which names every disk."""
    found: dict[tuple[str, Severity, bool], list[Claim]] = {}
    for claim in claims:
        certain = claim.kind in NEVER
        severity = Severity.WARN if claim.kind is Kind.DENIED or (may and not certain) else Severity.BLOCK
        found.setdefault((CODES[claim.kind], severity, certain), []).append(claim)
    for (code, severity, certain), same in found.items():
        uses = "; ".join(f"{claim.device} is {claim.what}" for claim in same)
        yield Finding(
            code, f"{address} is the controller of disks that must not be taken: {uses}."
            if severity is Severity.BLOCK else f"{address} is the controller of disks: {uses}.",
            severity, hint=_hint(same, address, may_allow=severity is Severity.BLOCK and not certain),
        )  # fmt: skip


def _hint(claims: Iterable[Claim], address: str, *, may_allow: bool) -> str:
    helps = " ".join(dict.fromkeys(claim.help for claim in claims if claim.help))
    if not may_allow:
        return helps or "Remove the device from the guest."
    return f"{helps} Or allow it with {_setting(address)}" if helps else f"Allow it with {_setting(address)}"


def _network(host: Host, address: str, *, may: bool) -> Iterator[Finding]:
    severity, traffic = Severity.WARN if may else Severity.BLOCK, host.traffic(address)
    only = bool(traffic) and host.only_network(address)
    hint = f"Connect the host through another card, or allow it with {_setting(address)}"
    if only:
        message = f"{address} is the only network card of this host that is in use."
        yield Finding("device.only_network", message, severity, hint=hint)
    if uses := [f"{one.what} ({one.interface})" for one in traffic if not (only and one.is_default)]:
        message = f"{address} carries {' and '.join(dict.fromkeys(uses))}."
        yield Finding("device.network_in_use", message, severity, hint=hint)


def _setting(address: str) -> str:
    return f'this setting in the guest file: allow_in_use = ["{address}"]'
