"""A cycle while it runs: its stages, its ledger, its kickoff minutes, and its recovery when its process dies."""
