"""What a verb of a plugin hands over to have an operation run, and the call that it gets. Types only; runs nothing."""

from __future__ import annotations

from collections.abc import Mapping

from vfioctl.checking import TYPE_CHECKING
from vfioctl.findings import Finding
from vfioctl.frozen import field, frozen
from vfioctl.limits import Limits
from vfioctl.txn.plan import Unfinished
from vfioctl.txn.step import StepProposal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Protocol, TypeVar

    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.plugin.answers import Answers
    from vfioctl.plugin.host_changes import HostChange, HostRecord
    from vfioctl.plugin.types import TemplateSource
    from vfioctl.result import Result
    from vfioctl.virt.connection import Connection

    Command = TypeVar("Command", bound=Callable[..., Result])
    T = TypeVar("T")
else:
    Protocol = object

FIRST_FREE = "first-free"  # the word for a card that is not named by its address
# A copy of a large disk takes hours: what limits an operation are the deadlines and the stall limits of its steps.
UNHURRIED = Limits(prepare=7 * 24 * 3600.0, undo=3600.0, finish=3600.0)


@frozen
class Question:
    """What a person must agree to before anything is touched. `code` is what --yes and other doors agree to.

    `lines` say what will be done or lost. Who cannot be asked is told the same command line with --yes; `more` are
    words that it needs besides.
    """

    code: str
    lines: tuple[str, ...]
    more: tuple[str, ...] = ()


@frozen
class OperationRequest:
    """An operation as a plugin wants it. `operation` is called as the verb ("snapshot create"), `plugin` as itself.

    `subject` is what it is about, for people; `key` is a new UUID, which names the journal. `id` marks what the steps
    make, and may stand in names; one is made up where it is empty. `contents` are those that the steps name by
    `content_name`: they lie in private files, never in the plan. `findings` refuse or warn before anything is touched.
    `notes` are the plugin's own, but for `expects`: the resources `domain:UUID` of the guests that its own steps start,
    which vfioctl's hook refuses otherwise.
    """

    plugin: str
    operation: str
    subject: str
    key: str
    proposals: tuple[StepProposal, ...]
    unfinished: Unfinished = Unfinished.UNDO
    contents: Mapping[str, bytes] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    question: Question | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    limits: Limits = UNHURRIED


@frozen
class Interrupted:
    """An operation of the plugin's whose process is gone. `begun` and `done` are ids of its steps, in order.

    `restarted`: the host was, since. The rest is what the `OperationRequest` had.
    """

    operation: str
    subject: str
    key: str
    id: str
    notes: Mapping[str, Any]
    begun: tuple[str, ...]
    done: tuple[str, ...]
    restarted: bool


@frozen
class Advice:
    """What becomes of an interrupted operation, whatever its plan says; `said` is the sentence when that is done."""

    unfinished: Unfinished
    said: str = ""


@frozen
class ChosenCard:
    """A card with all that goes where it goes: addresses of its `functions`, and what is to be said of giving it."""

    functions: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


@frozen
class Enabling:
    """What lets vfioctl manage a guest, as part of the operation that makes it: after `steps`, its next start gives it
    its devices. `contents` are those that the steps name; `findings` speak against it, or are to be said.
    """

    steps: tuple[StepProposal, ...]
    contents: Mapping[str, bytes]
    findings: tuple[Finding, ...] = ()


def content_name(content: bytes) -> str:
    """What steps call `content`, such as the `blob` of file.write: its checksum, and what makes it unique."""
    from vfioctl.txn.blobs import new_name

    return new_name(content)


class Caller(Protocol):
    """Whose request it is."""

    @property
    def uid(self) -> int: ...

    @property
    def tell(self) -> Callable[[str], None]:
        """Takes a line for somebody who follows."""

    @property
    def state(self) -> str:
        """The directory of one who does not administer the host, for what outlives the verb."""


class Call(Protocol):
    """What a verb gets with `@click.pass_obj`: the host that it is about, its caller, the way to change something."""

    @property
    def caller(self) -> Caller: ...

    @property
    def paths(self) -> Paths: ...

    @property
    def administers(self) -> bool:
        """Whether the caller administers the host: root."""

    def host(self) -> Host:
        """The facts of this machine, read now."""

    def need_root(self) -> None:
        """Raise NotRoot("not_root") where the caller is not root."""

    def agree(self, *codes: str) -> None:
        """Answer the questions `codes` with yes: what --yes means. It comes before the question."""

    def again(self, *more: str) -> str:
        """The command line that asks for the same, with every argument, and the words `more` besides: for hints."""

    def need_agreement(self, code: str, lines: Iterable[str], *more: str) -> None:
        """Tell `lines`, and return when the caller says yes; else raise Refused(`code`).

        Its hint is `again` with `more` and --yes.
        """

    def connection(self, node: str = "", *, read_only: bool = False) -> Connection:
        """The libvirt of `node`: a name or a URI, "" for this host; `with` closes it. Raises Refused, VfioctlError."""

    def ask_nodes(self, read: Callable[[Connection], T], node: str = "", *, all_nodes: bool = False) -> Answers[T]:
        """What `read` gets from the libvirt of `node`, or with `all_nodes` from that of each node, side by side.

        `read` only asks libvirt: it runs in a thread of its own, and all that one node is asked may take 15 s. A node
        that does not answer is an error in its place. Raises as `connection` where one node is asked.
        """

    def template_sources(self) -> tuple[tuple[str, TemplateSource], ...]:
        """The published images that plugins know, each with its plugin. What a plugin does wrong is told, and costs it.
        """

    def need_uncordoned(self, node: str = "") -> None:
        """Raise Refused("node.cordoned") where `node` takes no new guest and starts none."""

    def choose_card(self, word: str, guests: Iterable[tuple[str, str]]) -> ChosenCard:
        """The card at the address `word`, or with "first-free" the first one that no guest has, the host's own last.

        `guests` are the names of this host's guests with their XML; what their guest files name counts as well. Raises
        Refused("card.unknown", "card.none_free").
        """

    def lacking(self, guest: str) -> tuple[Finding, ...] | None:
        """What keeps the guest `guest` of this host, which is off, from starting; each with the next command.

        A card that another guest has, a file or network that is not there, no guest file: what can be known without
        asking libvirt. None where its definition cannot be seen: to all but root.
        """

    def enabling(self, xml: str, *, end_session: bool | None = None) -> Enabling:
        """What `vfioctl enable` does, for the guest that `xml` is to define on this host.

        Its <hostdev>s are those of managed='no'. `end_session` says whether its start may end a logged-in user's
        session; None asks. Raises NotRoot, Refused("state.writable", "plan.deadline").
        """

    def perform(self, request: OperationRequest, *, dry_run: bool = False, apart: bool = False) -> Result:
        """Plan, check, ask, and run the operation; see docs/plugins/operations.md for the data of its result.

        `dry_run` ends before the question. `apart` runs it in a process of its own and follows that: for what may end
        the login of the caller, such as the start of a managed guest. Raises Refused with nothing touched, Busy.
        """

    def change_host(
        self, change: HostChange, verb: str, question: Question, *, plugin: str, dry_run: bool = False
    ) -> Result:
        """Edit files of this host in one operation, and keep on record what was there; see docs/plugins/operations.md.

        Edits that are made already are left out. `data` has `changes` (path, becomes, difference) besides what
        `perform` gives, and the question shows them. Raises NotRoot, Refused("change.edited", "change.taken",
        "change.read_only", "change.unreadable") with nothing touched, and what `perform` raises.
        """

    def take_host_back(
        self, record: str, verb: str, question: Question, *, plugin: str, dry_run: bool = False,
        leave_edited: bool = False, instead: HostRecord | None = None,
    ) -> Result:  # fmt: skip
        """Put every file on `record` back: bytes, mode and owner, in one operation.

        What somebody else has edited since is refused ("change.edited"), or with `leave_edited` left and forgotten:
        `left` in the data names it. What is put back may be said `instead` of the record, which goes all the same:
        with programs that have come since. Raises as `change_host`.
        """


class Completes(Protocol):
    """What a shell offers for a name that is being typed: the `shell_complete` of an argument or an option."""

    def __call__(self, ctx: Any, param: Any, incomplete: str, /) -> list[str]: ...


class Options(Protocol):
    """A decorator that gives a verb options that others have too. click makes them, which no hook may import."""

    def __call__(self, command: Command, /) -> Command: ...
