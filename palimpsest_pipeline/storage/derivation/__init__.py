"""The due products of each cycle, and the inputs of the derived ones."""
