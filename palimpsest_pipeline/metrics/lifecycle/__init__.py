"""The lifecycle of a fixture until kickoff: availability, opening and closing prices, margins over time.

Frames in, frames out.
"""
