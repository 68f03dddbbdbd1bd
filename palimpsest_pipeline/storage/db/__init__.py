"""The database itself: connections, COPY, locks, migrations, roles and introspection."""
