"""Alerts and freshness: finding problems of the pipeline's data, and the messages about them."""
