"""A verb called by its name: judged parameters, a result, never a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vfioctl.actions.caller import Caller
from vfioctl.doors import call
from vfioctl.result import Result
from vfioctl.testing.domains import domain
from vfioctl.testing.libvirt import FakeLibvirt

GPU, SOUND = "0000:01:00.0", "0000:01:00.1"
ROOT, SOMEBODY = Caller(0), Caller(4711)
Ask = Callable[..., Result]


@pytest.fixture
def daemon(fake_host) -> FakeLibvirt:
    daemon = FakeLibvirt(fake_host)
    daemon.install()
    return daemon


@pytest.fixture
def ask(daemon, capfd) -> Ask:
    """Calls a verb on the simulated desktop; whatever it writes to a stream is a failure."""

    def called(verb: str, caller: Caller = ROOT, agreed: tuple[str, ...] = (), **parameters: Any) -> Result:
        result = call(daemon.composition, verb, parameters, caller, agreed)
        assert capfd.readouterr() == ("", "")
        assert result.command == verb
        json.dumps(result.envelope())
        return result

    return called


@pytest.fixture
def xml(tmp_path: Path) -> str:
    file = tmp_path / "win11.xml"
    file.write_text(domain("win11", hostdevs=(GPU, SOUND)))
    return str(file)


def only_error(result: Result) -> tuple[str, str, int]:
    error, = result.errors
    return error.code, error.message, result.exit_status


# ---------------------------------------------------------------- what verbs give back


def test_a_verb_gives_its_result_without_parameters(ask: Ask) -> None:
    groups = ask("gpu list").data["groups"]
    assert GPU in [device["address"] for group in groups for device in group["devices"]]


def test_a_flag_is_a_boolean(ask: Ask) -> None:
    few, all_of_them = ask("gpu list", everything=False), ask("gpu list", everything=True)
    assert len(all_of_them.data["groups"]) > len(few.data["groups"])


def test_a_type_of_click_changes_its_value(ask: Ask) -> None:
    assert GPU in ask("gpu holders", address="01:00.0").data["devices"]


def test_a_change_is_seen_by_the_next_verb(ask: Ask, daemon) -> None:
    daemon.manage("win11")
    assert ask("config set", guest="win11", setting="deadlines.prepare", value=90).exit_status == 0
    shown = ask("config get", guest="win11", setting="deadlines.prepare").data
    assert (shown["value"], shown["origin"].endswith("guests/win11.toml:2")) == (90, True)


def test_a_list_of_values_is_a_list(ask: Ask) -> None:
    added = ask("config add", setting="disabled_plugins", items=["nvidia", "amdgpu"])
    assert added.data["value"] == ["nvidia", "amdgpu"]


def test_a_plan_blocks_through_a_door_as_it_does_at_a_terminal(ask: Ask, xml: str, daemon) -> None:
    daemon.manage("win11")
    refused = ask("plan", guest="win11", xml=xml)
    assert (refused.exit_status, any("alice" in error.message for error in refused.errors)) == (3, True)
    allowed = ask("plan", guest="win11", xml=xml, end_session=True)
    assert (allowed.exit_status, allowed.data["plan"]["guest"]) == (0, "win11")


def test_the_environment_of_the_process_sets_nothing(ask: Ask, daemon, monkeypatch) -> None:
    daemon.manage("win11")
    monkeypatch.setenv("VFIOCTL_DEADLINES_PREPARE", "77")
    assert ask("config get", guest="win11", setting="deadlines.prepare").data["value"] != 77


# ---------------------------------------------------------------- questions


def test_a_question_that_nobody_answers_is_a_message_and_changes_nothing_for_good(ask: Ask, xml: str) -> None:
    result = ask("enable", guest="win11", xml=xml)
    assert "enable.end_session" in [message.code for message in result.messages]
    assert result.data["end_session"] is False


def test_the_caller_agrees_by_its_code(ask: Ask, xml: str, daemon) -> None:
    ask("enable", guest="win11", xml=xml)
    result = ask("enable", agreed=("enable.end_session",), guest="win11", xml=xml)
    assert result.data["end_session"] is True
    assert 'session = "end"' in Path(daemon.composition.paths.guest_config("win11")).read_text()


def test_what_the_guest_file_says_already_is_not_asked_again(ask: Ask, xml: str) -> None:
    ask("enable", agreed=("enable.end_session",), guest="win11", xml=xml)
    assert "enable.end_session" not in [message.code for message in ask("enable", guest="win11", xml=xml).messages]


def test_what_must_be_agreed_to_says_what_it_would_do(ask: Ask) -> None:
    result = ask("rescue")
    assert only_error(result)[::2] == ("rescue.unconfirmed", 3)
    assert "This will be done:" in [message.text for message in result.messages]


def test_the_option_yes_agrees_too(ask: Ask) -> None:
    assert "rescue.unconfirmed" not in [error.code for error in ask("rescue", yes=True).errors]


def test_a_caller_may_be_asked_while_the_verb_runs(ask: Ask) -> None:
    asked: list[str] = []
    no = Caller(0, ask=lambda question: bool(asked.append(question)))
    assert only_error(ask("rescue", no)) == ("rescue.unconfirmed", "It was not agreed to.", 3)
    assert asked == ["Go on?"]


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("verb", "parameters", "said"),
    [
        ("history", {"limit": "many"}, "Invalid value for 'limit': 'many' is not a valid integer range."),
        ("history", {"limit": 1.5}, "Invalid value for 'limit': '1.5' is not a valid integer range."),
        ("history", {"limit": 0}, "Invalid value for 'limit': 0 is not in the range x>=1."),
        ("history", {"guest": {"name": "win11"}}, "Invalid value for 'guest': expected text, found {'name': 'win11'}."),
        ("gpu list", {"everything": "perhaps"}, "Invalid value for 'everything': 'perhaps' is not a valid boolean"),
        ("gpu holders", {"address": "1"}, "Invalid value for 'address': expected a PCI address"),
        ("config add", {"setting": "x", "items": "nvidia"}, "Invalid value for 'items': expected a list of values"),
        ("config add", {"setting": "x", "items": []}, "Missing argument 'items'"),
        ("config get", {"guest": "win11"}, "Missing argument 'setting'"),
        ("config get", {"guest": None, "setting": "x"}, "Missing argument 'guest'"),
        ("history", {"limits": 3}, "There is no parameter 'limits'; did you mean \"limit\"?"),
        ("gpu list", {"root": "/"}, "There is no parameter 'root'."),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_named(ask: Ask, verb: str, parameters: dict[str, Any], said: str) -> None:
    code, message, status = only_error(ask(verb, **parameters))
    assert (code, status) == ("usage", 2)
    assert message.startswith(said)


def test_a_verb_that_there_is_not_is_answered_with_the_nearest(ask: Ask) -> None:
    result = ask("gpu lst")
    assert only_error(result) == ("verb.unknown", "There is no verb 'gpu lst'; did you mean \"gpu list\"?", 2)
    assert "gpu list" in result.errors[0].hints[0]


def test_a_group_is_no_verb(ask: Ask) -> None:
    assert only_error(ask("gpu"))[::2] == ("verb.unknown", 2)


@pytest.mark.usefixtures("spare")
@pytest.mark.parametrize("verb", ["completion", "config edit", "demo", "spare enter"])
def test_what_needs_a_terminal_is_refused_by_a_door_before_it_is_imported(ask: Ask, verb: str) -> None:
    code, message, status = only_error(ask(verb))
    assert (code, status) == ("verb.terminal", 3)
    assert message == f"{verb!r} needs a terminal, and no other door has one."


@pytest.mark.usefixtures("spare")
def test_a_session_without_its_declaration_is_a_broken_command(ask: Ask) -> None:
    code, message, _ = only_error(ask("spare sneak"))
    assert code == "plugin.command_broken"
    assert "terminal = true" in message


def test_the_caller_counts_and_not_who_runs_the_door(ask: Ask, xml: str, daemon) -> None:
    code, message, status = only_error(ask("enable", SOMEBODY, guest="win11", xml=xml))
    assert (code, message, status) == ("not_root", "`vfioctl enable` needs root.", 77)
    assert not Path(daemon.composition.paths.guest_config("win11")).exists()


def test_there_is_no_standard_input_to_read_from(ask: Ask) -> None:
    assert only_error(ask("plan", guest="win11", xml="-"))[0] == "domain.unreadable"


def test_a_refusal_of_the_verb_is_its_error(ask: Ask) -> None:
    assert only_error(ask("config set", setting="deadlines.prepare", value="soon"))[0] == "config.type"


# ---------------------------------------------------------------- verbs of plugins

SPARE = """import enum
import click
from vfioctl.plugin import ProgramSession
from vfioctl.result import Result

@click.command()
@click.argument("size", type=click.IntRange(1, 9))
@click.option("--colour", type=click.Choice(["red", "green"]), default="red")
@click.pass_obj
def command(call, size, colour):
    call.caller.tell(f"a {colour} one")
    return Result(data={"size": size, "colour": colour, "uid": call.caller.uid})

@click.command()
@click.option("--yes", is_flag=True)
@click.option("--node", default="local")
@click.pass_obj
def burn(call, yes, node):
    call.need_root()
    if yes:
        call.agree("spare.unconfirmed")
    call.need_agreement("spare.unconfirmed", ["All spare parts are burned."])
    return Result(data={"burned": True})

class Bus(enum.Enum):
    SATA = "sata"
    VIRTIO = "virtio"

@click.command()
@click.option("--pair", nargs=2, multiple=True)
@click.option("--fast", "speed", flag_value="fast", default=True)
@click.option("--slow", "speed", flag_value="slow")
@click.option("--file", type=click.Path(exists=True))
@click.option("--bus", type=click.Choice(Bus), default=Bus.SATA)
def odd(pair, speed, file, bus):
    return Result(data={"pair": [list(one) for one in pair], "speed": speed, "bus": bus.name})

@click.command()
def silent():
    return None

@click.command()
@click.pass_context
def leave(ctx):
    ctx.exit(5)

@click.command()
def quit():
    raise SystemExit(0)

@click.command()
def talk():
    return Result(messages=("done",))

@click.command()
def listed():
    return Result(data=["done"])

@click.command()
def sneak():
    return Result(session=ProgramSession(("true",)))
"""


@pytest.fixture
def spare(daemon, tmp_path: Path, monkeypatch) -> None:
    """A plugin with the verbs `spare make` and `spare lose`, as the manifest lists it."""
    (tmp_path / "vfioctl_test_spare.py").write_text(SPARE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("vfioctl.package.culprit", lambda _module: None)
    monkeypatch.delitem(sys.modules, "vfioctl_test_spare", raising=False)
    file = Path(daemon.composition.paths.manifest)
    manifest = json.loads(file.read_text())
    manifest.setdefault("groups", [])
    manifest["commands"] += [
        {"name": f"spare {name}", "help": "A spare part.", "target": f"vfioctl_test_spare:{function}", "view": "",
         "effect": "change", "plugin": "spare", "prints": False, "terminal": name == "enter"}
        for name, function in (("make", "command"), ("burn", "burn"), ("lose", "silent"), ("break", "nothing"),
                               ("enter", "nothing"), ("sneak", "sneak"), ("leave", "leave"), ("quit", "quit"),
                               ("talk", "talk"), ("listed", "listed"), ("odd", "odd"))
    ]  # fmt: skip
    file.write_text(json.dumps(manifest))


@pytest.mark.usefixtures("spare")
def test_a_verb_of_a_plugin_is_called_like_any_other(ask: Ask) -> None:
    heard: list[str] = []
    result = ask("spare make", Caller(4711, tell=heard.append), size=3, colour="green")
    assert (result.data, heard) == ({"size": 3, "colour": "green", "uid": 4711}, ["a green one"])
    assert only_error(ask("spare make", size=12))[0] == "usage"
    assert only_error(ask("spare make", size=1, colour="blue"))[0] == "usage"


@pytest.mark.usefixtures("spare")
def test_a_verb_of_a_plugin_asks_as_ours_do(ask: Ask) -> None:
    assert only_error(ask("spare burn", SOMEBODY))[::2] == ("not_root", 77)
    asked = ask("spare burn")
    assert only_error(asked)[::2] == ("spare.unconfirmed", 3)
    assert [message.text for message in asked.messages] == ["All spare parts are burned."]
    assert ask("spare burn", agreed=("spare.unconfirmed",)).data == {"burned": True}
    assert ask("spare burn", yes=True).data == {"burned": True}


@pytest.mark.usefixtures("spare")
def test_a_question_names_the_command_line_that_does_not_ask_with_all_that_was_asked_for(ask: Ask) -> None:
    error, = ask("spare burn", node="the tank").errors
    assert error.hints == ("Go on without being asked: vfioctl spare burn --node 'the tank' --yes",)


@pytest.mark.usefixtures("spare")
@pytest.mark.parametrize(
    "verb", ["spare lose", "spare break", "spare leave", "spare quit", "spare talk", "spare listed"]
)
def test_a_broken_verb_costs_only_itself(ask: Ask, verb: str) -> None:
    assert only_error(ask(verb))[0] == "plugin.command_broken"
    assert ask("gpu list").exit_status == 0


@pytest.mark.usefixtures("spare")
def test_an_option_of_several_values_that_is_given_again_is_a_list_of_lists(ask: Ask) -> None:
    assert ask("spare odd", pair=[["a", "b"], ["c", 4]]).data["pair"] == [["a", "b"], ["c", "4"]]
    wrong = only_error(ask("spare odd", pair=["a", "b"]))
    assert wrong[1] == "Invalid value for 'pair': expected a list of lists of values, found ['a', 'b']."


@pytest.mark.usefixtures("spare")
def test_flags_that_share_a_name_have_the_default_of_one(ask: Ask) -> None:
    assert ask("spare odd").data["speed"] == "fast"
    assert ask("spare odd", speed="slow").data["speed"] == "slow"


@pytest.mark.usefixtures("spare")
@pytest.mark.parametrize("word", ["a\0b", "\ud800"])
def test_a_word_that_no_command_line_can_have_is_a_wrong_parameter(ask: Ask, word: str) -> None:
    for verb, name in (("spare odd", "file"), ("plan", "xml"), ("history", "guest")):
        guest = {"guest": "win11"} if verb == "plan" else {}
        code, message, status = only_error(ask(verb, **guest, **{name: word}))
        assert (code, status) == ("usage", 2)
        assert f"'{name}': expected" in message


@pytest.mark.usefixtures("spare")
def test_verb_list_names_the_choices_of_an_enumeration_as_a_door_takes_them(ask: Ask) -> None:
    row = next(row for row in ask("verb list").data["verbs"] if row["name"] == "spare odd")
    bus = next(param for param in row["parameters"] if param["name"] == "bus")
    assert (bus["choices"], bus["default"]) == (["SATA", "VIRTIO"], "SATA")
    assert [ask("spare odd", bus=name).data["bus"] for name in bus["choices"]] == ["SATA", "VIRTIO"]


def test_a_door_that_nobody_uses_costs_no_click() -> None:
    code = "import sys, vfioctl.doors; print('click' in sys.modules)"
    ended = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"
