"""The daily maintenance of the storage, independent of cycles.

Partitions of the history are created ahead. Ended days are exported, and later dropped from Postgres. Landed answers
are removed when they are not needed any more. Sizes are measured.

The work itself is in `pipeline/upkeep` and `storage`.
"""
