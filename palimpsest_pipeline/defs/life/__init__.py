"""Assets, checks and jobs of the life group."""
