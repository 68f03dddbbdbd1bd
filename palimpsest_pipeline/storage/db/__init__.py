"""Database infrastructure: connections, COPY, locks, migrations, roles and introspection."""
