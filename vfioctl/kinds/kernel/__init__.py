"""Steps on the kernel: modules, consoles, framebuffers, values below /sys."""
