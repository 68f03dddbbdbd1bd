"""The daily upkeep of the storage, independent of cycles.

Partitions of the history are created ahead. Ended days are exported, and exported days are dropped later. Landed
answers are compacted, and removed when they are not needed any more. Sizes are measured.

Belongs here: the assets, checks, jobs and schedules of upkeep. Does not belong here: the work itself
(`pipeline/upkeep`, `storage`).
"""
