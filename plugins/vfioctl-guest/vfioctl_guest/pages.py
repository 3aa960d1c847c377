"""Whether a node has the huge pages that a new guest is made of. Pure.

A guest takes all of them at its start, and none is given back while it runs (hugetlbpage.rst of Linux).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vfioctl.plugin import Finding, Severity, as_size

if TYPE_CHECKING:
    from vfioctl.plugin import Pages
    from vfioctl_guest.site import Site

CODE = "guest.no_pages"


def findings(memory: int, page: int, site: Site) -> Iterator[Finding]:
    """What speaks against `memory` bytes out of pages of `page` bytes, 0 for none of them.

    Too few in all refuses the guest; too few that are free now is a warning, since it is off.
    """
    if not page:
        return
    there = {one.size: one for one in site.pages}
    if page not in there:
        known = ", ".join(map(as_size, sorted(there)))
        said = f"{site.node} has no huge pages of {as_size(page)}" + (f"; it has those of {known}." if known else ".")
        yield _finding(said, "See what it has: vfioctl node show")
    elif memory % page:
        said = f"{as_size(memory)} of memory is no whole number of huge pages of {as_size(page)}."
        yield _finding(said, f"Give it a multiple of {as_size(page)} with --memory.")
    else:
        yield from _count(memory // page, there[page], site)


def _count(needed: int, pages: Pages, site: Site) -> Iterator[Finding]:
    what = f"huge pages of {as_size(pages.size)}"
    file = f"/sys/kernel/mm/hugepages/hugepages-{pages.size >> 10}kB/nr_hugepages"
    if needed > pages.total:
        said = f"{site.node} has {pages.total} {what}, and the guest needs {needed}."
        yield _finding(said, f"Reserve more on that host: echo {needed} > {file}")
    elif pages.free is not None and needed > pages.free:
        said = f"{pages.free} of the {pages.total} {what} of {site.node} are free now, and a start needs {needed}."
        yield _finding(said, "Stop a guest that has them first, or reserve more.", Severity.WARN)


def _finding(said: str, hint: str, severity: Severity = Severity.BLOCK) -> Finding:
    return Finding(CODE, said, severity, hint=hint, source="guest")
