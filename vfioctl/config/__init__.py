"""CONFIGURATION: schema, loading with the origin of each value, editing that keeps comments."""
