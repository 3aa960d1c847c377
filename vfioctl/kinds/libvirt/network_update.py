"""network.update: another entry in the DHCP or the DNS of a network, in its configuration and at once where it runs.

A guest keeps the address that it has until it renews it; nobody is cut off.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from vfioctl.checking import TYPE_CHECKING
from vfioctl.errors import StepFailed, StepRefused
from vfioctl.frozen import replace
from vfioctl.kinds.libvirt.change import URI
from vfioctl.kinds.libvirt.documents import canonical
from vfioctl.kinds.libvirt.networks import LOOK_AGAIN, Network, NetworkChange
from vfioctl.txn.shape import COUNT, TEXT, UUID, Shape, many, one_of, optional
from vfioctl.txn.step import State, Undo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vfioctl.paths import Paths
    from vfioctl.txn.machine import Machine
    from vfioctl.txn.step import Json, Step

# Where each sort of entry is: in the <ip> of that index, or in the network itself.
PLACES = {"dhcp-host": "dhcp/host", "dns-host": "dns/host"}
SECTIONS = {"dhcp-host": "VIR_NETWORK_SECTION_IP_DHCP_HOST", "dns-host": "VIR_NETWORK_SECTION_DNS_HOST"}
KEYS = {"dhcp-host": ("mac", "ip"), "dns-host": ("ip",)}  # by which libvirt tells two of them apart


class NetworkUpdate(NetworkChange):
    """{uri, uuid, section, index, former, entry, beside?}: section: dhcp-host or dns-host; index: of the <ip> among
    those of the network, which counts for DHCP; former, entry: the element <host> that is there and the one that is to
    be, "" for none; beside: those that other steps of the plan take away or put there"""

    name = "network.update"
    summary = "Changes an entry of a network's DHCP or DNS, live and in its configuration; as before only on failure."
    undo_class = Undo.EXACT
    takes = Shape(
        uri=URI, uuid=UUID, section=one_of(*PLACES), index=COUNT, former=TEXT, entry=TEXT, beside=optional(many(TEXT)),
    )  # fmt: skip
    goes_on = (State.AFTER, State.BETWEEN)

    def resource(self, params: Json) -> str:
        """A plan may be about several entries, and take one away before it puts another there for the same guest.

        They lock the whole network.
        """
        element, what = _element(params["entry"] or params["former"]), "" if params["entry"] else "/removal"
        return f"network:{params['uuid']}/{params['section']}/{element.get('mac') or element.get('ip')}{what}"

    def touches(self, params: Json) -> tuple[str, ...]:
        return (super().resource(params),)

    def unfit(self, params: Json) -> str:
        return super().unfit(params) or _problem(params)

    def put_back(self, params: Json) -> str:
        return "the entry is as before" if params["former"] else "the entry is gone"

    def guard(self, step: Step, machine: Machine) -> None:
        """The steps before have taken away by now what was in the way: whatever is still there is somebody else's."""
        super().guard(replace(step, params={**step.params, "beside": []}), machine)

    def must_fit(self, params: Json, network: Network, machine: Machine) -> None:  # noqa: ARG002
        network.handle  # noqa: B018 -- raises where there is none
        if any(_state(xml, params) is not State.BEFORE for xml in _documents(network)):
            said = f"What the network {network.handle.name()} has for {_words(params)} was changed since the plan."
            raise StepRefused("network.changed", said, hints=LOOK_AGAIN)

    def state(self, step: Step, paths: Paths, network: Network) -> State:  # noqa: ARG002
        states = {_state(xml, step.params) for xml in _documents(network)}
        if not states or State.FOREIGN in states:
            return State.FOREIGN
        return states.pop() if len(states) == 1 else State.BETWEEN

    def apply(self, step: Step, machine: Machine) -> str | None:
        params = step.params
        return self.on(step, machine, lambda network: _change(network, params, params["former"], params["entry"]))

    def undo(self, step: Step, machine: Machine) -> str | None:
        params = step.params
        return self.on(step, machine, lambda network: _change(network, params, params["entry"], params["former"]))

    def foreign(self, step: Step, machine: Machine) -> str:  # noqa: ARG002
        said = f"What the network {step.params['uuid']} has for {_words(step.params)}"
        return f"{said} was changed by somebody else, or it is gone; it stays so."


def _change(network: Network, params: Json, away: str, there: str) -> str | None:
    """Take the entry `away` out and put the one that is to be `there` in, wherever that is not so yet."""
    import libvirt

    done = False
    for flag, xml in ((libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE, network.live_xml),
                      (libvirt.VIR_NETWORK_UPDATE_AFFECT_CONFIG, network.xml)):  # fmt: skip
        if xml and away and _has(xml, params, away):
            _update(network, params, libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE, away, flag)
            done = True
        if xml and there and not _has(xml, params, there):
            _update(network, params, libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, there, flag)
            done = True
    return None if done else "it is so already"


def _update(network: Network, params: Json, command: int, entry: str, flag: int) -> None:
    import libvirt

    section = getattr(libvirt, SECTIONS[params["section"]])
    index = params["index"] if params["section"] == "dhcp-host" else -1
    network.handle.update(command, section, index, entry, flag)


def _documents(network: Network) -> tuple[str, ...]:
    return tuple(filter(None, (network.xml, network.live_xml)))


def _state(xml: str, params: Json) -> State:
    """How far one document has come. Another entry of the same MAC or address, which no step knows, is somebody
    else's.
    """
    former, entry = params["former"], params["entry"]
    known = {canonical(one) for one in (former, entry, *params.get("beside", ())) if one}
    if any(_said(one) not in known for one in _rivals(xml, params)):
        return State.FOREIGN
    has_former, has_entry = bool(former) and _has(xml, params, former), bool(entry) and _has(xml, params, entry)
    if has_entry == bool(entry) and not has_former:
        return State.AFTER
    if has_former == bool(former) and not has_entry:
        return State.BEFORE
    return State.BETWEEN


def _rivals(xml: str, params: Json) -> Iterator[ET.Element]:
    """Every entry that has one of the keys of ours."""
    ours = [_element(one) for one in (params["former"], params["entry"]) if one]
    for one in _entries(xml, params):
        if any(one.get(key) and one.get(key) == mine.get(key) for mine in ours for key in KEYS[params["section"]]):
            yield one


def _has(xml: str, params: Json, entry: str) -> bool:
    return canonical(entry) in {_said(one) for one in _entries(xml, params)}


def _entries(xml: str, params: Json) -> list[ET.Element]:
    root, place = ET.fromstring(xml), PLACES[params["section"]]
    if params["section"] == "dns-host":
        return root.findall(place)
    every = root.findall("ip")
    return every[params["index"]].findall(place) if params["index"] < len(every) else []


def _said(element: ET.Element) -> str:
    return canonical(ET.tostring(element, encoding="unicode"))


def _element(entry: str) -> ET.Element:
    try:
        return ET.fromstring(entry)
    except ET.ParseError as error:
        raise StepFailed("network.malformed", f"The entry that a step names cannot be read: {error}.") from error


def _problem(params: Json) -> str:
    if not (params["former"] or params["entry"]):
        return "former and entry are both empty"
    try:
        elements = [_element(one) for one in (params["former"], params["entry"], *params.get("beside", ())) if one]
    except StepFailed as error:
        return error.message
    return next((f"<{one.tag}> is no <host>" for one in elements if one.tag != "host"), "")


def _words(params: Json) -> str:
    element = _element(params["entry"] or params["former"])
    return " ".join(filter(None, (element.get("mac"), element.get("name"), element.get("ip"))))


KIND = NetworkUpdate()
