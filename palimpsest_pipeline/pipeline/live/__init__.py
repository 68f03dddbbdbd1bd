"""A running cycle: its stages, ledger and kickoff minutes, and its recovery after its process died."""
