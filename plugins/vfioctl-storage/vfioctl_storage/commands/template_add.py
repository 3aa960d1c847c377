"""`vfioctl template add`: an image becomes a template, read-only, with its checksum written down beside it."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

import click

from vfioctl.plugin import Question, TemplateData, asking, changing, content_name, frozen, pool_names
from vfioctl_storage.commands import work
from vfioctl_storage.commands.template_asked import Asked
from vfioctl_storage.commands.template_room import room_beside
from vfioctl_storage.commands.volume_work import FORMATS
from vfioctl_storage.names import check_template, check_words

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from vfioctl.plugin import Call, Result, StepProposal
    from vfioctl_storage.commands.template_origin import Origin
    from vfioctl_storage.commands.template_room import Room

    Command = TypeVar("Command", bound=Callable[..., Result])

UNCHECKED = "template.unchecked"
LONGEST_TEXT, LONGEST_WORD = 4000, 100  # characters
UNKNOWN = "0" * 64  # as long as the checksum that is written in its place

OPTIONS = (
    click.option("--file", default="", metavar="FILE", help="The image, on this host."),
    click.option("--url", default="", metavar="URL", help="The image, at this address; https, or http with --sha256."),
    click.option("--source", default="", metavar="SOURCE", help="A published image, from `vfioctl template sources`."),
    click.option("--volume", default="", metavar="POOL/VOLUME", help="A volume, with what lies below it."),
    click.option("--snapshot", default="", metavar="GUEST@SNAPSHOT", help="A disk as it was at this snapshot."),
    click.option("--disk", default="", metavar="TARGET", help="Which disk of the snapshot, where it has several."),
    click.option("--sha256", default="", metavar="SUM", help="The checksum that FILE, or what URL gives, must have."),
    click.option(
        "--image-format", "form", type=FORMATS, default=None,
        help="What FILE or URL is, by its header unless given; or how the copy of a volume is kept, as that unless "
        "given.",
    ),
)


def of_something(command: Command) -> Command:
    """Options that say what a template is to be made of, for `Asked`."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@click.command()
@click.argument("name")
@click.option("--pool", required=True, metavar="POOL", shell_complete=pool_names,
              help="Beside the volumes of this pool.")
@of_something
@click.option("--os", "system", default="", metavar="TEXT", help="Which system is in it, for people.")
@click.option("--description", default="", metavar="TEXT", help="More of it, for people.")
@click.option("--feature", "features", multiple=True, metavar="TEXT",
              help="What the system in it has, as cloud-init; may be given again.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="A word to find it by; may be given again.")
@asking
@changing
@click.pass_obj
def add(
    call: Call, /, name: str, *, pool: str, form: str | None, system: str, description: str, features: tuple[str, ...],
    tags: tuple[str, ...], node: str, yes: bool, dry_run: bool, **origin: str,
) -> Result:  # fmt: skip
    """Make the template NAME of an image file, of a volume, or of what a snapshot has kept.

    It is kept read-only in a pool of its own, POOL-templates, in the directory _templates_ of POOL; both are made where
    they are not there. Its checksum is written down with it, and looked at before anything is made of it.

    What URL gives is downloaded by this host, and compared with --sha256; without that it is asked whether it is to be
    taken as it comes. The checksum of a SOURCE is fetched from where that is published.

    A volume is copied whole, with what lies below it; the guests that write to it must be off. What a snapshot has kept
    nobody writes to: its guest may run.
    """
    check_template(name)
    about = About(system, description, features, tags)
    about.must_be_short()
    if yes:
        call.agree(UNCHECKED)
    with call.connection(node) as connection:
        room = room_beside(call, connection, pool, name)
        found = Asked(**origin, form=form).origin(call, connection)
        room.must_hold(connection, found)
    return put(call, Draft("template add", name, about), room, found, dry_run=dry_run)


@frozen
class About:
    """What whoever makes a template says of it; `created` is when its first version was, "" for this one."""

    system: str = ""
    description: str = ""
    features: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    created: str = ""

    def must_be_short(self) -> None:
        """Raise Refused("template.words") for what could not be written down, or not be listed."""
        check_words("--description", self.description, LONGEST_TEXT)
        check_words("--os", self.system, LONGEST_WORD)
        for option, words in (("--feature", self.features), ("--tag", self.tags)):
            check_words(option, ", ".join(words), LONGEST_TEXT)
            for word in words:
                check_words(option, word, LONGEST_WORD)


@frozen
class Draft:
    """What a template is called, and what is said of it; `verb` is what was asked for."""

    verb: str
    name: str
    about: About

    def of(self, origin: Origin, pool: str) -> TemplateData:
        """What is written down of it in `pool`, made now."""
        about, now = self.about, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return TemplateData(
            name=self.name, uuid=str(uuid.uuid4()), created=about.created or now, updated=now, storage=pool,
            image=f"{self.name}.{'qcow2' if origin.format == 'qcow2' else 'img'}", format=origin.format,
            size=origin.size, sha256=origin.sha256 or UNKNOWN, source=origin.said, os=about.system,
            description=about.description, features=about.features, tags=about.tags,
        )  # fmt: skip


def put(call: Call, draft: Draft, room: Room, origin: Origin, *, dry_run: bool) -> Result:
    """The result of the operation that makes the template of `origin` in `room`."""
    made = draft.of(origin, room.pool.name)
    record = made.document()
    blob = content_name(record)
    steps = work.in_order(
        *room.before, *origin.steps(room, made.image),
        room.making("volume.create", made.file, "what is known of it", format="raw", size=len(record)),
        _written(room, made, len(record), blob, known=bool(origin.sha256)),
    )  # fmt: skip
    wish = work.Wish(
        draft.verb, f"template:{made.name}", steps, {**room.contents, blob: record},
        question=_question(origin.unchecked) if origin.unchecked else None,
    )  # fmt: skip
    shown = {"node": str(room.node), "pool": room.pool.name, "name": made.name, "image": made.image,
             "sha256": origin.sha256 or None, "size": made.size}  # fmt: skip
    return work.perform(call, wish, dry_run=dry_run, template=shown)


def _written(room: Room, made: TemplateData, count: int, blob: str, *, known: bool) -> StepProposal:
    if known:
        return room.step("volume.upload", made.file, f"the template {made.name}", blob=blob, size=count)
    said = f"the template {made.name}, with the checksum of its image"
    return room.step("template.record", made.file, said, blob=blob, size=count, image=made.image)


def _question(url: str) -> Question:
    lines = (f"{url} is taken as it comes: no checksum was given to compare it with.",)
    return Question(UNCHECKED, lines)
