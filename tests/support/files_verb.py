"""The operation of a FilesHost as a verb on its command line, in the foreground of a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
from files_operation import NAME, FilesHost

from vfioctl.plugin import Call, OperationRequest, Result, StepProposal

WISHES = "var/lib/wishes.json"
# A shell lets what runs in its background ignore ^C: nothing is ignored here.
PLAIN = ("env", "--default-signal=HUP,INT,TERM")
PROGRAM = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from vfioctl.testing.entry import end, main
end(sys.argv[3:], main(sys.argv[1:]))
"""


@click.command("set")
@click.pass_obj
def command(call: Call) -> Result:
    """Do what stands in the host's list of wishes."""
    asked = json.loads(Path(call.paths.at(WISHES)).read_text())
    proposals = tuple(StepProposal(*one, "a test", after=tuple(after), deadline=60.0, stall=30.0)
                      for *one, after in asked["wishes"])  # fmt: skip
    return call.perform(OperationRequest("test", NAME, "a set", asked["key"], proposals))


def offer(on: FilesHost) -> None:
    """Let the command line of the host have the verb, as a plugin would."""
    wanted = on.wishes()
    names = [name for name, _, _ in wanted]
    wishes = [(*wish, names[:number]) for number, wish in enumerate(wanted)]
    (on.root / WISHES).write_text(json.dumps({"key": on.key, "wishes": wishes}))
    row = {"name": NAME, "help": "Does it.", "target": "files_verb:command", "view": "", "effect": "change",
           "plugin": "test", "prints": False}  # fmt: skip
    group = {"name": NAME.partition(" ")[0], "help": "A set of files.", "plugin": "test"}
    manifest = Path(on.node.paths.manifest)
    manifest.write_text(json.dumps({"commands": [row], "groups": [group], "stamps": []}))
    manifest.chmod(0o644)


def words(on: FilesHost, *argv: str, under: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The verb, or `argv`, as it is typed on this host; `under` a program such as nohup."""
    return (*PLAIN, *under, sys.executable, "-c", PROGRAM, "--root", str(on.root), *(argv or NAME.split()))


def typed(on: FilesHost, *argv: str, under: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """The same, begun."""
    return subprocess.Popen(words(on, *argv, under=under), cwd="/", text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, start_new_session=True)  # fmt: skip
