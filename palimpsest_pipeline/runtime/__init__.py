"""Support for running processes: signals, heartbeats, progress, embedded Postgres.

The package has no code about Dagster assets.
"""
