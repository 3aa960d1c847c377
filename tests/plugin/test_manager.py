"""The façade: what plugins do wrong costs at most themselves, and who wins does not depend on chance."""

from __future__ import annotations

import signal
import sys
import threading
import time

import pytest

from vfioctl.config.model import GuestConfig
from vfioctl.errors import Refused
from vfioctl.events.model import Disk
from vfioctl.host.model import PciDevice
from vfioctl.plugin.manager import Plugins, needed, select
from vfioctl.plugin.types import Outcome, PluginInfo, Severity

CARD = PciDevice("0000:01:00.0", 0x030000, 0x10DE, 0x2204)
CONFIG = GuestConfig("win11")

CLAIM = """
    @hookimpl
    def vfioctl_gpu_handoff(gpu):
        return GpuHandoff("whatever", gpu.address, {rank}, ())
"""
SLEEP = """
    @hookimpl
    def vfioctl_pre_start(request):
        yield StepProposal("inhibit.sleep", "inhibit.sleep", {"who": "me", "why": "test"}, "test")
"""


def codes(plugins):
    return [(finding.code, finding.severity, finding.source) for finding in plugins.findings]


def test_the_claim_of_highest_rank_wins_under_its_plugins_true_name(make_plugin, host):
    plugins = Plugins([make_plugin("low", CLAIM.format(rank=0)), make_plugin("high", CLAIM.format(rank=50))])
    assert plugins.gpu_handoff(CARD, host, CONFIG).plugin == "high"


def test_two_claims_of_one_rank_are_refused_naming_both_and_the_setting(make_plugin, host):
    plugins = Plugins([make_plugin("a", CLAIM.format(rank=50)), make_plugin("b", CLAIM.format(rank=50))])
    with pytest.raises(Refused) as refused:
        plugins.gpu_handoff(CARD, host, CONFIG)
    assert refused.value.code == "plugin.tie"
    assert "a and b" in refused.value.message
    assert "handler" in refused.value.hints[0]


def test_the_setting_handler_decides_a_tie(make_plugin, host):
    plugins = Plugins([make_plugin("a", CLAIM.format(rank=50)), make_plugin("b", CLAIM.format(rank=50))])
    assert plugins.gpu_handoff(CARD, host, GuestConfig("win11", handler="b")).plugin == "b"


def test_a_handler_that_claims_nothing_leaves_the_tie(make_plugin, host):
    plugins = Plugins([make_plugin("a", CLAIM.format(rank=50)), make_plugin("b", CLAIM.format(rank=50))])
    with pytest.raises(Refused):
        plugins.gpu_handoff(CARD, host, GuestConfig("win11", handler="c"))


def test_a_claim_on_another_device_than_asked_is_a_bad_result(make_plugin, host):
    source = """
    @hookimpl
    def vfioctl_gpu_handoff(gpu):
        return GpuHandoff("x", "0000:99:00.0", 50, ())
    """
    plugins = Plugins([make_plugin("liar", source)])
    assert plugins.gpu_handoff(CARD, host, CONFIG) is None
    assert codes(plugins) == [("plugin.bad_result", Severity.WARN, "liar")]


def test_a_plugin_that_raises_does_not_stop_the_next(make_plugin, request_of):
    bad = """
    @hookimpl
    def vfioctl_pre_start(request):
        raise KeyError("boom")
    """
    plugins = Plugins([make_plugin("a_bad", bad), make_plugin("good", SLEEP)])
    assert [(item.plugin, item.step.id) for item in plugins.pre_start(request_of)] == [("good", "inhibit.sleep")]
    assert codes(plugins) == [("plugin.failed", Severity.WARN, "a_bad")]
    assert "boom" in plugins.findings[0].message


def test_a_generator_that_raises_in_its_middle_gives_nothing(make_plugin, request_of):
    plugins = Plugins([make_plugin("half", SLEEP + "        raise RuntimeError('half way')\n")])
    assert plugins.pre_start(request_of) == ()
    assert codes(plugins) == [("plugin.failed", Severity.WARN, "half")]


def test_a_plugin_that_calls_sys_exit_costs_only_itself(make_plugin, request_of):
    source = """
    import sys
    @hookimpl
    def vfioctl_preflight(request):
        sys.exit(7)
    """
    plugins = Plugins([make_plugin("quitter", source)])
    assert plugins.preflight(request_of) == ()
    assert codes(plugins)[0][0] == "plugin.failed"


def test_a_plugin_that_hangs_is_ended_by_the_clock(make_plugin, request_of):
    source = """
    import time
    @hookimpl
    def vfioctl_pre_start(request):
        try:
            time.sleep(60)
        except Exception:
            pass
    """
    plugins = Plugins([make_plugin("sleeper", source), make_plugin("good", SLEEP)], alarm=0.2)
    started = time.monotonic()
    assert [item.plugin for item in plugins.pre_start(request_of)] == ["good"]
    assert time.monotonic() - started < 5
    assert codes(plugins) == [("plugin.hung", Severity.WARN, "sleeper")]


def test_a_plugin_that_catches_everything_is_interrupted_again(make_plugin, request_of):
    source = """
    import time
    @hookimpl
    def vfioctl_pre_start(request):
        try:
            time.sleep(60)
        except BaseException:
            time.sleep(60)
    """
    plugins = Plugins([make_plugin("stubborn", source)], alarm=0.2)
    assert plugins.pre_start(request_of) == ()
    assert codes(plugins)[0][0] == "plugin.hung"


def test_the_clock_puts_back_an_outer_timer_and_its_handler(make_plugin, request_of):
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append("outer"))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        Plugins([make_plugin("good", SLEEP)]).pre_start(request_of)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        deadline = time.monotonic() + 5
        while not rung and time.monotonic() < deadline:
            signal.sigtimedwait([], 0.05)
        assert rung == ["outer"]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_hooks_answer_in_a_thread_that_has_no_clock(make_plugin, request_of):
    plugins = Plugins([make_plugin("good", SLEEP)])
    answers = []
    thread = threading.Thread(target=lambda: answers.append(plugins.pre_start(request_of)))
    thread.start()
    thread.join()
    assert answers[0][0].plugin == "good"


STARTED = {"uri": "qemu:///system", "uuid": "11111111-2222-3333-4444-555555555555"}
STOPPED = {"kind": "domain.stop", "params": {**STARTED, "how": "destroy", "seconds": 5.0}}
FOREIGN = {"target": "vfioctl_party:on", "resource": "led", "undo_with": [STOPPED]}


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("'text'", "str"),
        ("[{'id': 'x'}]", "dict"),
        ("[StepProposal('x', 'no.such', {}, 'r')]", "no.such"),
        ("[StepProposal('', 'wait.until', {}, 'r')]", "id"),
        ("[StepProposal('x', 'wait.until', {'a': {1, 2}}, 'r')]", "JSON"),
        ("[StepProposal('x', 'wait.until', {1: 'a'}, 'r')]", "JSON"),
        ("[StepProposal('x', 'wait.until', {}, 'r', phase='soon')]", "phase"),
        ("[StepProposal('x', 'wait.until', {}, 'r', deadline=0)]", "deadline"),
        ("[StepProposal('x', 'wait.until', {}, 'r', after='y')]", "after"),
        ("[StepProposal('x', 'command.run', {'argv': ['true']}, 'r')] * 2", "two steps"),
        ("[StepProposal('x', 'command.run', {}, 'r')]", "argv is missing"),
        (f"[StepProposal('x', 'domain.start', {STARTED}, 'r')]", "no hook may"),
        (f"[StepProposal('x', 'foreign.run', {FOREIGN}, 'r')]", "undone by the kind domain.stop, which no hook may"),
    ],
)
def test_a_malformed_proposal_is_named_and_dropped(make_plugin, request_of, returned, said):
    source = f"""
    @hookimpl
    def vfioctl_pre_start(request):
        return {returned}
    """
    plugins = Plugins([make_plugin("odd", source)])
    assert plugins.pre_start(request_of) == ()
    assert codes(plugins) == [("plugin.bad_result", Severity.WARN, "odd")]
    assert said in plugins.findings[0].message


def test_a_misspelt_hook_is_found_although_its_author_marked_it(make_plugin):
    source = """
    @hookimpl
    def vfioctl_prestart(request):
        return ()
    """
    plugins = Plugins([make_plugin("typo", source)])
    assert codes(plugins) == [("plugin.unknown_hook", Severity.WARN, "typo")]
    assert "vfioctl_prestart" in plugins.findings[0].message


def test_a_hook_without_the_marker_is_found(make_plugin):
    plugins = Plugins([make_plugin("unmarked", "def vfioctl_pre_start(request): return ()")])
    assert codes(plugins) == [("plugin.unknown_hook", Severity.WARN, "unmarked")]


def test_a_hook_with_an_argument_that_no_one_gives_is_broken(make_plugin, request_of):
    source = """
    @hookimpl
    def vfioctl_preflight(request):
        return [Finding("x.y", "seen")]
    @hookimpl
    def vfioctl_pre_start(request, moon):
        return ()
    """
    plugins = Plugins([make_plugin("moon", source)])
    assert codes(plugins) == [("plugin.broken", Severity.WARN, "moon")]
    assert plugins.preflight(request_of) == ()  # nothing of a broken plugin stays registered


def test_a_plugin_that_cannot_be_imported_costs_only_itself(make_plugin, request_of):
    plugins = Plugins([make_plugin("broken", "raise ImportError('no such library')"), make_plugin("good", SLEEP)])
    assert codes(plugins) == [("plugin.broken", Severity.WARN, "broken")]
    assert "no such library" in plugins.findings[0].message
    assert [item.plugin for item in plugins.pre_start(request_of)] == ["good"]


def test_a_broken_plugin_that_the_guest_needs_blocks(make_plugin):
    info = make_plugin("broken", "1 / 0", claims=("10de:*",))
    plugins = Plugins([info], required=needed([info], CONFIG, [CARD]))
    assert codes(plugins) == [("plugin.broken", Severity.BLOCK, "broken")]


def test_a_plugin_that_the_guest_file_asks_for_is_needed_and_a_default_is_no_asking(make_plugin):
    info = PluginInfo("snapshot", "1", 1, "nowhere")
    asked = GuestConfig("g", origins={"snapshot.enabled": "/etc/vfioctl/guests/g.toml:1"})
    default = GuestConfig("g", origins={"snapshot.enabled": "default"})
    assert needed([info], asked, []) == {"snapshot"}
    assert needed([info], default, []) == frozenset()


def test_a_plugin_of_another_api_is_not_imported(make_plugin):
    info = make_plugin("future", "import sys; sys.future_was_imported = True", api=99)
    plugins = Plugins([info])
    assert codes(plugins) == [("plugin.api", Severity.WARN, "future")]
    assert not hasattr(sys, "future_was_imported")


def test_a_row_that_is_broken_in_the_manifest_is_not_imported(make_plugin):
    plugins = Plugins([make_plugin("odd", "1 / 0", status="broken: its data is missing")])
    assert "its data is missing" in plugins.findings[0].message
    assert plugins.names == ()


def test_disabled_unclaimed_and_opt_in_plugins_are_not_selected():
    rows = (
        PluginInfo("generic", "1", 1, "m", claims=("*:*",)),
        PluginInfo("nvidia", "1", 1, "m", claims=("10de:*",)),
        PluginInfo("amdgpu", "1", 1, "m", claims=("1002:*",)),
        PluginInfo("snapshot", "1", 1, "m", opt_in=True),
        PluginInfo("desktop", "1", 1, "m"),
        PluginInfo("unwanted", "1", 1, "m"),
    )
    config = GuestConfig("g", disabled_plugins=("unwanted", "generic"))
    assert [info.name for info in select(rows, config, [CARD])] == ["generic", "nvidia", "desktop"]


def test_an_opt_in_plugin_is_selected_by_its_table():
    row = PluginInfo("snapshot", "1", 1, "m", opt_in=True)
    config = GuestConfig("g", origins={"snapshot.enabled": "/etc/vfioctl/guests/g.toml:3"})
    assert select([row], config, []) == (row,)


def test_findings_carry_the_plugin_that_made_them(make_plugin, request_of):
    source = """
    @hookimpl
    def vfioctl_preflight(request):
        return [Finding("x.y", "seen", source="core")]
    """
    assert Plugins([make_plugin("finder", source)]).preflight(request_of)[0].source == "finder"


def test_a_snapshot_backend_is_chosen_by_rank(make_plugin, request_of):
    source = """
    @hookimpl
    def vfioctl_snapshot(disk, request):
        return SnapshotBackend("x", disk.target, {rank}, ())
    """
    plugins = Plugins([make_plugin("a", source.format(rank=1)), make_plugin("b", source.format(rank=2))])
    disk = Disk("vda", "file", "disk", "qcow2", "/x.qcow2")
    assert plugins.snapshot(disk, request_of).plugin == "b"


def test_post_stop_steps_and_doctor_checks_come_with_their_plugin(make_plugin, request_of):
    source = """
    @hookimpl
    def vfioctl_post_stop(request):
        return [StepProposal("w", "command.run", {"argv": ["true"]}, "r", phase=Phase.AFTER)]
    @hookimpl
    def vfioctl_doctor_checks():
        return [DoctorCheck("c", "s", lambda host: ())]
    """
    plugins = Plugins([make_plugin("both", source)])
    assert [item.plugin for item in plugins.post_stop(request_of)] == ["both"]
    assert [(name, check.name) for name, check in plugins.doctor_checks()] == [("both", "c")]


SOURCE = """
@hookimpl
def vfioctl_template_sources():
    return [TemplateSource({})]
"""


def test_published_images_come_with_their_plugin(make_plugin):
    words = "'gold', 'Gold', '3', 'x86_64', 'https://a.test/x', 'https://a.test/sums'"
    plugins = Plugins([make_plugin("a", SOURCE.format(words)), make_plugin("b", "")])
    assert [(name, one.url) for name, one in plugins.template_sources()] == [("a", "https://a.test/x")]


@pytest.mark.parametrize("words", [
    "'gold', 'Gold', '3', 'x86_64', 'http://a.test/x', 'https://a.test/sums'",
    "'gold', 'Gold', '3', 'x86_64', 'https://a.test/x', 'https://b.test/sums'",
    "'gold', 'Gold', '3', 'x86_64', 'https://a.test/x', ''", "7, 'Gold', '3', 'x86_64', 'https://a.test/x', 'y'",
])  # fmt: skip
def test_an_image_whose_checksum_could_be_anybodys_costs_its_plugin(make_plugin, words):
    plugins = Plugins([make_plugin("a", SOURCE.format(words))])
    assert plugins.template_sources() == ()
    assert [finding.code for finding in plugins.findings] == ["plugin.bad_result"]


FILES = """
@hookimpl
def vfioctl_config_files(host):
    return [ConfigFile({})]
"""


def test_files_of_plugins_come_with_what_is_wrong_in_them(make_plugin):
    plugins = Plugins([make_plugin("a", FILES.format("'/etc/x', (Finding('a.b', 'No.'),)")), make_plugin("b", "")])
    assert [(file.path, file.findings[0].code) for file in plugins.config_files(None)] == [("/etc/x", "a.b")]


@pytest.mark.parametrize("words", ["'x'", "7", "'/etc/x', ('no',)"])
def test_a_file_that_is_none_costs_its_plugin(make_plugin, words):
    plugins = Plugins([make_plugin("a", FILES.format(words))])
    assert plugins.config_files(None) == ()
    assert [finding.code for finding in plugins.findings] == ["plugin.bad_result"]


def test_an_observer_that_raises_becomes_a_finding(make_plugin):
    source = """
    @hookimpl
    def vfioctl_finished(outcome):
        raise ValueError(outcome.guest)
    """
    plugins = Plugins([make_plugin("observer", source)])
    plugins.finished(Outcome("win11", "u", "release", ok=True, duration=1.0))
    assert "win11" in plugins.findings[0].message


def test_the_units_that_loaded_plugins_may_stop_are_known(make_plugin):
    info = make_plugin("nv", "", units=("nvidia-persistenced.service",))
    assert Plugins([info]).units == {"nvidia-persistenced.service"}
