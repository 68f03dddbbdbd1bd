"""The ledger: the cycles that ran, and the outcome for each platform, host and listing."""
