"""Who may be made to let go of a device, and who blocks. The one policy, whatever plugins promise. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from vfioctl.checking import TYPE_CHECKING
from vfioctl.findings import Finding
from vfioctl.frozen import field, frozen
from vfioctl.host.model import Holder, Session
from vfioctl.txn.step import Frees

if TYPE_CHECKING:
    from vfioctl.host.containers import Container

SESSION_ACTIVE = "session.active"  # a session is in the way that must not be ended: said once, here or by a plugin


@frozen
class Policy:
    """What the core allows to be ended for one guest.

    `units` are the display manager's unit, the units that the configuration lists and those in a plugin's documented
    list; `end_sessions` tells that a logged-in user's session may be ended. `containers` are the ids of those that the
    configuration lists, `daemons` the units among `units` whose Docker containers end with them, `named` what is known
    of the containers that holders are in. `guests` are the names of the guests that run, by their process.
    """

    units: frozenset[str] = frozenset()
    sessions: tuple[Session, ...] = ()
    end_sessions: bool = False
    guest: str = ""
    containers: frozenset[str] = frozenset()
    daemons: frozenset[str] = frozenset()
    named: Mapping[str, Container] = field(default_factory=dict)
    guests: Mapping[int, str] = field(default_factory=dict)

    def session(self, identifier: str) -> Session | None:
        return next((session for session in self.sessions if session.id == identifier), None)

    def session_of(self, holder: Holder) -> Session | None:
        """The session that `holder` is in."""
        return next((session for session in self.sessions if holder.belongs_to(session)), None)


def holder_findings(
    holders: Sequence[Holder], releases: Sequence[Frees], policy: Policy, *, session_named: bool = False
) -> Iterable[Finding]:
    """A block for each holder that no allowed release covers, naming pid, command and unit or session.

    `session_named`: the session that is in the way is named already; what would go with it is not said again.
    """
    allowed = [release for release in releases if _is_allowed(release, policy, holders)]
    for holder in holders:
        if holder.is_untouchable or any(_covers(release, holder, policy) for release in allowed):
            continue
        if not (session_named and _goes_with_session(holder, policy)):
            yield _blocked(holder, policy)


def _is_allowed(release: Frees, policy: Policy, holders: Sequence[Holder]) -> bool:
    if release.container is not None:
        return release.container in policy.containers
    if release.session is not None:
        return _may_end(policy.session(release.session), policy, holders)
    if release.unit is not None and release.uid is None:
        return release.unit in policy.units
    if release.unit is not None:
        return any(session.uid == release.uid and _is_graphical(session, holders) for session in policy.sessions)
    holder = next((h for h in holders if (h.pid, h.start_time) == (release.pid, release.start_time)), None)
    return holder is not None and _may_end(policy.session_of(holder), policy, holders)


def _may_end(session: Session | None, policy: Policy, holders: Sequence[Holder]) -> bool:
    """A greeter's session is ended freely, a user's only where the guest file says so, a remote one never."""
    if session is None or session.remote or not _is_graphical(session, holders):
        return False
    return session.is_greeter or policy.end_sessions


def _is_graphical(session: Session, holders: Sequence[Holder]) -> bool:
    """On a seat, or holding the device itself: startx and sway on a TTY count too."""
    return bool(session.seat) or any(holder.belongs_to(session) for holder in holders)


def _covers(release: Frees, holder: Holder, policy: Policy) -> bool:
    if release.container is not None:
        return holder.container == release.container and holder.manager == release.uid
    if release.session is not None:
        session = policy.session_of(holder)
        return session is not None and session.id == release.session
    if release.unit is not None and release.uid is None:
        own = holder.unit == release.unit or _session_service(holder, policy) == release.unit
        return own or (release.unit in policy.daemons and _ends_with_docker(holder))
    if release.unit is not None:
        return holder.user_unit == release.unit and holder.uid == release.uid
    return (holder.pid, holder.start_time) == (release.pid, release.start_time)


def _ends_with_docker(holder: Holder) -> bool:
    """Whether it is in a container of the system's Docker daemon."""
    if holder.container is None or holder.user_unit is not None:
        return False
    from vfioctl.host.containers import DOCKER, runtime  # few holders are in containers

    return runtime(holder) == DOCKER


def _session_service(holder: Holder, policy: Policy) -> str | None:
    """The display manager's unit, for a greeter's session that it started (pam service names its origin)."""
    session = policy.session_of(holder)
    if session is None or not session.is_greeter or not session.service:
        return None
    return f"{session.service.removesuffix('-greeter').removesuffix('-launch-environment')}.service"


def _goes_with_session(holder: Holder, policy: Policy) -> bool:
    """Whether the end of the sessions on the seat would end it: their processes, their users' units, the manager."""
    if holder.unit is not None:
        return holder.unit in policy.units
    local = [session for session in policy.sessions if session.seat and not session.remote]
    if holder.user_unit is not None:
        return any(session.uid == holder.uid for session in local)
    return any(holder.belongs_to(session) for session in local)


def _blocked(holder: Holder, policy: Policy) -> Finding:
    if holder.pid in policy.guests:
        return _has_it(holder, policy.guests[holder.pid])
    session = policy.session_of(holder)
    where = _where(holder, policy)
    if not holder.addresses and not holder.is_stale:
        return _blocked_for_all(holder, where, policy)
    held = f"{', '.join(holder.addresses) or 'The device'} is held by process {holder.pid} ({holder.comm}){where}."
    if session and not session.remote and not session.is_greeter and not policy.end_sessions:
        from vfioctl.shell import word  # few starts need it

        return Finding(
            SESSION_ACTIVE,
            f"{held} It belongs to session {session.id} of user {session.user}.",
            hint=f"Log out, or allow ending it with: vfioctl config set session end --guest {word(policy.guest)}",
        )
    return Finding("holder.alive", held, hint=_way_out(holder, policy))


def _has_it(holder: Holder, guest: str) -> Finding:
    from vfioctl.shell import word  # few starts need it

    return Finding(
        "holder.alive", f"{', '.join(holder.addresses) or 'The device'} is with guest {guest}, which runs.",
        hint=f"Shut that guest down first, with: virsh shutdown {word(guest)}",
    )  # fmt: skip


def _blocked_for_all(holder: Holder, where: str, policy: Policy) -> Finding:
    return Finding(
        "holder.shared",
        f"Process {holder.pid} ({holder.comm}){where} has {', '.join(holder.nodes)} open, which all devices of "
        "the driver share: it may hold the one to be given.",
        hint=_way_out(holder, policy),
    )


def _way_out(holder: Holder, policy: Policy) -> str:
    """What helps: a container's process alone would be started again."""
    container = policy.named.get(holder.container or "")
    known = container.way_out if container else ""
    return known or "End that process, then start the guest again; see: vfioctl gpu holders"


def _where(holder: Holder, policy: Policy) -> str:
    if holder.container:
        container = policy.named.get(holder.container)
        return f" in container {container.title if container else holder.container}"
    if holder.user_unit:
        return f" of {holder.user_unit} of user {holder.uid}"
    if holder.unit:
        return f" of {holder.unit}"
    return f" in session {holder.session}" if holder.session else ""
