"""Autobahn's WebSocket suite against this program: `python -m tests.autobahn`."""
