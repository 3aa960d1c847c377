"""SETUP: puts hook, unit, manifest and completions in place, takes them away, says what is wrong with the hook."""
