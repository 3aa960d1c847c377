"""A plan for a guest on a simulated machine, made in this process with every installed plugin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vfioctl.compose import compose
from vfioctl.config.model import GuestConfig
from vfioctl.events.domain import read_domain
from vfioctl.findings import Finding, Severity
from vfioctl.handoff.make_plan import make_plan
from vfioctl.plugin import manifest
from vfioctl.testing.domains import domain
from vfioctl.testing.host import FakeHost
from vfioctl.txn.plan import Plan


def planned(fake: FakeHost, *hostdevs: str, xml: str = "", **settings: Any) -> Plan:
    """The plan for a guest with `hostdevs`, or with the domain `xml`; `settings` are those of its file."""
    wanted = read_domain((xml or domain("win11", hostdevs=hostdevs)).encode())
    known = manifest.build().plugins
    tables = {info.name: {key: row.get("default") for key, row in info.table.items()} for info in known}
    return make_plan(compose(fake.root), wanted, GuestConfig(wanted.name, tables=tables, **settings), known).plan


def codes(plan: Plan, *severities: Severity) -> list[str]:
    """The codes of the findings, of every severity or of these."""
    return [finding.code for finding in plan.findings if not severities or finding.severity in severities]


def only(findings: Iterable[Finding], code: str) -> Finding:
    """The one finding with `code`."""
    (found,) = (finding for finding in findings if finding.code == code)
    return found
