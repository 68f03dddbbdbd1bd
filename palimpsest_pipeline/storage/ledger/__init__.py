"""The ledger: which cycles ran and how each platform, host and listing fared."""
