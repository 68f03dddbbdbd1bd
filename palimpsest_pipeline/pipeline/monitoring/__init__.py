"""Alerts and freshness: what is wrong with the pipeline's data, and whom to tell."""
