"""Which products of each cycle are derived or due, and which fixtures are due."""
