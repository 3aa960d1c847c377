"""SSH key pairs that are kept on this host, for guests that are made here."""
