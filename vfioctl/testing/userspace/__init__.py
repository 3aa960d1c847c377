"""The simulated user space: systemd, logind, kmod and the other programs that a hand-off calls."""
