"""The bookmakers: packs, each with a dialect that builds requests and reads answers.

Pure functions: no network, no frames, no clock.
"""
