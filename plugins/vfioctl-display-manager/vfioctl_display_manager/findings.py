"""What the user must know before the desktop goes. Pure: findings from what desktop.py found."""

from __future__ import annotations

from collections.abc import Iterator

from vfioctl.plugin import Finding, Holder, Request, Session, Severity, word
from vfioctl_display_manager import compositors
from vfioctl_display_manager.desktop import CARD_NODE, Desktop, is_from_tty
from vfioctl_display_manager.steps import comes_back, may_end


def about(desktop: Desktop, request: Request) -> Iterator[Finding]:
    """A block for each session that must not end, a warning for each that will."""
    for session in desktop.users:
        yield _ends(session, desktop) if may_end(desktop, request) else _blocks(session, desktop, request)
    yield from _on_other_screen(desktop, request)
    if desktop.sessions and not desktop.manager and all(is_from_tty(session) for session in desktop.sessions):
        yield Finding(
            "session.by_hand", "No display manager is on the card: after the guest's stop a text login is there.",
            Severity.INFO, hint="Log in on the terminal and start the desktop as before.",
        )  # fmt: skip


def _where(session: Session) -> str:
    return f"Session {session.id} of user {session.user} on {session.seat or session.tty or 'a terminal'}"


def _cards(desktop: Desktop) -> str:
    return ", ".join(desktop.screens or desktop.addresses)


def _blocks(session: Session, desktop: Desktop, request: Request) -> Finding:

    return Finding(
        "session.active",
        f"{_where(session)} uses {_cards(desktop)}, and the guest file does not allow to end it.",
        hint=f"Log out, or allow it with: vfioctl config set session end --guest {word(request.guest)}",
    )


def _ends(session: Session, desktop: Desktop) -> Finding:
    return Finding(
        "session.ends",
        f"{_where(session)} ends here for {_cards(desktop)}; nothing brings it back. From here on a failure brings "
        "the login screen back, not the session.",
        Severity.WARN, hint="Save what is open before the guest is started.",
    )  # fmt: skip


def _on_other_screen(desktop: Desktop, request: Request) -> Iterator[Finding]:
    """Where the desktop could do without the card: whether it runs meanwhile, and that it takes the card again."""
    if desktop.manager and may_end(desktop, request) and comes_back(desktop, request):
        yield Finding(
            "display_manager.other_screen",
            f"{desktop.manager.name} is started again as soon as the guest has its card: the host keeps a screen on "
            f"{', '.join(desktop.elsewhere)}.",
            Severity.INFO,
        )  # fmt: skip
    if drawing := _on_both(desktop, request):
        yield _takes_again(desktop, request, drawing)


def _on_both(desktop: Desktop, request: Request) -> list[Holder]:
    """Who draws on a card that stays, and has the one to be given open for no need of its own."""
    drawing = [holder for holder in desktop.holders if any(node.startswith(CARD_NODE) for node in holder.nodes)]
    if not desktop.elsewhere or not drawing:
        return []
    staying = {holder.pid for holder in request.host.holders(desktop.elsewhere)}
    return [holder for holder in drawing if holder.pid in staying]


def _takes_again(desktop: Desktop, request: Request, drawing: list[Holder]) -> Finding:
    names = ", ".join(dict.fromkeys(holder.comm for holder in drawing))
    ends = request.config.session == "end"
    then = "ends the session again" if ends else "is refused while somebody is logged in"
    return Finding(
        "session.takes_again",
        f"{names} has {_cards(desktop)} open beside {', '.join(desktop.elsewhere)}, and will open it again once it is "
        f"back: then the next start {then}.",
        Severity.WARN, hint=compositors.way(drawing),
    )  # fmt: skip
