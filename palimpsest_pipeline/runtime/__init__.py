"""Support for a running process: signals, heartbeats, progress, embedded Postgres. Knows no asset."""
