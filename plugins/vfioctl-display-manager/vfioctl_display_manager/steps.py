"""The steps that take the desktop off the card and prove it back. Pure: proposals from what desktop.py found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vfioctl.plugin import (
    TYPE_CHECKING,
    Frees,
    Phase,
    Request,
    Session,
    StepProposal,
    Unit,
    bind_id,
    home_conditions,
    replace,
    start_time,
)
from vfioctl_display_manager import sound

if TYPE_CHECKING:
    from typing import Any

    from vfioctl_display_manager.desktop import Desktop, UserUnit

PLUGIN = "display-manager"
WARN = f"{PLUGIN}.warn"
FREE = f"{PLUGIN}.free"
TARGET = "graphical-session.target"


def may_end(desktop: Desktop, request: Request) -> bool:
    """Whether nobody's session is in the way, or the guest file allows to end it."""
    return not desktop.users or request.config.session == "end"


def release(desktop: Desktop, request: Request) -> tuple[StepProposal, ...]:
    """Everything that frees the devices, in order. Nothing at all while a session is in the way that must not end."""
    if not desktop.is_there or not may_end(desktop, request):
        return ()
    parts: list[StepProposal] = []
    for made in (
        _warn(desktop, request), _hold(desktop), _end_sessions(desktop, request), _stop(desktop, request),
        _stop_targets(desktop, request), _stop_units(desktop, request),
    ):  # fmt: skip
        parts += _after(parts, made)
    return (*parts, _free(desktop, request, parts), *_again(desktop, request), *_sound_again(desktop))


def comes_back(desktop: Desktop, request: Request) -> bool:
    """Whether the display manager runs while the guest does: on a screen that stays with the host.

    One that the guest file lists under `units` stays stopped for it, as every unit there.
    """
    wanted = bool(request.config.table(PLUGIN).get("start_again", True))
    manager = desktop.manager
    return wanted and bool(desktop.elsewhere) and manager is not None and manager.name not in request.config.units


def _after(earlier: list[StepProposal], made: Iterable[StepProposal]) -> list[StepProposal]:
    """`made`, each after all of `earlier`."""
    ids = tuple(step.id for step in earlier)
    return [replace(step, after=(*ids, *step.after)) for step in made]


def _warn(desktop: Desktop, request: Request) -> Iterator[StepProposal]:
    """wall(1) reaches terminals, not the screen of a graphical session: that is told when the session ends."""
    if desktop.users and _warns(request) and request.host.programs.find("wall"):
        text = f"vfioctl: the graphical session ends now, guest {request.guest} takes the graphics card."
        yield StepProposal(
            id=WARN, kind="command.run", params={"argv": ["wall", text]},
            reason="whoever is at a terminal is told", phase=Phase.BEFORE, best_effort=True,
        )  # fmt: skip


def _warns(request: Request) -> bool:
    return bool(request.config.table(PLUGIN).get("warn", True))


def _hold(desktop: Desktop) -> Iterator[StepProposal]:
    """Stop the main process, not the unit: it would put a greeter on the card as soon as the session has ended.

    systemd continues what it stops (SIGCONT follows KillSignal=, systemd.kill(5)), so a later stop works as always.
    """
    if desktop.manager and desktop.users:
        yield StepProposal(
            id=f"{PLUGIN}.hold:{desktop.manager.name}", kind="unit.hold", params={"unit": desktop.manager.name},
            reason="no greeter takes the card when the session has ended", phase=Phase.BEFORE, best_effort=True,
        )  # fmt: skip


def _end_sessions(desktop: Desktop, request: Request) -> Iterator[StepProposal]:
    """A greeter ends with its display manager, which would replace it at once otherwise."""
    for session in desktop.users if desktop.manager else desktop.sessions:
        told = _is_told(session, desktop, request)
        yield StepProposal(
            id=f"{PLUGIN}.end:{session.id}", kind="session.end", params=_session_params(session, request, told=told),
            reason=_why_session(session, desktop, told=told), phase=Phase.BEFORE, deadline=_deadline(request),
            frees=(Frees(session=session.id),),
        )  # fmt: skip


def _is_told(session: Session, desktop: Desktop, request: Request) -> bool:
    """Whether the user sees a notification: over the bus of the user's manager, which must not be started for it."""
    return session in desktop.users and _warns(request) and request.host.unit(f"user@{session.uid}.service").is_active


def _session_params(session: Session, request: Request, *, told: bool) -> dict[str, Any]:
    warning = {"warning": f"Guest {request.guest} takes the graphics card."} if told else {}
    return {
        "session": session.id, "user": session.user, "uid": session.uid, "leader": session.leader,
        "start_time": start_time(request.host.paths, session.leader) or 0, "scope": session.scope, **warning,
    }  # fmt: skip


def _why_session(session: Session, desktop: Desktop, *, told: bool) -> str:
    who = "the greeter" if session not in desktop.users else f"{session.user}'s session"
    draws = f"{who} on {session.seat or session.tty or 'a terminal'} draws on {', '.join(desktop.screens)}"
    return f"{draws}; a notification tells it first" if told else draws


def _stop(desktop: Desktop, request: Request) -> Iterator[StepProposal]:
    if desktop.manager:
        name = desktop.manager.name
        greeters = tuple(session for session in desktop.sessions if session not in desktop.users)
        yield StepProposal(
            id=f"{PLUGIN}.stop:{name}", kind="unit.stop",
            params={"unit": name, **({"passing": True} if comes_back(desktop, request) else {})},
            reason=f"it has {', '.join(desktop.screens or desktop.addresses)}, or takes it when it starts",
            phase=Phase.BEFORE, deadline=_deadline(request),
            frees=(Frees(unit=name), *(Frees(session=session.id) for session in greeters)),
        )  # fmt: skip


def _stop_targets(desktop: Desktop, request: Request) -> Iterator[StepProposal]:
    """What the user manager runs for the graphical session outlives it (plasma's units do): when the user is
    also logged in over SSH, the manager goes on."""
    for uid in sorted({session.uid for session in desktop.users}):
        if any(unit.name == TARGET for unit in request.host.user_units(uid)):
            reason = f"what belongs to the graphical session of user {uid} ends with it"
            yield _unit_stop(uid, TARGET, reason, request, comes_back=False)


def _stop_units(desktop: Desktop, request: Request) -> Iterator[StepProposal]:
    previous: tuple[str, ...] = ()
    for unit in desktop.units:
        step = _unit_stop(unit.uid, unit.name, _why_unit(unit, desktop), request, comes_back=unit.comes_back)
        yield replace(step, after=previous, frees=(Frees(unit=unit.name, uid=unit.uid),))
        previous = (step.id,)


def _why_unit(unit: UserUnit, desktop: Desktop) -> str:
    held = {
        address for holder in desktop.holders if (holder.uid, holder.user_unit) == (unit.uid, unit.name)
        for address in holder.addresses
    }  # fmt: skip
    if held or not sound.is_server(unit.name):
        return f"it holds {', '.join(sorted(held) or desktop.addresses)}"
    return "it would start the sound server again"


def _unit_stop(uid: int, name: str, reason: str, request: Request, *, comes_back: bool) -> StepProposal:
    """Best effort: the manager may end meanwhile, with all its units. The end shows whether the devices are free."""
    params: dict[str, Any] = {"unit": name, "uid": uid}
    if not comes_back:
        params["restart"] = False
    return StepProposal(
        id=f"{PLUGIN}.stop:{uid}:{name}", kind="unit.stop", params=params, reason=reason, phase=Phase.BEFORE,
        deadline=_deadline(request), best_effort=True,
    )  # fmt: skip


def _free(desktop: Desktop, request: Request, earlier: list[StepProposal]) -> StepProposal:
    """Also after what others stop: the guest file's units and containers, and the units that another plugin knows."""
    units = (*request.config.units, *(holder.unit for holder in desktop.holders if holder.unit))
    others = (*(f"unit.stop:{unit}" for unit in units), *(f"container.stop:{one}" for one in request.config.containers))
    return StepProposal(
        id=FREE, kind="wait.until",
        params={"condition": {"kind": "no.holders", "args": {"addresses": list(desktop.addresses)}}},
        reason="nothing goes on before everybody has let go", phase=Phase.BEFORE, deadline=_deadline(request),
        after=(*(step.id for step in earlier), *dict.fromkeys(others)),
    )  # fmt: skip


def _again(desktop: Desktop, request: Request) -> Iterator[StepProposal]:
    """The login screen on the host's other card, as soon as no driver of the host can open the guest's for it."""
    if desktop.manager and comes_back(desktop, request):
        yield StepProposal(
            id=f"{PLUGIN}.start:{desktop.manager.name}", kind="unit.start",
            params={"unit": desktop.manager.name, "passing": True},
            reason=f"the host keeps a screen on {', '.join(desktop.elsewhere)}", phase=Phase.GIVE,
            after=tuple(bind_id(device.address) for device in request.devices), deadline=_deadline(request),
            best_effort=True,
        )  # fmt: skip


def _sound_again(desktop: Desktop) -> Iterator[StepProposal]:
    """A user who stays logged in has the sound of the other cards while the guest runs."""
    ended = {session.uid for session in desktop.users}
    for unit in reversed(desktop.units):
        if sound.is_server(unit.name) and unit.uid not in ended:
            yield StepProposal(
                id=f"{PLUGIN}.start:{unit.uid}:{unit.name}", kind="unit.start",
                params={"unit": unit.name, "uid": unit.uid}, reason="the user has the sound of the other cards",
                phase=Phase.RUNNING, best_effort=True,
            )  # fmt: skip


def verify(desktop: Desktop, request: Request) -> tuple[StepProposal, ...]:
    """After the return: the display manager runs, and a login has the card open. A failure is a warning.

    One that has been running on another screen meanwhile is left alone.
    """
    table = request.config.table(PLUGIN)
    if not desktop.manager or not table.get("verify", True) or not may_end(desktop, request):
        return ()
    deadline = float(table.get("verify_deadline", 60.0))
    active = _is_back(desktop.manager, deadline)
    if not desktop.screens or comes_back(desktop, request):
        return (active,)
    drawn = {"kind": "has.holder", "args": {"addresses": list(desktop.screens), "by": desktop.manager.name}}
    again = _once_more(desktop.manager, drawn, tuple(_is_home(desktop, request)), active.id, deadline)
    return active, again, _draws(drawn, again.id, deadline)


def _is_back(manager: Unit, deadline: float) -> StepProposal:
    args = {"unit": manager.name, "state": "active"}
    return StepProposal(
        id=f"{PLUGIN}.active:{manager.name}", kind="wait.until",
        params={"condition": {"kind": "unit.state", "args": args}}, reason=f"{manager.name} ran before",
        phase=Phase.AFTER, deadline=deadline, best_effort=True,
    )  # fmt: skip


def _is_home(desktop: Desktop, request: Request) -> Iterator[dict[str, Any]]:
    """The conditions without which no display manager can draw on the cards."""
    cards = (request.host.device(address) for address in desktop.screens)
    return ({"kind": one.kind, "args": one.args} for one in home_conditions(cards, request.host))


def _once_more(
    manager: Unit, drawn: dict[str, Any], home: tuple[dict[str, Any], ...], after: str, deadline: float
) -> StepProposal:
    return StepProposal(
        id=f"{PLUGIN}.again:{manager.name}", kind="unit.restart",
        params={"unit": manager.name, "unless": drawn, "once": list(home)},
        reason="only if it came back before its card: then it stays without it",
        phase=Phase.AFTER, after=(after,), deadline=deadline, best_effort=True,
    )  # fmt: skip


def _draws(drawn: dict[str, Any], after: str, deadline: float) -> StepProposal:
    return StepProposal(
        id=f"{PLUGIN}.drawn", kind="wait.until", params={"condition": drawn},
        reason="a display manager stays active without any card: only a greeter on it proves the desktop back",
        phase=Phase.AFTER, after=(after,), deadline=deadline, best_effort=True,
    )  # fmt: skip


def _deadline(request: Request) -> float:
    return float(request.config.table(PLUGIN).get("stop_deadline", 15.0))
