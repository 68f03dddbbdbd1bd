"""The ledger: cycles that ran, with the results for each platform, host and listing."""
