"""Listings, fixtures, tournaments and players, and what was listed as of a cycle."""
