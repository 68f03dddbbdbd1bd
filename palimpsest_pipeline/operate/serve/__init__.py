"""`palimpsest up` and `down`: one supervisor of Dagster's code server, web server and daemon.

Belongs here: processes, their logs, the condition under which they count as up, and the order in which they end. Does
not belong here: databases, the instance. This module imports nothing, because each child process starts with importing
it.
"""
