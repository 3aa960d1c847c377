"""Steps on files."""
