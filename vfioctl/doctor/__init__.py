"""What would keep a device of this host from being given to a guest, found before a start. Reads only."""
