"""`vfioctl plan`: the steps with reason, undo class, scope and deadline, the point of no return, and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vfioctl.cli.render.prose import Prose
from vfioctl.cli.render.steps import Step, short, subject, toward, undone, until
from vfioctl.cli.render.tables import Column, moment, table, words
from vfioctl.txn.kind import kind

if TYPE_CHECKING:
    from rich.console import RenderableType

NO_RETURN = "your session ends here; from here a failure brings the login screen back, not your session"
COLUMNS = (
    Column("#", 2, right=True), Column("step", 18), Column("on", 24), Column("why"),
    Column("undo", 9), Column("undone when", 11), Column("limit", 5, right=True),
)  # fmt: skip
BACK_COLUMNS = (Column("#", 2, right=True), Column("while libvirt waits", 22), Column("on", 24), Column("so that"))
AFTER_COLUMNS = (Column("#", 2, right=True), Column("after the hook", 22), Column("on", 24), Column("so that"))
WORDS = {"warn": "warning"}
LONGEST = 71  # of what an undo brings about: a command of 60 characters, and what is said before it


def view(data: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The whole plan; a refused one shows its steps too, and the findings stand below it."""
    plan = data["plan"]
    if data.get("running"):
        yield from _running(data["running"], plan)
        return
    if data.get("hand_off"):
        yield from _open(data["hand_off"], plan)
        return
    yield f"{plan['guest']} ({plan['uuid']}) takes {words(plan['devices'], 'no device')}"
    yield ""
    if plan["steps"]:
        yield from _steps(plan["steps"], data.get("point_of_no_return"))
    else:
        yield "Nothing has to be done for it."
    yield from _more("Once it runs", plan["running"])
    yield from _way_back(plan)
    yield from _proof(data["back"])
    yield ""
    yield _budget(plan["budget"])
    yield from _findings(plan["findings"])


def _running(running: Mapping[str, Any], plan: Mapping[str, Any] | None) -> Iterator[RenderableType]:
    """The guest has its devices: how they come back when it stops."""
    since = moment(running["since"])
    if not running["given"]:
        yield f"{running['guest']} runs since {since} (process {running['process']})."
        return
    yield f"{running['guest']} runs since {since} with {words(running['devices'], 'no device')}."
    if plan:
        yield "They return when it stops; nothing is planned for a start meanwhile."
        yield from _way_back(plan)


def _open(hand_off: Mapping[str, Any], plan: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The guest does not run, and its devices are not home: how they come back."""
    devices = words(hand_off["devices"], "no device")
    yield f"{hand_off['guest']} was given {devices} at {moment(hand_off['since'])}, and does not run."
    yield "They return first; nothing is planned for a start before that."
    yield from _way_back(plan, "What is left of their return:")


def _steps(steps: Sequence[Step], no_return: str | None) -> Iterator[RenderableType]:
    at = next((index for index, step in enumerate(steps) if step["id"] == no_return), len(steps))
    rows = [_row(number, step) for number, step in enumerate(steps, 1)]
    if before := rows[:at]:
        yield table(COLUMNS, before, like=rows)
    if after := rows[at:]:
        yield ""
        yield Prose(f"── {NO_RETURN} ──")
        yield ""
        yield table(COLUMNS, after, head=not before, like=rows)


def _row(number: int, step: Step) -> tuple[object, ...]:
    optional = " (best effort)" if step.get("best_effort") else ""
    where = subject(step) + toward(step)
    why, limit = step["reason"] + optional, f"{step['deadline']:g} s"
    return (number, step["kind"], where, why, undone(step), until(step), limit)


def _more(title: str, steps: Sequence[Step]) -> Iterator[RenderableType]:
    if steps:
        yield ""
        yield f"{title}:"
        yield table(COLUMNS, (_row(number, step) for number, step in enumerate(steps, 1)))


def _way_back(plan: Mapping[str, Any], title: str = "When it stops:") -> Iterator[RenderableType]:
    if not plan["way_back"]:
        return
    steps = {step["id"]: step for step in (*plan["steps"], *plan["running"], *plan["returns"])}
    yield ""
    yield title
    for part, columns in (("hook", BACK_COLUMNS), ("detached", AFTER_COLUMNS)):
        rows = [_back_row(item, steps) for item in plan["way_back"] if item["part"] == part and _does(item, steps)]
        if rows:
            yield table(columns, ((number, *row) for number, row in enumerate(rows, 1)))
            yield ""


def _does(item: Mapping[str, Any], steps: Mapping[str, Step]) -> bool:
    """Whether the piece does anything: what no undo brings back is named above, not here."""
    step = steps[item["step"]]
    if item["action"] != "undo":
        return True
    return undone(step) not in ("never", "nothing")


def _back_row(item: Mapping[str, Any], steps: Mapping[str, Step]) -> tuple[str, str, str]:
    step = steps[item["step"]]
    if item["action"] == "undo":
        return f"undo {step['kind']}", subject(step), _was(step)
    return step["kind"], subject(step) + toward(step), step["reason"]


def _was(step: Step) -> str:
    """What the undo puts back."""
    baseline = step["baseline"]
    if said := kind(step["kind"]).put_back(step["params"]):
        return short(said, LONGEST)
    if baseline.get("active") is not None:
        return "it runs again" if baseline["active"] else "it stays stopped"
    known = {key: value for key, value in baseline.items() if isinstance(value, str | int) and str(value).strip()}
    return words((f"{key} is {value}" for key, value in known.items()), "it is as it was")


def _proof(back: Sequence[str]) -> Iterator[str]:
    if back:
        yield "It is back when"
        yield from (f"  {line}" for line in back)


def _budget(budget: Mapping[str, float]) -> str:
    return (
        f"Deadlines: {budget['prepare']:g} s to prepare, {budget['plan']:g} s of them to plan, and {budget['undo']:g} s"
        f" to undo it; on the way back {budget['release']:g} s while libvirt waits, {budget['finish']:g} s after it."
    )


def _findings(findings: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What is worth knowing; what blocks stands among the errors."""
    shown = [item for item in findings if item["severity"] != "block"]
    if shown:
        yield ""
    for item in shown:
        yield f"{WORDS.get(item['severity'], item['severity'])}: {item['message']} [{item['code']}]"
        if item["hint"]:
            yield f"  {item['hint']}"
