"""Sensors and checks that look at the pipeline itself: dead runs, overdue work, and alerts."""
