"""The native API: JSON-RPC 2.0 over WebSocket, for pages and for programs of this machine's user."""
