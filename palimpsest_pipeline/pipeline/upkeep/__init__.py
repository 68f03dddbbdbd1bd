"""The export, retention and disk usage of stored data."""
