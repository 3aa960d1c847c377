"""Desktops as they are met in the wild, on the simulated machine of the lab (bochs-drm, sound, one group)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import pytest
from vfioctl_display_manager import plugin

from vfioctl.config.model import GuestConfig
from vfioctl.events.model import Domain
from vfioctl.handoff.holders import Policy
from vfioctl.handoff.planning import Order, plan
from vfioctl.host.host import Host
from vfioctl.plugin.types import Finding, Request, StepProposal
from vfioctl.testing import parts
from vfioctl.testing.host import FakeHost
from vfioctl.testing.model import FakeProcess, FakeSession, FakeUnit, MachineSpec
from vfioctl.testing.scenarios import GPU, SOUND, bochs_lab
from vfioctl.txn.ordering import Proposed
from vfioctl.txn.plan import Plan
from vfioctl.txn.resources import Ledger

ADA = 1000
CARD = ("/dev/dri/card0", "/dev/dri/renderD128")
SSH = FakeSession("9", "ada", ADA, seat="", type="tty", leader=5_000_050, service="sshd", remote=True)
ENDS = "end"


def machine(
    *, processes: Iterable[FakeProcess] = (), sessions: Iterable[FakeSession] = (), units: Iterable[FakeUnit] = (),
    base: MachineSpec | None = None,
) -> MachineSpec:  # fmt: skip
    """A machine whose desktop consists of these."""
    numbered = tuple(
        replace(process, pid=process.pid or 5_000_100 + index) for index, process in enumerate(processes)
    )
    return replace(
        base or bochs_lab(), processes=(*parts.base_processes(), *numbered), sessions=tuple(sessions),
        units=tuple(units), users=(("0", "root"), (str(ADA), "ada"), ("120", "gdm")),
    )  # fmt: skip


def manager(name: str = "lightdm.service", **fields: object) -> FakeUnit:
    return FakeUnit(name, aliases=("display-manager.service",), **fields)  # type: ignore[arg-type]


def gnome(*more: FakeProcess, ssh: bool = False) -> MachineSpec:
    """gdm; ada's shell is a unit of her manager, an application a scope, her services units as well."""
    shell = FakeProcess("gnome-shell", uid=ADA, user_unit="org.gnome.Shell@wayland.service", opens=CARD)
    browser = FakeProcess("firefox", uid=ADA, user_unit="app-gnome-firefox-77.scope", opens=CARD[1:])
    worker = FakeProcess("gdm-session-wor", pid=5_000_060, session="2")
    session = FakeSession("2", "ada", ADA, type="wayland", service="gdm-password", leader=5_000_060, tty="tty2")
    again = replace(shell, uid=120, user_unit="org.gnome.Shell@wayland.service", requires=CARD[0])
    owned = (
        FakeUnit("org.gnome.Shell@wayland.service", uid=ADA), FakeUnit("app-gnome-firefox-77.scope", uid=ADA),
        FakeUnit("graphical-session.target", uid=ADA), FakeUnit("pipewire.service", uid=ADA),
    )  # fmt: skip
    return machine(
        processes=(FakeProcess("gdm3", unit="gdm.service"), shell, browser, worker, *more),
        sessions=(session, SSH) if ssh else (session,),
        units=(manager("gdm.service", brings=(FakeProcess("gdm3", unit="gdm.service"), again)), *owned),
    )  # fmt: skip


def tty_compositor(*, display_manager: bool = False) -> MachineSpec:
    """sway, started from a text login on tty1; logind says type tty."""
    sway = FakeProcess("sway", pid=5_000_070, uid=ADA, session="3", opens=CARD)
    session = FakeSession("3", "ada", ADA, type="tty", service="login", leader=5_000_070, tty="tty1")
    return machine(
        processes=(sway,), sessions=(session,), units=(manager("greetd.service"),) if display_manager else ())


def sound_servers(*names: str) -> tuple[FakeUnit, ...]:
    return tuple(FakeUnit(name, uid=ADA) for name in names)


@dataclass(frozen=True)
class Said:
    """What the plugin says about one start."""

    request: Request
    before: tuple[StepProposal, ...]
    after: tuple[StepProposal, ...]
    findings: tuple[Finding, ...]

    @property
    def ids(self) -> list[str]:
        return [step.id for step in self.before]

    @property
    def codes(self) -> list[str]:
        return [finding.code for finding in self.findings]

    def step(self, identifier: str) -> StepProposal:
        return next(step for step in (*self.before, *self.after) if step.id == identifier)

    def plan(self, *others: Proposed) -> Plan:
        """The plan that the core makes of it, with its own policy about holders."""
        host = self.request.host
        behind = host.display_manager()
        policy = Policy(
            units=frozenset({behind.name} if behind else ()), sessions=host.sessions(), guest="win11",
            end_sessions=self.request.config.session == ENDS,
        )  # fmt: skip
        proposals = (*others, *(Proposed("display-manager", step) for step in (*self.before, *self.after)))
        order = Order("win11", "uuid", self.request.devices, proposals, lambda: policy, findings=self.findings)
        return plan(order, host, Ledger(host.paths))


def ask(
    fake: FakeHost, *addresses: str, session: str = "keep", table: dict[str, object] | None = None,
    units: tuple[str, ...] = (), guest: str = "win11",
) -> Said:  # fmt: skip
    """Ask every hook about a start with these devices."""
    host = Host(fake.paths, fake.programs)
    config = GuestConfig(guest, session=session, units=units, tables={"display-manager": table or {}})
    devices = tuple(host.device(address) for address in addresses or (GPU, SOUND))
    request = Request(guest, "uuid", Domain(guest, "uuid"), config, host, devices)
    return Said(
        request, tuple(plugin.vfioctl_pre_start(request)), tuple(plugin.vfioctl_post_stop(request)),
        tuple(plugin.vfioctl_preflight(request)),
    )  # fmt: skip


@dataclass(frozen=True)
class Desktops:
    """What the tests build machines from."""

    machine = staticmethod(machine)
    manager = staticmethod(manager)
    gnome = staticmethod(gnome)
    greeter = staticmethod(bochs_lab)
    tty_compositor = staticmethod(tty_compositor)
    sound_servers = staticmethod(sound_servers)
    ssh = SSH
    card = CARD


@pytest.fixture
def desktops() -> Desktops:
    return Desktops()


@pytest.fixture(name="ask")
def asking() -> Callable[..., Said]:
    """Ask every hook about a start."""
    return ask
