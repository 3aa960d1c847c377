"""The networks of guests: made, looked at, changed while they run, and taken away again."""
