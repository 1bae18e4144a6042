"""Who may ask: origins, policy, the answers a person gave, and how much anyone may ask for."""
