"""The daemon: policy, operations, the native API, the old dialects, the demo portal and the command line."""

__version__ = "0.1.0"
