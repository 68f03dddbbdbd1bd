"""Alerts to traders: price moves, disappearances and outliers before kickoff. Frames in, frames out."""
