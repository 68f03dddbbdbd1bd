"""Postgres: tables, migration, COPY writer, readers, partitions, and the embedded server.

Knows `domain` and no other room.
"""
