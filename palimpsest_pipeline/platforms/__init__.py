"""The dialects of the three bookmakers: how to build requests and read answers.

Pure: no network, no frames, no clock.
"""
