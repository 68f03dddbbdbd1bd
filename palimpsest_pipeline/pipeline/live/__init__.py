"""A running cycle: its stages, ledger and kickoff minutes, and its recovery when its process dies."""
