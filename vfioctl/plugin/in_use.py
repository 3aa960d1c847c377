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
    other = f'allow it with this setting in the guest file: allow_in_use = ["{address}"]'
    return f"{helps} Or {other}" if helps else f"If it is free, {other}"


def _network(host: Host, address: str, *, may: bool) -> Iterator[Finding]:
    if host.only_network(address):
        yield Finding(
            "device.only_network", f"{address} is the only network card of this host that is in use.",
            Severity.WARN if may else Severity.BLOCK,
            hint="Remove it from the guest, or connect the host through another card first.",
        )  # fmt: skip
