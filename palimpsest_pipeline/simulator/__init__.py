"""Three bookmakers' sites simulated from one deterministic world, in a process of their own. For tests, demonstrations
and work without a network.

Knows the domain's words only; nothing of the pipeline imports it except the command line and the tests.
"""
