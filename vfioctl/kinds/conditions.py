"""The closed vocabulary of conditions: arguments, words, and whether they hold now. Never waits."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import VfioctlError
from vfioctl.host.processes import is_alive
from vfioctl.host.readers import link_name, text
from vfioctl.host.units import absent
from vfioctl.txn.shape import Form, is_absolute, is_text
from vfioctl.txn.step import Condition

if TYPE_CHECKING:
    from typing import Any, TypeVar

    from vfioctl.host.model import Holder, Unit
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json

    T = TypeVar("T")

Test = Callable[["Json", "Machine"], bool]


def validate(condition: Condition) -> None:
    """Raises VfioctlError: "condition.unknown" or "condition.arguments"."""
    if condition.kind not in VOCABULARY:
        message = f"There is no condition {condition.kind!r}; known are {', '.join(VOCABULARY)}."
        raise VfioctlError("condition.unknown", message)
    types = VOCABULARY[condition.kind][0]
    missing = [name for name in types if name not in condition.args and name not in OPTIONAL]
    strange = [name for name in condition.args if name not in types]
    wrong = [n for n, type_ in types.items() if not _is(condition.args.get(n), type_, optional=n in OPTIONAL)]
    if missing or strange or wrong:
        wanted = ", ".join(f"{name} ({type_.__name__})" for name, type_ in types.items())
        message = f"The condition {condition.kind} needs {wanted}; it got {dict(condition.args)!r}."
        raise VfioctlError("condition.arguments", message)


def _is(value: Any, type_: type, *, optional: bool) -> bool:
    if value is None:
        return optional
    return isinstance(value, (list, tuple)) if type_ is list else type(value) is type_


def evaluate(condition: Condition, machine: Machine) -> bool:
    """Whether `condition` holds now. Raises VfioctlError for one that is unknown or lacks arguments."""
    validate(condition)
    return VOCABULARY[condition.kind][1](condition.args, machine)


def describe(condition: Condition) -> str:
    """The condition in words, as in "0000:01:00.0: nobody holds it"."""
    validate(condition)
    args = {name: _words(value) for name, value in condition.args.items()}
    if condition.kind == "link.target" and not args["name"]:
        return f"{args['path']} points to nothing"
    if condition.kind == "unit.state" and args.get("uid") is not None:
        return f"{args['unit']} of user {args['uid']} is {args['state']}"
    return VOCABULARY[condition.kind][2].format_map(args)


def _words(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, (list, tuple)) else value


def explain(condition: Condition, machine: Machine) -> str:
    """What is there instead, for an error; empty when nothing more is known."""
    args = condition.args
    if condition.kind == "no.holders":
        who = ", ".join(f"{h.comm} (pid {h.pid})" for h in _holders(args, machine))
        unseen = "".join(f" {one.what}." for one in machine.host().unseen(tuple(args["addresses"])))
        return f" Held by {who}.{unseen}" if who else unseen
    if condition.kind == "path.equals":
        return f" It says {_at(args, machine, text)!r}."
    if condition.kind == "link.target":
        return f" It points to {_at(args, machine, link_name) or 'nothing'}."
    return ""


def _holders(args: Json, machine: Machine) -> tuple[Holder, ...]:
    """Those that count: logind and PID 1 keep nodes open on behalf of others and are never ended."""
    return tuple(h for h in machine.host().holders(tuple(args["addresses"])) if not h.is_untouchable)


def _is_free(args: Json, machine: Machine) -> bool:
    """Whether nobody holds the devices, as far as everybody could be looked at."""
    host, addresses = machine.host(), tuple(args["addresses"])
    return all(holder.is_untouchable for holder in host.holders(addresses)) and not host.unseen(addresses)


def unit_now(machine: Machine, name: str, uid: int | None = None) -> Unit:
    """The unit as it is now; absent when it belongs to a user manager that has ended with the user's sessions.

    The manager is looked at first: asking it anything would start it again, and with it the user's services.
    """
    host = machine.host()
    if uid is not None and not host.unit(f"user@{uid}.service").is_active:
        return absent(name, uid)
    return host.unit(name, uid)


def _unit_state(args: Json, machine: Machine) -> bool:
    """A unit with a queued job is on its way to another state."""
    unit = unit_now(machine, args["unit"], args.get("uid"))
    if args["state"] == "inactive":
        return unit.active_state in ("inactive", "failed") and not unit.is_active
    return unit.active_state == args["state"] and not (args["state"] == "active" and unit.job == "stop")


def _is_held(args: Json, machine: Machine) -> bool:
    """Services keep cards open as well, so `by` counts only one unit and whatever belongs to a login."""
    live = (holder for holder in _holders(args, machine) if not holder.is_stale)
    wanted = args.get("by")
    return any(wanted in (None, holder.unit) or holder.session or holder.user_unit for holder in live)


def _at(args: Json, machine: Machine, look: Callable[[str], T]) -> T:
    """What `look` says of the path; one that is not the kernel's may be on a share that hangs."""
    path = machine.paths.at(args["path"])
    if args["path"].startswith(KERNEL):
        return look(path)
    return machine.reach.ask(path, lambda: look(path))


KERNEL = ("/sys/", "/proc/", "/dev/")
OPTIONAL = ("uid", "by")
PATH: Mapping[str, type] = {"path": str}
ADDRESSES: Mapping[str, type] = {"addresses": list}

VOCABULARY: dict[str, tuple[Mapping[str, type], Test, str]] = {
    "path.exists": (PATH, lambda a, m: _at(a, m, os.path.lexists), "{path} exists"),
    "path.absent": (PATH, lambda a, m: not _at(a, m, os.path.lexists), "{path} is absent"),
    "path.equals": (
        {"path": str, "value": str},
        lambda a, m: _at(a, m, text) == a["value"].strip(),
        "{path} says {value}",
    ),
    "link.target": (
        {"path": str, "name": str},
        lambda a, m: (_at(a, m, link_name) or "") == a["name"],
        "{path} points to {name}",
    ),
    "unit.state": ({"unit": str, "uid": int, "state": str}, _unit_state, "{unit} is {state}"),
    "session.gone": (
        {"session": str},
        lambda a, m: all(s.id != a["session"] for s in m.host().sessions()),
        "session {session} is gone",
    ),
    "module.gone": (
        {"module": str},
        lambda a, m: not os.path.lexists(m.paths.at("sys/module", a["module"].replace("-", "_"))),
        "module {module} is gone",
    ),
    "no.holders": (ADDRESSES, _is_free, "nobody holds {addresses}"),
    "has.holder": ({**ADDRESSES, "by": str}, _is_held, "somebody holds {addresses}"),
    "process.gone": (
        {"pid": int, "start_time": int},
        lambda a, m: not is_alive(m.paths, a["pid"], a["start_time"]),
        "process {pid} is gone",
    ),
}


def _is_condition(value: Any) -> bool:
    """Whether it is a condition of the vocabulary, with arguments that it takes."""
    if not isinstance(value, Mapping) or set(value) != {"kind", "args"}:
        return False
    if not isinstance(value["kind"], str) or not isinstance(value["args"], Mapping):
        return False
    try:
        validate(Condition(value["kind"], value["args"]))
    except VfioctlError:
        return False
    return is_absolute(value["args"].get("path", "/")) and all(map(is_text, value["args"].get("addresses", ())))


CONDITION = Form("a condition", _is_condition)
