"""Steps on processes and containers."""
