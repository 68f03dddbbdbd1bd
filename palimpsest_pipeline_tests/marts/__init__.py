"""Derived tables against the same figures computed in SQL, from their definitions, by other ways than the
pipeline's.
"""
