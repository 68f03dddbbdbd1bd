"""What a person does with packs: list platforms, check packs, begin a new one. Knows no Dagster."""
