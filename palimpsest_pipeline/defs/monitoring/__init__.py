"""Sensors, assets and checks that look at the pipeline itself: who died, what is overdue, whom to tell."""
