"""`palimpsest up` and `down`: a supervisor of Dagster's code server, web server and daemon.

This module imports nothing, because each child process imports it first.
"""
