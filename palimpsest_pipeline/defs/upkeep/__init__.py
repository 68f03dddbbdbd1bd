"""The daily maintenance of the storage, independent of cycles.

Partitions of the history are created ahead. Ended days are exported, and later dropped from Postgres. Landed answers
are removed when they are not needed any more. Sizes are measured.

Belongs here: the assets, checks, jobs and schedules of the maintenance. Does not belong here: the work itself
(`pipeline/upkeep`, `storage`).
"""
