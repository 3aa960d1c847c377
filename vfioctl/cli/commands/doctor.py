"""`vfioctl doctor`: what would keep devices from being given on this host. Works without root."""

from __future__ import annotations

import click

from vfioctl.actions.caller import Call
from vfioctl.result import Result
from vfioctl.verbs.options import asking


@click.command()
@click.argument("code", required=False)
@click.option("--deep", is_flag=True, help="Run a guest of one sector as well, for ten seconds at most.")
@click.option("--report", "file", metavar="FILE", type=click.Path(dir_okay=False), help="Write all to FILE, redacted.")
@click.option("--fix", "mend", is_flag=True, help="Mend what can be mended from here: shows each change, and asks.")
@click.option("--undo", "back", is_flag=True, help="Take back what --fix has changed.")
@click.option("--leave-edited", is_flag=True, help="With --undo: leave what somebody else has changed since.")
@click.option("--dry-run", is_flag=True, help="With --fix or --undo: only say what would be done.")
@asking
@click.pass_obj
def command(
    call: Call, code: str | None, file: str | None, *, deep: bool, mend: bool, back: bool, leave_edited: bool,
    dry_run: bool, yes: bool,
) -> Result:  # fmt: skip
    """Tell what would keep devices from being given here, and what helps.

    Looks at the processor, the IOMMU and its groups, the drivers, what a boot leaves on cards or gives away, who has
    a card open now, the display, power, the firmware for guests, versions, the hook and its daemon, and the
    configuration, and runs the checks of the plugins. Nothing is changed, and no guest is needed. With CODE, as in
    iommu.off, it says what that finding means, what to do about it, and whether it is found here.

    With --fix it mends what one file mends: each change is shown and asked for, what was there is kept, and --undo puts
    it back. CODE limits that to one finding. What else helps stands with each finding.

    With --report all of it goes to the new file FILE, for a bug report, with what a start of each managed guest would
    do, the history and the log. Names of guests, users and the host, serial numbers, MAC and IP addresses, UUIDs and
    home directories are taken out. Read it before you send it.

    It ends with 0 when nothing speaks against a start, with 1 for a warning, with 3 when a start would be refused.
    """
    from vfioctl.actions.doctor import doctor, explain
    from vfioctl.actions.fixing import CODE, UNDO_CODE, fix, undo
    from vfioctl.actions.report import report

    if (deep or file) and (code or mend or back):
        raise click.UsageError("--deep and --report look at everything: they go with no CODE, no --fix and no --undo.")
    if yes:
        call.agree(CODE, UNDO_CODE)
    if back:
        return undo(call, dry_run=dry_run, leave_edited=leave_edited)
    if mend:
        return fix(call, code or "", dry_run=dry_run)
    if file:
        return report(call, file, deep=deep)
    return explain(call, code) if code else doctor(call, deep=deep)
