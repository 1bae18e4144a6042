"""The local HTTP server: who may come in, what is served, and the sockets it listens on."""
