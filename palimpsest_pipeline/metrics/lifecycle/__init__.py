"""The life of a fixture until kickoff: availability, first and last prices, margins over time.

Frames in, frames out.
"""
