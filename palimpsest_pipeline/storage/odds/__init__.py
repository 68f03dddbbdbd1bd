"""The odds history: changes, current markets, market lines, daily partitions and their readers."""
