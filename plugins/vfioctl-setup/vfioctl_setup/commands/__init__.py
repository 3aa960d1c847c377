"""The verb: arguments in, a result out. It prints nothing."""
