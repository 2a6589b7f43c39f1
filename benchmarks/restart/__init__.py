"""How soon a server with a long journal serves again, and how fast it writes the journal to the store."""
