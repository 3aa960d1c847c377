"""One file on its way between this host and a guest, beside its name first and whole or not at all."""
