"""The verbs, one file for those that are alike."""
