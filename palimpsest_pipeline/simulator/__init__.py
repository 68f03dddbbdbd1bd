"""A simulation of the three bookmakers' sites from one deterministic world, in its own process.

It serves tests, demonstrations and work without a network. It knows only the domain package; only the command line and
the tests import it.
"""
