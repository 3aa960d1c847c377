"""Steps on systemd and logind: units, sessions, sleep."""
