"""The needs of a running process: signals, heartbeats, progress, the embedded Postgres. Knows no asset."""
