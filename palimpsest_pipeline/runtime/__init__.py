"""What a running process needs: signals, heartbeats, progress, and the embedded Postgres. Knows no asset."""
