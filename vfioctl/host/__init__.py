"""FACTS: what sysfs, proc, systemd and logind say about this host. Reads, never writes."""
