"""What was derived from each cycle and what must be: its products, and rows of changed fixtures."""
