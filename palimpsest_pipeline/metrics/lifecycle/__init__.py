"""The lifecycle of a fixture until kickoff: availability, open and close, margins over time.

Frames in, frames out.
"""
