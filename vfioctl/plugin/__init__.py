"""THE PLUGIN BORDER: hook specifications, the data that crosses it, discovery and the guarded façade."""
