"""What checks of doctor find on a host, by code, and changes that break such a host."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from vfioctl.findings import Finding
from vfioctl.host.host import Host

Break = Callable[[Any], object]
Check = Callable[[Host], Iterable[Finding]]


def found(check: Check, tree: Any) -> dict[str, Finding]:
    """The findings of `check` on the host `tree`; each code once."""
    return {finding.code: finding for finding in check(tree.host())}


def writes(path: str, text: str) -> Break:
    """The change that gives the file `path` another text."""
    return lambda tree: tree.write(path, text)


def every(*changes: Break) -> Break:
    """All of `changes`, one after another."""

    def change(tree: Any) -> None:
        for one in changes:
            one(tree)

    return change


def says(findings: dict[str, Finding], code: str, severity: str, evidence: str) -> None:
    """Assert that `code` alone was found, of that severity, with `evidence` among what was seen and with a hint."""
    assert set(findings) == {code}
    one = findings[code]
    assert (one.severity, one.evidence if evidence not in one.evidence else evidence) == (severity, evidence)
    assert one.hint
