"""At length: who has a card open."""

from __future__ import annotations

TEXTS = {
    "holder.guest": """
QEMU has the card through VFIO: a guest runs with it. `vfioctl status` says which one and since when. It comes home
when the guest stops; a process of QEMU that nothing ends is what `vfioctl rescue` is for.""",
    "holder.container": """
A container has the card's nodes open, mostly through the runtime of NVIDIA or by --device. It is found by the
device, not by the path, so nodes of its own do not hide it. One of Docker or Podman that the guest file lists under
containers is stopped before the start and started again after the guest; otherwise the start is refused and nothing
is touched.""",
    "holder.model": """
Programs that run models keep the card's memory and its nodes open for as long as they wait for work, often for
days. Run as a unit of systemd they are stopped for the guest and started again, once the guest file lists the unit:
vfioctl config add units ollama.service --guest GUEST""",
    "holder.daemon": """
Daemons for fans, clocks, lights and figures (LACT, CoreCtrl, OpenRGB, dcgm, exporters) open the card again and
again. One that looks once in a second may come in the middle of a hand-off. List its unit in the guest file: it is
stopped before the start and started again when the card is home. nvidia-persistenced is stopped without being
listed.""",
    "holder.bus": """
A card has small buses (i2c) for screens and lights. Programs that set the brightness of a screen (KDE's powerdevil,
ddcutil) or its lights (OpenRGB) keep their nodes open, and with them the card's driver busy. What belongs to the
desktop ends with it; other programs are ended before, or their unit is listed in the guest file.""",
    "holder.sound": """
The card's sound goes to the guest with it. PipeWire and PulseAudio of logged-in users are stopped for it and
started again: their socket would bring them back in the middle. Another player that has the sound open keeps the
start from happening.""",
    "holder.display": """
An X server, a compositor or the display manager draws on the card. A start with that card ends the session if the
guest file allows it (session = "end"), and is refused otherwise. With a second card the desktop can stay:
docs/how-to/two-gpus.md says how each compositor is kept off the guest's card.""",
    "holder.process": """
Something else has the card open. `vfioctl gpu holders` shows its user, its unit and its nodes. A start is refused
while it holds the card, unless the guest file lists its unit. A process of a log-in session that ends with it does
not matter.""",
    "host.unreadable": """
Which files a process has open only its owner and root may see; security modules keep even root from some. Each of
those may hold a card. A start, which is root's, sees more; what it cannot see either it says as a warning.""",
}  # fmt: skip
