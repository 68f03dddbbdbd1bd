"""Which product of which cycle is due, and which was derived from what."""
