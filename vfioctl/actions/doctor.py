"""What is wrong with this host before any guest starts, and what one code means. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vfioctl.actions.caller import NOTHING_CHANGED
from vfioctl.actions.facts import plugin_infos
from vfioctl.actions.offers import offers
from vfioctl.actions.validate import validate
from vfioctl.codes import CODES
from vfioctl.codes.code import Code, declared
from vfioctl.doctor.at_length import AT_LENGTH
from vfioctl.doctor.checks import CORE, DEEP, WORST, Checked, examine
from vfioctl.errors import EXIT_FAILED, EXIT_REFUSED, Refused
from vfioctl.findings import Finding, Severity
from vfioctl.plugin.manifest import locate
from vfioctl.plugin.static import StaticError, read_static
from vfioctl.plugin.types import DoctorCheck
from vfioctl.result import OK, Error, Message, Result
from vfioctl.unknown import no_such

if TYPE_CHECKING:
    from vfioctl.actions.caller import Call
    from vfioctl.actions.offers import Offers
    from vfioctl.plugin.types import PluginInfo

STATUS = {Severity.BLOCK: EXIT_REFUSED, Severity.WARN: EXIT_FAILED, Severity.INFO: OK, None: OK}


def doctor(call: Call, *, deep: bool = False) -> Result:
    """Every check of this host with what it found; the exit status says how bad the worst is. `deep` runs a guest."""
    checked = examined(call, deep=deep)
    worst = next((one for one in WORST if any(each.worst is one for each in checked)), None)
    there = offers(call)
    data = {"worst": worst, "checks": [_row(each, there) for each in checked]}
    messages = () if call.administers else (Message("Only root sees everything: what could not be read is left out."),)
    return Result(data=data, messages=messages, errors=tuple(_verdict(checked, worst)), exit_status=STATUS[worst])


def _verdict(checked: Iterable[Checked], worst: Severity | None) -> Iterator[Error]:
    """Which checks to look at, where any found more than a note."""
    if STATUS[worst]:
        names = ", ".join(each.name for each in checked if STATUS[each.worst])
        refused = "A start would be refused" if worst is Severity.BLOCK else "No start is refused for it"
        yield Error("doctor.found", f"{refused}: look at {names}.", NOTHING_CHANGED,
                    ("What a finding means: vfioctl doctor CODE",))  # fmt: skip


def explain(call: Call, code: str) -> Result:
    """What `code` means and what helps, and what of it is found now. Raises Refused("code.unknown")."""
    known = {one.code: (source, one) for source, one in _codes(plugin_infos(call))}
    if code not in known:
        raise no_such("code.unknown", f"There is no code {code!r}", code, known, "Known")
    source, meant = known[code]
    there = offers(call)
    found = [_shown(each, there) for one in examined(call) for each in one.findings if each.code == code]
    return Result(data={"code": code, "source": source, "meaning": meant.meaning, "at_length": meant.at_length,
                        "remedy": meant.remedy, "findings": found})  # fmt: skip


def examined(call: Call, *, deep: bool = False) -> tuple[Checked, ...]:
    """Every check with what it finds now; the one of a guest that is run only if asked for."""
    infos = [info for info in plugin_infos(call).values() if info.status == "ok"]
    files = DoctorCheck("configuration", "Every file of the configuration is right.", lambda _host: _files(call))
    return examine(call.composition, infos, files, *((DEEP,) if deep else ()))


def _files(call: Call) -> tuple[Finding, ...]:
    """What `config validate` says."""
    try:
        errors = validate(call).errors
    except Refused as error:  # a file that others can write is not even read
        return (Finding(error.code, error.message, hint=" ".join(error.hints)),)
    return tuple(Finding(one.code, one.message, hint=" ".join(one.hints)) for one in errors)


def _codes(infos: Mapping[str, PluginInfo]) -> Iterator[tuple[str, Code]]:
    """Every code with who brings it."""
    yield from ((CORE, code._replace(at_length=AT_LENGTH.get(code.code, ""))) for code in CODES)
    for name, info in infos.items():
        directory = locate(info.module)
        try:
            rows = read_static(directory)["code"] if directory else ()
        except StaticError:
            continue  # `plugins list` says so
        yield from ((name, declared(row)) for row in rows)


def _row(checked: Checked, there: Offers) -> dict[str, Any]:
    return {
        "name": checked.name, "summary": checked.summary, "source": checked.source, "worst": checked.worst,
        "findings": [_shown(finding, there) for finding in checked.findings],
    }  # fmt: skip


def _shown(finding: Finding, there: Offers) -> dict[str, str]:
    return {
        "code": finding.code, "severity": finding.severity, "message": finding.message, "hint": finding.hint,
        "evidence": finding.evidence, "fix": there.command(finding),
    }  # fmt: skip
