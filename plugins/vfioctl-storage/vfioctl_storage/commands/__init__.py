"""The verbs: arguments in, a result out. They print nothing."""
