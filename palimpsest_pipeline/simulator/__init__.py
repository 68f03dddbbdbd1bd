"""A simulation of the three bookmakers' sites from one deterministic world, in its own process.

It is used by tests, demonstrations and work without a network. It imports only the domain package; only the command
line and the tests import it.
"""
