"""Database infrastructure: connections, COPY, locks, the schema, roles and introspection."""
