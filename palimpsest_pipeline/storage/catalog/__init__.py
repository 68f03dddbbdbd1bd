"""The catalog: listings, fixtures, tournaments and players, and the listings known at each cycle."""
