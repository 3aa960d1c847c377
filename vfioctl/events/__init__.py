"""WHAT LIBVIRT SAYS: argv and domain XML as frozen data. Touches nothing."""
