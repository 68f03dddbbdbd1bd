"""The dialects of the three bookmakers: for each site, how to build requests and read answers.

Pure functions: no network, no frames, no clock.
"""
