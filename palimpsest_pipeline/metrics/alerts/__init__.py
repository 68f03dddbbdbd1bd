"""Alerts to traders about price moves, disappearances and outliers before kickoff. Frames in, frames out."""
