"""Sensors and checks that monitor the pipeline itself: dead runs, overdue work, and alerts."""
