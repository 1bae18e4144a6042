"""What only Windows has: access control lists, policies in the registry, the machine's certificate store."""
