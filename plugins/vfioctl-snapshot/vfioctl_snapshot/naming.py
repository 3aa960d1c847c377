"""How snapshots are named, and which names are ours. Pure."""

from __future__ import annotations

import re
import time

LONGEST = 60
PLAIN = re.compile(r"[A-Za-z0-9._-]*")
OPERATION = r"(?:-[0-9a-f]{8})?"  # the id that the core adds; the first versions did not
REVERTED = re.compile(r"\.vfioctl-[0-9a-f]{8}\.fd$")  # the NVRAM that a revert has put in the place of the former
STAMPS = {"{date}": ("%Y%m%d", r"(\d{8})"), "{time}": ("%H%M%S", r"(\d{6})")}


def template_problem(template: str) -> str:
    """Why `template` cannot name snapshots; empty when it can."""
    rest = template
    for stamp in STAMPS:
        if template.count(stamp) != 1:
            return f"it must hold {stamp} once"
        rest = rest.replace(stamp, "")
    if not PLAIN.fullmatch(rest) or template.startswith(("-", ".")) or len(template) > LONGEST:
        return f"besides {{date}} and {{time}} it may hold up to {LONGEST} letters, digits, '.', '_' and '-'"
    return ""


def name_at(template: str, when: float) -> str:
    """The name of a snapshot made at `when`, seconds since the epoch, in UTC."""
    moment = time.gmtime(when)
    name = template
    for stamp, (form, _) in STAMPS.items():
        name = name.replace(stamp, time.strftime(form, moment))
    return name


def stamp_of(template: str, name: str) -> tuple[str, str] | None:
    """Date and time in `name`, when `template` makes it, with an id or without; None when it is not ours."""
    pattern = re.escape(template)
    for stamp, (_, digits) in STAMPS.items():
        pattern = pattern.replace(re.escape(stamp), digits)
    found = re.fullmatch(pattern + OPERATION, name)
    if found is None:
        return None
    swapped = template.index("{time}") < template.index("{date}")
    first, second = found.groups()
    return (second, first) if swapped else (first, second)


def without_id(name: str) -> str:
    """`name` without the id of an operation at its end."""
    return re.sub(rf"{OPERATION}\Z", "", name)


def outdated(template: str, names: tuple[str, ...], keep: int) -> tuple[str, ...]:
    """Of `names`, those that are ours and older than the `keep` newest, oldest first; none when `keep` is 0."""
    dated = sorted((stamp, name) for name in set(names) if (stamp := stamp_of(template, name)))
    return tuple(name for _, name in dated[:-keep]) if keep > 0 else ()


def nvram_stem(nvram: str) -> str:
    """The path of an NVRAM without what a revert has added to it: the copies of all times begin with it."""
    return REVERTED.sub("", nvram)


def tpm_states(uuid: str) -> tuple[str, ...]:
    """Where libvirt keeps the state of the emulated TPM of the domain `uuid`, by the version that it has."""
    return tuple(f"/var/lib/libvirt/swtpm/{uuid}/{name}.permall" for name in ("tpm2/tpm2-00", "tpm1.2/tpm-00"))
