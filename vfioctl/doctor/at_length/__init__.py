"""What `vfioctl doctor CODE` says at length of a finding: why it is so, how to see it, what mends it. Text only."""

from __future__ import annotations

from collections.abc import Mapping

from vfioctl.doctor.at_length import boots, guests, hooks, hosts, users

__all__ = ["AT_LENGTH"]

_WRAPPED = {**hosts.TEXTS, **boots.TEXTS, **users.TEXTS, **hooks.TEXTS, **guests.TEXTS}
AT_LENGTH: Mapping[str, str] = {code: " ".join(text.split()) for code, text in _WRAPPED.items()}
