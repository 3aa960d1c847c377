"""The host checks: what of a desktop is not found, ends with a card, or takes every card. Reads facts only."""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.plugin import DoctorCheck, Finding, Holder, Host, Session, Severity
from vfioctl_display_manager import compositors, settings
from vfioctl_display_manager.desktop import CARD_NODE, GRAPHICAL, KNOWN, is_from_tty


def checks() -> tuple[DoctorCheck, ...]:
    """The checks of this plugin."""
    return (
        DoctorCheck("display-manager.alias", "The display manager is found by its alias.", find_alias),
        DoctorCheck("display-manager.sessions", "No session is on the only card.", find_sessions),
        DoctorCheck("display-manager.compositor", "The desktop leaves a card to guests.", find_compositors),
        DoctorCheck("display-manager.settings", "Desktops are held to cards that are there.", settings.find),
    )


def find_alias(host: Host) -> tuple[Finding, ...]:
    """A running display manager without the alias display-manager.service is only found while it holds the card."""
    if not host.booted_with_systemd() or host.display_manager():
        return ()
    running = [unit.name for unit in host.units(KNOWN) if unit.exists and unit.is_active]
    return tuple(
        Finding(
            "display_manager.no_alias",
            f"{name} runs, but display-manager.service does not name it: a start of a guest may race it.",
            Severity.WARN, hint=f"Give it the alias with: systemctl enable --force {name}",
            evidence="display-manager.service is no unit",
        )
        for name in running
    )  # fmt: skip


def find_sessions(host: Host) -> tuple[Finding, ...]:
    """On a host with one card: whose session ends with a guest, and which nothing starts again."""
    return tuple(_sessions(host)) if len(host.displays()) == 1 else ()


def _sessions(host: Host) -> Iterator[Finding]:
    for session in host.sessions():
        if session.seat and not session.remote and not session.is_greeter and _draws(session):
            said = f"loginctl: session {session.id}, {session.type} on {session.seat}"
            yield Finding(
                "session.ends", f"Session {session.id} of user {session.user} ends when a guest gets the only card.",
                Severity.INFO, "Save what is open before; the guest file says whether it may (session).", evidence=said,
            )  # fmt: skip
            if is_from_tty(session) and not host.display_manager():
                yield Finding(
                    "session.by_hand", f"Session {session.id} was started from a text login: nothing starts it again.",
                    Severity.INFO, "Log in on the terminal and start it as before.", evidence=said,
                )  # fmt: skip


def _draws(session: Session) -> bool:
    return session.type in GRAPHICAL or is_from_tty(session)


def find_compositors(host: Host) -> tuple[Finding, ...]:
    """On a host with several cards: who draws, and has each of them open."""
    cards = [card.address for card in host.displays() if host.cards(card.address)]
    if len(cards) < 2:  # noqa: PLR2004 -- a card and another one
        return ()
    drawing = [holder for holder in host.holders(cards) if _has_every(holder, cards)]
    return tuple(_every(one, cards) for one in {holder.comm: holder for holder in drawing}.values())


def _has_every(holder: Holder, cards: list[str]) -> bool:
    draws = any(node.startswith(CARD_NODE) for node in holder.nodes)
    return draws and not holder.is_untouchable and set(cards) <= set(holder.addresses)


def _every(holder: Holder, cards: list[str]) -> Finding:
    return Finding(
        "display_manager.every_card",
        f"{holder.comm} has {' and '.join(cards)} open: a guest that gets one of them ends the desktop.",
        Severity.WARN, compositors.way((holder,)),
        evidence=f"/proc/{holder.pid}/fd: {', '.join(node for node in holder.nodes if node.startswith(CARD_NODE))}",
    )  # fmt: skip
