"""Upkeep: what keeps the store in order by day, apart from any cycle. Days of history are made ahead, exported once
they are over, and dropped when they have been; what was landed is compacted, and removed when nobody needs it; sizes
are measured.

Belongs here: when each of these may happen, and its assets, checks, jobs and schedules. Does not: how it is done
(`storage`).
"""
