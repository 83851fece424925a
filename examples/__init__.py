"""Examples: each folder is one, with a README and a command."""
