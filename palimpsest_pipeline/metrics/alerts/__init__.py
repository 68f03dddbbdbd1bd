"""Alerts to traders before kickoff: price moves, disappearances and outlying prices. No I/O."""
