"""The work of the `platforms` commands: list platforms, check packs, create a pack. Knows no Dagster."""
