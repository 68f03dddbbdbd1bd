"""`palimpsest up` and `palimpsest down`: Dagster's code server, web server and daemon under one supervisor of ours, and
how they are ended.

Belongs here: processes, their logs, when they count as up, and the order in which they end. Does not: databases, the
instance. Imports nothing, since each child begins by importing this.
"""
