"""From landed answers to the tables of core."""
