"""A live cycle: its stages and ledger, the minutes before kickoff, recovery after its process died."""
