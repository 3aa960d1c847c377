"""How each X server and compositor is held to its own cards: they open every one that they find. Pure.

Sources: xorg.conf(5), kwin's and wlroots' documentation of their environment variables, mutter's udev tags (merge
request 1967), aquamarine's README and niri's wiki (Debug Options).
"""

from __future__ import annotations

from collections.abc import Iterable

from vfioctl.plugin import Holder

XORG = 'Option "AutoAddGPU" "off" in a section ServerFlags below /etc/X11/xorg.conf.d'
WLROOTS = "WLR_DRM_DEVICES=/dev/dri/cardN of the other card in its environment"
# By the name that the kernel shows, of which it keeps 15 characters.
WAYS = {
    "Xorg": XORG, "X": XORG,
    "gnome-shell": 'a udev rule that gives its DRM device TAG+="mutter-device-ignore"',
    "kwin_wayland": "KWIN_DRM_DEVICES=/dev/dri/cardN of the other card in /etc/environment",
    "sway": WLROOTS, "wayfire": WLROOTS, "labwc": WLROOTS, "river": WLROOTS, "cage": WLROOTS,
    "Hyprland": "AQ_DRM_DEVICES=/dev/dri/cardN of the other card in its environment",
    "niri": "ignore-drm-device in the section debug of its configuration",
}  # fmt: skip


def way(drawing: Iterable[Holder]) -> str:
    """How the first of `drawing` that is known is kept off a card, as a hint; else where to look."""
    known = next((holder.comm for holder in drawing if holder.comm in WAYS), None)
    if known is None:
        return "Tell the desktop to leave the card alone; docs/how-to/two-gpus.md has the ways that are known."
    return f"Keep {known} off the card with {WAYS[known]}."
