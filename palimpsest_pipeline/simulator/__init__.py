"""A simulation of the sites of any packs' platforms, from one deterministic world, in its own process.

It is used by tests, demonstrations and work without a network. It imports only the domain and the packs; only the
commands, the packs' renderings and the tests import it.
"""
