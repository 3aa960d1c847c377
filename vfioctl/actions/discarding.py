"""`vfioctl recover --discard ID`: shows what is known of a journal that cannot be ended, asks, and puts it aside."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vfioctl.actions.errors import Misuse
from vfioctl.frozen import asdict
from vfioctl.handoff import damaged, remains
from vfioctl.handoff import discard as discarded
from vfioctl.handoff.notes import HAND_OFF
from vfioctl.log import Log
from vfioctl.result import Result
from vfioctl.txn.journal import open_uuids
from vfioctl.unknown import no_such

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.handoff.remains import Remains

UNCONFIRMED = "recover.unconfirmed"


def discard(call: Call, wanted: str | None) -> Result:
    """Put the journal of the guest `wanted`, a UUID or a name, aside. Raises Misuse, Refused(UNCONFIRMED)."""
    call.need_trust()
    here = call.composition
    uuid = _chosen(call, wanted)
    discarded.refuse_whole(here.paths, uuid)
    if UNCONFIRMED not in call.caller.agreed:
        call.need_agreement(UNCONFIRMED, lines(asdict(remains.of(here, uuid))))
    known, place = discarded.discard(here, uuid)
    Log(here.paths, stderr=None).notice(f"The journal of {known.guest or uuid} was put aside: {place}")
    return Result(data={"discarded": {**_plain(known), "place": place}})


def _chosen(call: Call, wanted: str | None) -> str:
    """The UUID that is meant. Raises Misuse, Refused."""
    paths = call.composition.paths
    known = discarded.candidates(paths)
    if wanted is None:
        listed = f": {', '.join(known)}" if known else "."
        raise Misuse(call.verb, f"--discard needs the ID of a journal that cannot be finished{listed}")
    opened = dict.fromkeys((*known, *open_uuids(paths)))
    named = [uuid for uuid in opened if wanted and wanted in (uuid, damaged.guest_of(paths, uuid))]
    if not named:
        raise no_such("recover.nothing", f"Nothing is open of {wanted!r}", wanted, known, "What cannot be ended")
    hurt = [uuid for uuid in named if uuid in known]
    if len(hurt) > 1:
        raise Misuse(call.verb, f"{wanted} has more than one journal that cannot be finished: {', '.join(hurt)}")
    return (hurt or named)[0]


def _plain(known: Remains) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(known).items()}


def lines(known: dict[str, Any]) -> Iterator[str]:
    """What is known, for a person who has to check the rest; `place` is where it lies, once it was put aside."""
    when = f", begun {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(known['since']))}" if known["since"] else ""
    by = f" by vfioctl {known['version']}" if known["version"] else ""
    whose = known["guest"] or "a guest that nobody knows"
    what = "Hand-off of" if known["operation"] == HAND_OFF else f"Operation {known['operation']} on"
    yield f"{what} {whose} ({known['uuid']}){when}{by}."
    yield from known["problems"] or ("It has no journal, though others are told that it holds something.",)
    for title, key in (("Its devices:", "devices"), ("What it holds:", "holds"), ("Its last records:", "last")):
        if known[key]:
            yield title
            yield from (f"  {item}" for item in known[key])
    yield from _to_do(known)


def _to_do(known: dict[str, Any]) -> Iterator[str]:
    place = known.get("place")
    if known["undone"]:
        yield "Its undo.sh has been run; see its log in /var/log/vfioctl."
    elif known["undo"]:
        script = f"{place}/undo.sh" if place else known["undo"]
        yield f"Its undo is still there and takes everything back: sh {script}"
        if not place:
            yield "Run that first, with: vfioctl rescue"
    if known["check"]:
        yield "To be checked by hand:"
        yield from (f"  {item}" for item in known["check"])
    if place:
        yield f"Its journal was put aside, with all of this: {place}"
