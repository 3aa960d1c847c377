"""EVERYTHING THAT IS SHOWN: the only place that prints. Views are made from a result's data alone."""
