"""WHAT CAN BE ASKED FOR: typed arguments in, a Result out. Knows no terminal, no click and no HTTP."""
