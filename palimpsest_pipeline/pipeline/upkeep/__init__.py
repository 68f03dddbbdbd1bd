"""Export, retention and disk usage of what is stored."""
