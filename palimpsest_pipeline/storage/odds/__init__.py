"""The odds history: changes, current markets, line numbers, daily partitions and their readers."""
