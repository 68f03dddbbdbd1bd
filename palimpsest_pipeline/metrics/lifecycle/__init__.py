"""The lifecycle of a fixture until kickoff: availability, opening and closing prices, margins.

Takes and returns frames.
"""
