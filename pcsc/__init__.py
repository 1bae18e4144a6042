"""From an APDU to a card: commands, status words, readers, connections, virtual readers."""
