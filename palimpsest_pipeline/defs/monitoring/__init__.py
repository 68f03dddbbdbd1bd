"""Checks on the whole: what no single asset can say."""
