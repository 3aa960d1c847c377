"""Verbs for the guests of a node: `vfioctl guest …`."""
