"""The servers that are known by name."""
