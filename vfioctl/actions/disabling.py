"""What `disable` removes of a guest, as steps of one operation: each is put back where the rest of it fails."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from vfioctl import files
from vfioctl.actions.enable_words import kept_file
from vfioctl.actions.host_change_steps import Work
from vfioctl.config.store import looks
from vfioctl.kinds.files.former import unrestorable

if TYPE_CHECKING:
    from vfioctl.paths import Paths

DIRECTORY = "0700"


def disabling(paths: Paths, guest: str, uuid: str) -> Work:
    """The steps, and the contents that they name.

    Without the guest file the hook acts no more, so what it needs goes after that. `uuid` is "" where nothing is kept.
    """
    content = _content(paths.guest_config(guest), follow=True) or b""
    kept, work = kept_file(paths, guest), Work()
    mode, uid, gid = looks(paths.guest_config(guest))
    how: dict[str, Any] = {"uid": uid, "gid": gid} if uid >= 0 else {}
    if os.path.lexists(kept):  # of the last time
        how["replace"] = True
    reason = "the next `enable` takes its settings from there"
    work.write(_inside(paths, kept), content, reason, mode=f"0{mode:o}", directory=DIRECTORY, **how)
    if not is_left(paths, guest):
        _remove(work, paths, paths.guest_config(guest), "vfioctl hands its devices over no longer")
    if uuid:
        _remove(work, paths, paths.identity(uuid), "it may get other devices the next time")
        _remove(work, paths, paths.before_enable(uuid), "its domain is as it was")
    return work


def is_left(paths: Paths, guest: str) -> bool:
    """Whether the guest file is one that no step could put back, such as a link: it is removed when all is done."""
    return bool(unrestorable(paths.guest_config(guest)))


def _remove(work: Work, paths: Paths, path: str, reason: str) -> None:
    if (content := _content(path)) is not None:
        work.remove(_inside(paths, path), hashlib.sha256(content).hexdigest(), reason)


def _content(path: str, *, follow: bool = False) -> bytes | None:
    text = files.read_text(path, follow=follow)
    return None if text is None else text.encode(errors="surrogateescape")


def _inside(paths: Paths, path: str) -> str:
    """`path` as steps name it."""
    return f"/{os.path.relpath(path, paths.root)}"
