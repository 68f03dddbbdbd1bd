"""The `palimpsest` command: one module per group of commands, and what they print with."""
