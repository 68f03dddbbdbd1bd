"""The `palimpsest` command: one module per group of subcommands, and the modules that they share."""
