"""libvirt's errors as ours: a code, a sentence, the next command. Asks nobody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vfioctl.errors import VfioctlError
from vfioctl.virt.reasons import reason

if TYPE_CHECKING:
    from libvirt import libvirtError

    from vfioctl.virt.nodes import Node

# What libvirt's numbers (virterror.h) come to. Whatever is not here is `libvirt.failed`.
CODES = {
    "VIR_ERR_NO_SUPPORT": "libvirt.unsupported",
    "VIR_ERR_OPERATION_UNSUPPORTED": "libvirt.unsupported",
    "VIR_ERR_CONFIG_UNSUPPORTED": "libvirt.unsupported",
    "VIR_ERR_ARGUMENT_UNSUPPORTED": "libvirt.unsupported",
    "VIR_ERR_AUTH_FAILED": "libvirt.denied",
    "VIR_ERR_AUTH_CANCELLED": "libvirt.denied",  # nobody was there to ask for a password
    "VIR_ERR_AUTH_UNAVAILABLE": "libvirt.denied",
    "VIR_ERR_ACCESS_DENIED": "libvirt.denied",
    "VIR_ERR_OPERATION_DENIED": "libvirt.denied",  # by a connection that may only read
    "VIR_ERR_OPERATION_TIMEOUT": "guest.locked",  # another call has the domain's lock
    "VIR_ERR_RESOURCE_BUSY": "guest.locked",
    "VIR_ERR_OPERATION_INVALID": "guest.state",
    "VIR_ERR_NO_DOMAIN": "guest.unknown",
    "VIR_ERR_NO_DOMAIN_SNAPSHOT": "snapshot.unknown",
    "VIR_ERR_NO_STORAGE_POOL": "pool.unknown",
    "VIR_ERR_NO_STORAGE_VOL": "volume.unknown",
    "VIR_ERR_STORAGE_VOL_EXIST": "volume.exists",
    "VIR_ERR_NO_NETWORK": "network.unknown",
}
HINTS = {
    "libvirt.down": "Start it with: systemctl start libvirtd",
    "libvirt.denied": "Ask as root, or as a member of the group libvirt.",
    "guest.locked": "See what it does with: virsh list --all",
    "libvirt.unanswered": "See what it does with: virsh list --all",
}
# What comes from the way to the daemon, not from what it does: no socket, nobody listens, it went away in the middle.
LOST = ("VIR_ERR_SYSTEM_ERROR", "VIR_ERR_INTERNAL_ERROR", "VIR_ERR_RPC")
MAY_NOT = ("Permission denied", "authentication")  # of the socket's mode, or of ssh


def translated(error: libvirtError, node: Node, doing: str) -> VfioctlError:
    """What we say of `error`, which came while we were `doing` something on `node`."""
    said = " ".join(str(error.get_error_message() or error).split()).rstrip(".")
    code = _code(error.get_error_code(), error.get_error_domain())
    if code == "libvirt.down" and any(word in said for word in MAY_NOT):
        code = "libvirt.denied"
    did = "does not answer" if code == "libvirt.down" else f"failed at {doing}"
    return VfioctlError(code, f"{_where(node)} {did}: {said}.", hints=_hints(node, code, said))


def _code(number: int | None, domain: int | None) -> str:
    import libvirt

    if domain == libvirt.VIR_FROM_RPC and number in {getattr(libvirt, name) for name in LOST}:
        return "libvirt.down"
    return next((code for name, code in CODES.items() if getattr(libvirt, name, -1) == number), "libvirt.failed")


def silent(node: Node, doing: str, seconds: float) -> VfioctlError:
    """What we say of a libvirt that does not answer."""
    code = "libvirt.unanswered"
    said = f"{_where(node)} did not answer within {round(seconds, 1):g} s: {doing}. It may still come to it."
    return VfioctlError(code, said, hints=_hints(node, code))


def _where(node: Node) -> str:
    return "libvirt" if node.is_local else f"libvirt on {node}"


def _hints(node: Node, code: str, said: str = "") -> tuple[str, ...]:
    if node.is_local:
        return (HINTS[code],) if code in HINTS else ()
    found = reason(node, said) if code in ("libvirt.down", "libvirt.denied") else None
    return (*((found.hint,) if found else ()), f"Try: virsh -c {node.uri} list")


@contextmanager
def translating(node: Node, doing: str) -> Iterator[None]:
    """Raise our error for each of libvirt's in the body."""
    import libvirt

    try:
        yield
    except libvirt.libvirtError as error:
        raise translated(error, node, doing) from error
