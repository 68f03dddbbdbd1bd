"""Listings, fixtures, tournaments and players, and the listings as of a cycle."""
