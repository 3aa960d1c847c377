"""Who asks for a verb, and on which host: all that an action knows of the door through which it was called."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from vfioctl.actions.errors import Unconfirmed
from vfioctl.errors import NotRoot
from vfioctl.frozen import field, frozen, replace
from vfioctl.ownership import secure_state
from vfioctl.shell import word

if TYPE_CHECKING:
    from typing import TypeVar

    from vfioctl.compose import Composition
    from vfioctl.findings import Finding
    from vfioctl.host.host import Host
    from vfioctl.paths import Paths
    from vfioctl.plugin.answers import Answers
    from vfioctl.plugin.host_changes import HostChange, HostRecord
    from vfioctl.plugin.operations import ChosenCard, Enabling, OperationRequest, Question
    from vfioctl.plugin.types import TemplateSource
    from vfioctl.result import Result
    from vfioctl.txn.journal import Moment
    from vfioctl.virt.connection import Connection

    T = TypeVar("T")

NOTHING_CHANGED = "Nothing was changed."


def unheard(_line: str) -> None:
    """Where lines go that nobody follows."""


def unseen(_moment: Moment) -> None:
    """Where the moments of an operation go that nobody watches."""


def nobody(_question: str) -> None:
    """The answer where nobody can be asked."""


@frozen
class Query:
    """Something that a person may choose: `lines` say what there is, `text` asks, and `default` is what Return means.

    `choices` are all answers that there are; without them any text is one.
    """

    text: str
    default: str
    choices: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()


def absent() -> bool:
    """Whether somebody can be asked where nobody is."""
    return False


def no_reply(_query: Query) -> None:
    """The reply where nobody can choose."""


@frozen
class Caller:
    """Whose request it is. `agreed`: the codes of questions that are answered with yes beforehand.

    `environment` has this caller's settings (VFIOCTL_*), `tell` gets a line for each step as it ends, `observe` each
    moment of an operation as data, and `ask` puts a question: True or False is the answer, None says that nobody is
    there to give one. `reply` lets somebody choose, None in the same case, which `present` foretells. `stdin`
    reads at most so many bytes of what a file called "-" stands for; None where there is no such thing. `state` is the
    directory of one who does not administer the host, for the operations of their own. `alone`: the process does
    nothing but this call, so that SIGTERM may end it.
    """

    uid: int
    agreed: frozenset[str] = frozenset()
    environment: Mapping[str, str] = field(default_factory=dict)
    tell: Callable[[str], None] = unheard
    observe: Callable[[Moment], None] = unseen
    ask: Callable[[str], bool | None] = nobody
    reply: Callable[[Query], str | None] = no_reply
    present: Callable[[], bool] = absent
    stdin: Callable[[int], bytes] | None = None
    state: str = ""
    alone: bool = False

    @property
    def is_root(self) -> bool:
        """Whether the caller is root on this machine; `Call.administers` knows a chroot's owner too."""
        return self.uid == 0

    def agrees(self, code: str, question: str) -> bool | None:
        """The answer to the question `code`; None where nobody is there to give one."""
        return True if code in self.agreed else self.ask(question)


class Call:
    """One call of a verb, what its command gets as `ctx.obj`: the host that it is about, and its caller."""

    def __init__(self, composition: Composition, caller: Caller, verb: str = "") -> None:
        self.composition = composition
        self.caller = caller
        self.verb = verb
        self.typed: tuple[str, ...] = ()  # the command line that asks for the same, for hints that repeat it

    @property
    def paths(self) -> Paths:
        return self.composition.paths

    def host(self) -> Host:
        """The facts of the machine, read now."""
        return self.composition.machine().host()

    @property
    def administers(self) -> bool:
        """Whether the caller administers the host: root, or whoever owns the root directory of a chroot or a fake."""
        return self.caller.uid in (0, os.stat(self.composition.paths.root).st_uid)

    def agree(self, *codes: str) -> None:
        """Answer the questions `codes` with yes beforehand: what --yes means."""
        self.caller = replace(self.caller, agreed=self.caller.agreed | set(codes))

    def again(self, *more: str) -> str:
        """The command line that asks for the same once more, with every argument, and the words `more` besides."""
        words = self.typed or tuple(self.verb.split())
        end = words.index("--") if "--" in words else len(words)  # what stands behind it is no option
        return " ".join(("vfioctl", *map(word, (*words[:end], *more, *words[end:]))))

    def need_answers(self) -> None:
        """Raise Unanswered where our records are on a share that hangs; `rescue` does without them."""
        from vfioctl.reach import must_answer

        if self.verb != "rescue":
            here = self.composition
            must_answer(here.paths.guest_configs, here.paths.run, here.paths.state, silent=here.programs.silent)

    def need_root(self) -> None:
        """Raise NotRoot("not_root") early, before anything is asked or read."""
        if not self.administers:
            raise NotRoot(
                "not_root", f"`vfioctl {self.verb}` needs root.", state=NOTHING_CHANGED,
                hints=(f"Run it as root: sudo {self.again()}",),
            )  # fmt: skip

    def need_trust(self) -> None:
        """need_root, and Refused("state.writable") when others could have written the records that are obeyed."""
        self.need_root()
        secure_state(self.composition.paths)

    def need_agreement(self, code: str, lines: Iterable[str], *more: str) -> None:
        """Tell the `lines` of what will be done, and return when the caller says yes; else raise Unconfirmed(`code`).

        Its hint is the same command line with --yes, and with the words `more` that this answer needs besides.
        """
        told = tuple(lines)
        for line in told:
            self.caller.tell(line)
        answer = self.caller.agrees(code, "Go on?")
        if answer is None:
            said = f"`{self.verb}` asks before it acts, and nobody is there to be asked."
            raise Unconfirmed(code, said, told, hints=(f"Go on without being asked: {self.again(*more, '--yes')}",))
        if not answer:
            raise Unconfirmed(code, "It was not agreed to.", told)

    def connection(self, node: str = "", *, read_only: bool = False) -> Connection:
        """The libvirt of `node`: a name or a URI, "" for this host. Whoever opens it closes it (`with`).

        Raises Refused("node.*", "libvirt.*"): also while a hook runs here, since libvirt answers nobody then.
        """
        from vfioctl.actions.libvirt import connection  # only verbs of guests ask it

        return connection(self, node, read_only=read_only)

    def ask_nodes(self, read: Callable[[Connection], T], node: str = "", *, all_nodes: bool = False) -> Answers[T]:
        """What `read` gets from the libvirt of `node`, or with `all_nodes` from that of each, side by side."""
        from vfioctl.actions.nodes import ask  # only verbs of guests ask it

        return ask(self, read, node, all_nodes=all_nodes)

    def template_sources(self) -> tuple[tuple[str, TemplateSource], ...]:
        """The published images that plugins know, each with its plugin. What a plugin does wrong is told, and costs it.
        """
        from vfioctl.actions.template_sources import template_sources  # one verb asks plugins for them

        return template_sources(self)

    def need_uncordoned(self, node: str = "") -> None:
        """Raise Refused("node.cordoned") where `node` takes no new guest and starts none."""
        from vfioctl.actions.nodes import must_be_uncordoned  # only what starts guests needs it

        must_be_uncordoned(self.paths, node)

    def choose_card(self, word: str, guests: Iterable[tuple[str, str]]) -> ChosenCard:
        """The card that `word` names, among `guests` with their XML. Raises Refused."""
        from vfioctl.actions.free_card import choose_card  # few verbs give one

        return choose_card(self, word, guests)

    def lacking(self, guest: str) -> tuple[Finding, ...] | None:
        """What keeps a guest of this host that is off from starting; None where that cannot be seen."""
        from vfioctl.actions.lacking import Looker  # few verbs look at a start

        return Looker(self).lacking(guest) if self.administers else None

    def enabling(self, xml: str, *, end_session: bool | None = None) -> Enabling:
        """What `enable` does, as steps for the guest that `xml` is to define. Raises Refused, NotRoot."""
        from vfioctl.actions.enabling import enabling  # few verbs give devices

        return enabling(self, xml, end_session=end_session)

    def perform(self, request: OperationRequest, *, dry_run: bool = False, apart: bool = False) -> Result:
        """Plan, check, agree to and run an operation; `dry_run` ends before that, `apart` has its own process.

        Raises Refused with nothing touched, Busy.
        """
        from vfioctl.actions.perform import perform  # few verbs change something

        return perform(self, request, dry_run=dry_run, apart=apart)

    def change_host(
        self, change: HostChange, verb: str, question: Question, *, plugin: str, dry_run: bool = False
    ) -> Result:
        """Edit files of this host, and keep what was there. Raises Refused, NotRoot."""
        from vfioctl.actions import host_changes  # few verbs change it

        return host_changes.change(self, change, host_changes.Verb(plugin, verb, question), dry_run=dry_run)

    def take_host_back(
        self, record: str, verb: str, question: Question, *, plugin: str, dry_run: bool = False,
        leave_edited: bool = False, instead: HostRecord | None = None,
    ) -> Result:  # fmt: skip
        """Put back what is on `record`, or is said `instead` of it. Raises Refused, NotRoot."""
        from vfioctl.actions import host_changes  # few verbs change it

        asks = host_changes.Verb(plugin, verb, question)
        return host_changes.take_back(
            self, record, asks, dry_run=dry_run, leave_edited=leave_edited, instead=instead
        )
