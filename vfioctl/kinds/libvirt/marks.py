"""Marks in the metadata of a guest: which operation has started or paused it, or lets its file systems stand still.

Those of the configuration stay until they are taken away; those of the running guest go with its end.
"""

from __future__ import annotations

from vfioctl.checking import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

STARTED, FROZEN, PAUSED = "urn:vfioctl:started", "urn:vfioctl:frozen", "urn:vfioctl:paused"
KEY = "vfioctl"


def configured(handle: Any, what: str) -> str:
    """The operation that the configuration of a guest names for `what`; "" for none."""
    import libvirt

    return _mark(handle, what, libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def running(handle: Any, what: str) -> str:
    """The operation that the running guest names; "" for none, or when it is off."""
    import libvirt

    return _mark(handle, what, libvirt.VIR_DOMAIN_AFFECT_LIVE) if handle.isActive() else ""


def configure(handle: Any, what: str, operation: str) -> None:
    """Let the configuration name `operation` for `what`, or none where it is ""."""
    import libvirt

    _set(handle, what, operation, libvirt.VIR_DOMAIN_AFFECT_CONFIG)


def tell(handle: Any, what: str, operation: str) -> None:
    """The same of the running guest."""
    import libvirt

    _set(handle, what, operation, libvirt.VIR_DOMAIN_AFFECT_LIVE)


def _set(handle: Any, what: str, operation: str, where: int) -> None:
    import libvirt

    element, key = (f"<operation id='{operation}'/>", KEY) if operation else (None, None)
    handle.setMetadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, element, key, what, where)


def _mark(handle: Any, what: str, where: int) -> str:
    from xml.etree import ElementTree as ET

    import libvirt

    try:
        found = handle.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, what, where)
    except libvirt.libvirtError as error:
        if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN_METADATA, libvirt.VIR_ERR_OPERATION_INVALID):
            return ""  # it has none, or has just ended
        raise
    return ET.fromstring(found).get("id", "")
