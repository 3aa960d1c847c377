"""Our own state as somebody without root sees it: what may not be read is taken for absent, and said."""

from __future__ import annotations

from vfioctl.errors import Refused
from vfioctl.paths import Paths
from vfioctl.txn.resources import Entry, Ledger


class VisibleLedger(Ledger):
    """A ledger for those who only look; `hidden` tells whether anything of it could not be read."""

    def __init__(self, paths: Paths) -> None:
        super().__init__(paths)
        self.hidden = False

    def entry(self, kind: str, resource: str) -> Entry | None:
        try:
            return super().entry(kind, resource)
        except PermissionError:
            self.hidden = True
            return None

    def entries(self, *resources: str) -> tuple[Entry, ...]:
        try:
            return super().entries(*resources)
        except PermissionError:
            self.hidden = True
            return ()

    def readable(self) -> tuple[tuple[Entry, ...], tuple[Refused, ...]]:
        try:
            return super().readable()
        except PermissionError:
            self.hidden = True
            return (), ()
