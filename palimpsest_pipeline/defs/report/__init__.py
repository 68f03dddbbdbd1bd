"""What people read without asking Postgres: the coverage page."""
