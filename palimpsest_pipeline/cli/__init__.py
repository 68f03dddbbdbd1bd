"""The `palimpsest` command: one module per group of commands, and the modules they share."""
