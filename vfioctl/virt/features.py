"""What guests on a host can have, out of libvirt's capabilities of the host and of its domains. Reads XML only."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from vfioctl.frozen import frozen

EXTENSIONS = ("vmx", "svm")  # of Intel's and AMD's processors: hardware virtualisation


@frozen
class Features:
    """None: this libvirt or this user cannot see it. `tpm` are the backends that a virtual TPM may have."""

    kvm: bool
    extension: str  # vmx or svm, "" where the processor shows neither
    iommu: bool | None
    uefi: bool | None
    secure_boot: bool | None
    tpm: tuple[str, ...] | None
    sev: bool | None


def read_features(host: ET.Element, domain: ET.Element | None) -> Features:
    """The features by the capabilities `host`, and `domain`, those of guests of its own architecture."""
    arch = host.findtext("host/cpu/arch", "")
    kinds = {one.get("type") for found in host.iterfind("guest/arch") if found.get("name") == arch
             for one in found.iter("domain")}  # fmt: skip
    shown = {one.get("name", "") for one in host.iterfind("host/cpu/feature")}
    iommu = host.find("host/iommu")
    firmware = _values(domain, "os/enum", "firmware")
    return Features(
        kvm="kvm" in kinds, extension=next((name for name in EXTENSIONS if name in shown), ""),
        iommu=None if iommu is None else iommu.get("support") == "yes",
        uefi=None if firmware is None else "efi" in firmware,
        secure_boot=_has(_values(domain, "os/loader/enum", "secure"), "yes"), tpm=_tpm(domain),
        sev=_is_supported(domain, "features/sev"),
    )  # fmt: skip


def _values(domain: ET.Element | None, path: str, name: str) -> tuple[str, ...] | None:
    """The values of the enumeration `name`; None where there is none to look at."""
    if domain is None:
        return None
    return next((tuple(one.text or "" for one in found.iterfind("value"))
                 for found in domain.iterfind(path) if found.get("name") == name), ())  # fmt: skip


def _has(values: tuple[str, ...] | None, value: str) -> bool | None:
    return None if values is None else value in values


def _tpm(domain: ET.Element | None) -> tuple[str, ...] | None:
    supported = _is_supported(domain, "devices/tpm")
    return _values(domain, "devices/tpm/enum", "backendModel") if supported else None if supported is None else ()


def _is_supported(domain: ET.Element | None, path: str) -> bool | None:
    found = None if domain is None else domain.find(path)
    return None if domain is None else found is not None and found.get("supported") == "yes"
