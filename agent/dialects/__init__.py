"""The old protocols of the portals, each only a translation into operations."""
