"""CARRIES OUT what a verb wants done with the terminal: one module a kind of session. Decides nothing about a guest."""
