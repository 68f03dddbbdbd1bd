"""`palimpsest up` and `down`: a supervisor of Dagster's code server, web server and daemon.

Belongs here: processes, their logs, when they count as started, and the order in which they end. Does not belong here:
databases, the Dagster instance. This module imports nothing, because each child process imports it first.
"""
