"""What the steps that make images know of one, and qemu-img's long work for them. Chooses no image."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed
from vfioctl.frozen import frozen
from vfioctl.host import images
from vfioctl.proc import preload

if TYPE_CHECKING:
    from typing import Any

    from vfioctl.proc import Completed
    from vfioctl.txn.machine import Machine

LOOK = 5.0  # seconds for a look at an image
PERCENT = re.compile(r"\((\d+(?:\.\d+)?)/100%\)")  # what -p writes
NO_ROOM = "No space left on device"

preload()  # else the first step would do it, while it holds its locks


def unheard(_done: float) -> None:
    """What is done at once tells nothing."""


@frozen
class Image:
    """`size` is what a guest sees, in bytes; `flaw` says why nothing can be made from it, "" for nothing."""

    size: int
    flaw: str


def look(machine: Machine, path: str, form: str) -> Image:
    """The image at `path` of the format `form`; no other file of its chain is opened.

    What is plain about it is read from its header, which takes no program; of the rest qemu-img knows. Raises
    StepFailed("disk.unreadable").
    """
    size = machine.reach.ask(path, lambda: _plain_size(path, form))
    return _asked(machine, path, form) if size is None else Image(size, "")


def _plain_size(path: str, form: str) -> int | None:
    try:
        return images.plain_size(path, form)
    except OSError:
        return None  # qemu-img says why


def info(machine: Machine, path: str, form: str) -> str:
    """What `qemu-img info` says of the image, as JSON. Raises StepFailed("disk.unreadable")."""
    argv = ("qemu-img", "info", "-U", "--output=json", "-f", form, "--", path)
    shown = machine.programs.run(argv, deadline=LOOK)
    if not shown.ok:
        raise StepFailed("disk.unreadable", f"The image {path} cannot be read as {form}: {shown.why()}.")
    return shown.stdout


def _asked(machine: Machine, path: str, form: str) -> Image:
    shown = info(machine, path, form)
    try:
        said = json.loads(shown)
        return Image(said["virtual-size"], next(flaws(said), ""))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise not_understood(path) from error


def not_understood(path: str) -> StepFailed:
    """What is raised where qemu-img says of the image `path` something else than is known of it."""
    return StepFailed("disk.unreadable", f"What qemu-img says of {path} is not understood.")


def flaws(said: Mapping[str, Any]) -> Iterator[str]:
    """Why nothing can be made from the image of which `qemu-img info` has `said` that."""
    specific = (said.get("format-specific") or {}).get("data") or {}
    if said.get("encrypted"):
        yield "it is encrypted"
    if specific.get("data-file"):
        yield "its data lies in another file"
    if specific.get("corrupt"):
        yield "it is marked as corrupt"
    if said.get("snapshots"):
        yield "it has internal snapshots, which must not be mixed with external ones"


def work(
    machine: Machine, argv: tuple[str, ...], *, deadline: float, path: str, heard: Callable[[float], None] = unheard
) -> None:
    """Run qemu-img to its end; `heard` is told several times a second how much is done, 0 to 1, and may raise.

    Raises StepFailed("disk.no_room", "disk.failed"), DeadlineExceeded, and what `heard` raises: it is ended then.
    """
    ended = followed(machine, argv, deadline=deadline, heard=heard)
    if not ended.ok:
        code = "disk.no_room" if NO_ROOM in ended.stderr else "disk.failed"
        raise StepFailed(code, f"{path} could not be made: {ended.why()}.")


def followed(
    machine: Machine, argv: tuple[str, ...], *, deadline: float, heard: Callable[[float], None] = unheard
) -> Completed:
    """How qemu-img has ended, whichever way. Raises DeadlineExceeded, and what `heard` raises."""
    done = 0.0

    def listen(said: str) -> None:
        nonlocal done
        found = PERCENT.findall(said)
        done = float(found[-1]) / 100 if found else done
        heard(done)

    return machine.programs.follow(argv, deadline=deadline, heard=listen)
