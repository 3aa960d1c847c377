"""What blocks when disks are behind a device, and what the setting `allow_in_use` makes a warning.

It may allow what perhaps loses data. It never allows what does for certain: taking the disk of a mounted file system,
of swap, or of what the kernel holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vfioctl.host.claims import Claim, Kind
from vfioctl.plugin.in_use import setting
from vfioctl.plugin.types import Finding, Severity

MOUNTED = "device.mounted", "a disk in use"
IN_USE = "device.disk_in_use", "a disk in use"
MEMBER = "device.disk_member", "a disk that is part of something larger"
UNKNOWN = "device.disk_unknown", "a disk that may be in use"
CODES = {
    Kind.MOUNTED: MOUNTED, Kind.HELD: IN_USE, Kind.OPEN: IN_USE, Kind.MEMBER: MEMBER, Kind.UNKNOWN: UNKNOWN,
    Kind.DENIED: UNKNOWN,
}  # fmt: skip


def of_claims(address: str, claims: Iterable[Claim], *, may: bool) -> Iterator[Finding]:
    """One finding a code and severity, which names every disk; `may`: the guest file lists the device."""
    found: dict[tuple[str, str, bool, Severity], list[Claim]] = {}
    for claim in claims:
        is_warning = claim.kind is Kind.DENIED or (may and not claim.is_certain)
        key = *CODES[claim.kind], claim.is_certain, Severity.WARN if is_warning else Severity.BLOCK
        found.setdefault(key, []).append(claim)
    for (code, which, certain, severity), same in found.items():
        uses = "; ".join(f"{claim.device} is {claim.what}" for claim in same)
        hint = _hint(same, address, may_allow=severity is Severity.BLOCK and not certain)
        yield Finding(code, f"{address} is the controller of {which}: {uses}.", severity, hint)


def _hint(claims: Iterable[Claim], address: str, *, may_allow: bool) -> str:
    helps = list(dict.fromkeys(claim.help.rstrip(".") for claim in claims if claim.help))
    if may_allow:
        helps.append(f"{'or allow' if helps else 'Allow'} it with {setting(address)}")
    return "; ".join(helps)
