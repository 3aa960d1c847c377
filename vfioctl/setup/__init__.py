"""SETUP: puts the libvirt hook, the unit and the manifest in place, takes them away, says what is wrong with them."""
