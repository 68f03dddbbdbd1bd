"""Alerts and freshness: problems of the pipeline's data, and the messages about them."""
